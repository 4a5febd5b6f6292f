"""Toccata: a Gymnasium piano on which reinforcement-learning agents compose."""

from toccata._version import __version__

__all__ = ["__version__"]
