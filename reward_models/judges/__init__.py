"""Judges of music that no agent is rewarded by: what they say is evidence, as no agent was trained on it."""
