"""Fitting a prior to real music."""
