"""The instrument and the Gymnasium environments. No torch."""

from typing import Any

from toccata.envs.codec import EncodeReport, encode, play
from toccata.envs.core import GENRES, PianoCore
from toccata.envs.dynamics import Dynamics, random_legal_actions
from toccata.envs.env import PianoDiscreteEnv, PianoEnv
from toccata.envs.instrument import Piano
from toccata.envs.rewards import (
    Piece,
    Pieces,
    RewardModel,
    RewardModelError,
    checked,
    contributions,
)
from toccata.envs.vector import PianoDiscreteVectorEnv, PianoVectorEnv

__all__ = [
    "GENRES",
    "Dynamics",
    "EncodeReport",
    "Piano",
    "PianoCore",
    "PianoDiscreteEnv",
    "PianoDiscreteVectorEnv",
    "PianoEnv",
    "PianoVectorEnv",
    "Piece",
    "Pieces",
    "RewardModel",
    "RewardModelError",
    "checked",
    "contributions",
    "encode",
    "play",
    "random_legal_actions",
]


def __getattr__(name: str) -> Any:
    """`PianoVecEnv`, the Stable-Baselines3 form, lives with the agents, for it needs torch; it is found here too."""
    if name == "PianoVecEnv":
        from importlib import import_module

        return import_module("toccata.agents.vec_env").PianoVecEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
