"""Reward models: what scores a piece, weighted sums of several, and how custom ones are loaded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, RewardSpecError, checked, contributions
from toccata.reward_models.loading import (
    has_weights,
    is_builtin,
    is_registered,
    load_reward,
    parse_rewards,
    reward_names,
)
from toccata.reward_models.rules import Density, Repetition, Silence
from toccata.reward_models.weighted_sum import WeightedSum

if TYPE_CHECKING:
    from toccata.reward_models.learning import LearningRewardModel
    from toccata.reward_models.rating.model import RatingModel
    from toccata.reward_models.realism.model import Realism

__all__ = [
    "Density",
    "LearningRewardModel",
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
    "has_weights",
    "is_builtin",
    "is_registered",
    "load_reward",
    "parse_rewards",
    "reward_names",
]

_NEEDS_TORCH = {  # imported at first access
    "LearningRewardModel": "learning",
    "RatingModel": "rating.model",
    "Realism": "realism.model",
}


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
