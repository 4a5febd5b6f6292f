"""Judges of music that no agent is rewarded by: what they say of an agent is evidence, because it was not trained on it."""
