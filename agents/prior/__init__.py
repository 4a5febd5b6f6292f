"""Priors: sequence networks fitted to real music by maximum likelihood."""
