"""Dreaming: gradient ascent on the frozen rating, of sound and of notes that the piano can play."""
