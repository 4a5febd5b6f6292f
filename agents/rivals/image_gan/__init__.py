"""Generative adversarial networks over pictures of scores, one for each genre."""
