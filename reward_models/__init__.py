"""Reward models: what judges a piece, how several are put together, how one's own is plugged in."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toccata.envs.rewards import Piece, Pieces, RewardModel, RewardModelError, checked, contributions
from toccata.reward_models.combine import WeightedSum, parse_rewards
from toccata.reward_models.loading import RewardSpecError, load_reward, reward_names
from toccata.reward_models.rules import Density, Repetition, Silence

if TYPE_CHECKING:
    from toccata.reward_models.rating import RatingModel
    from toccata.reward_models.realism import Realism

__all__ = [
    "Density",
    "Piece",
    "Pieces",
    "RatingModel",
    "Realism",
    "Repetition",
    "RewardModel",
    "RewardModelError",
    "RewardSpecError",
    "Silence",
    "WeightedSum",
    "checked",
    "contributions",
    "load_reward",
    "parse_rewards",
    "reward_names",
]

_NEEDS_TORCH = {"RatingModel": "rating", "Realism": "realism"}  # imported when they are asked for


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
