"""Fitting a rating network to plays and likes."""
