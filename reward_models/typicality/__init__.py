"""Typicality: a reward for pieces that a network of real music predicts as well as it predicts real music."""
