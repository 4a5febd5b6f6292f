"""Families of sequence models as composers: priors, Markov chains, random play, best-of-n."""
