"""The instrument, its dynamics, and the Gymnasium environments. Imports no torch."""

from toccata.envs import wrappers
from toccata.envs.array_conversion import register_array_conversions
from toccata.envs.codec import EncodeReport, encode, play, velocities_of
from toccata.envs.core import GENRES, PianoCore
from toccata.envs.dynamics import Dynamics, random_legal_actions
from toccata.envs.env import PianoDiscreteEnv, PianoEnv, PianoVelocityEnv
from toccata.envs.instrument import Piano
from toccata.envs.mo_env import MOPianoEnv, MOPianoVectorEnv
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, checked, contributions, total
from toccata.envs.vector import PianoDiscreteVectorEnv, PianoVectorEnv, PianoVelocityVectorEnv

__all__ = [
    "GENRES",
    "Dynamics",
    "EncodeReport",
    "MOPianoEnv",
    "MOPianoVectorEnv",
    "Piano",
    "PianoCore",
    "PianoDiscreteEnv",
    "PianoDiscreteVectorEnv",
    "PianoEnv",
    "PianoVectorEnv",
    "PianoVelocityEnv",
    "PianoVelocityVectorEnv",
    "Piece",
    "Pieces",
    "RewardModel",
    "RewardModelError",
    "checked",
    "contributions",
    "encode",
    "play",
    "random_legal_actions",
    "total",
    "velocities_of",
    "wrappers",
]

register_array_conversions()
