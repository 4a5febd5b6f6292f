"""Callbacks of a training run: around each rollout, a user's own, and the watchdog."""
