"""Runs and fitted models uploaded to and downloaded from the Hugging Face Hub."""
