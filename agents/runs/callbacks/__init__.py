"""Callbacks of a training run: around each rollout, a user's own, and the watchdog."""

from toccata.agents.runs.callbacks.user import CallbackError

__all__ = ["CallbackError"]
