"""Fitting the composers that have weights: one command, `toccata fit-rival`, and what each fitter is given."""
