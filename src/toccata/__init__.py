"""Toccata: a Gymnasium piano on which reinforcement-learning agents compose.

`import toccata` registers `toccata/Piano-v0`, `PianoDiscrete-v0`, `PianoVelocity-v0` and `MOPiano-v0`.
"""

from toccata._version import __version__
from toccata.registration import register_environments

__all__ = ["__version__"]

register_environments()
