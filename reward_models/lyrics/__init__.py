"""Rewards of songs: how well the words of a piece fit the notes that they are sung to."""
