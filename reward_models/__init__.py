"""Reward models: what scores a piece, weighted sums of several, and how custom ones are loaded."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, RewardSpecError, checked, contributions
from toccata.reward_models.combination import Combination, Gate, Lagrangian, Product, WeightedSum, combined
from toccata.reward_models.loading import (
    has_weights,
    is_builtin,
    is_registered,
    load_reward,
    parse_rewards,
    reward_names,
)
from toccata.reward_models.rules import Density, Repetition, Silence

if TYPE_CHECKING:
    from toccata.reward_models.learning import LearningRewardModel
    from toccata.reward_models.rating.model import RatingModel
    from toccata.reward_models.realism.model import Realism
    from toccata.reward_models.typicality.model import TypicalityReward

__all__ = [
    "Combination",
    "Density",
    "Gate",
    "Lagrangian",
    "LearningRewardModel",
    "Piece",
    "Pieces",
    "Product",
    "RatingModel",
    "Realism",
    "Repetition",
    "RewardModel",
    "RewardModelError",
    "RewardSpecError",
    "Silence",
    "TypicalityReward",
    "WeightedSum",
    "checked",
    "combined",
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
    "TypicalityReward": "typicality.model",
}


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
