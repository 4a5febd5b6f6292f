"""Reward models as vectors: one entry for each term, unweighted, and the weights apart.

A model is a weighted sum when it has both

- `weights`: a dict of numbers by term, and
- `scores(pieces) -> dict[str, np.ndarray]`, (n,) unweighted scores by the same terms,

and its score is the sum of weight times score, as in `toccata.reward_models.WeightedSum`. Any other model is one term
with its name and weight 1. Where scores are bounded, a model says so by `score_range = (low, high)`, a weighted sum by
`score_ranges`, these by term.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, check_name, checked, checked_terms
from toccata.settings.options import shown

UNBOUNDED = (-np.inf, np.inf)


def term_weights(model: RewardModel) -> dict[str, float]:
    """The weight of each term.

    Raises:
        RewardModelError: naming the model, for a name that cannot be a term's, and a weight that is not finite.
    """
    if not _is_weighted_sum(model):
        check_name(model.name)
        return {model.name: 1.0}
    weights: Mapping[str, Any] = model.weights  # type: ignore[attr-defined]  # a weighted sum has them
    if not weights:
        raise RewardModelError(f"weights of reward model {model.name!r} must have at least one term")
    for name, weight in weights.items():
        check_name(name, f"the name of a term of reward model {model.name!r}")
        if isinstance(weight, bool) or not isinstance(weight, Real) or not np.isfinite(float(weight)):
            raise RewardModelError(
                f"reward model {model.name!r}, term {name!r}: its weight must be a finite number, got {shown(weight)}"
            )
    return {name: float(weight) for name, weight in weights.items()}


def score_bounds(model: RewardModel) -> dict[str, tuple[np.float32, np.float32]]:
    """Lowest and highest score of each term in float32, infinite where the model does not say.

    Raises:
        RewardModelError: naming the model, for a range that is no pair of numbers in ascending order.
    """
    ranges = getattr(model, "score_ranges", {}) if _is_weighted_sum(model) else {}
    if not _is_weighted_sum(model) and hasattr(model, "score_range"):
        ranges = {model.name: model.score_range}
    return {name: _bounds(f"reward model {name!r}", ranges.get(name, UNBOUNDED)) for name in term_weights(model)}


def unweighted(model: RewardModel, pieces: Pieces) -> dict[str, np.ndarray]:
    """Unweighted scores, (n,) float32 by term.

    Raises:
        RewardModelError: as `contributions`, for terms that differ from those of the weights, and for a score that is
            not in the range that the model gives.
    """
    bounds = score_bounds(model)
    if _is_weighted_sum(model):
        scores = checked_terms(model, model.scores, pieces, "scores")  # type: ignore[attr-defined]  # a weighted sum has them
        if scores.keys() != bounds.keys():
            raise RewardModelError(
                f"scores and weights of reward model {model.name!r} must have the same terms, got "
                f"{', '.join(scores)} and {', '.join(bounds)}"
            )
    else:
        scores = {model.name: checked(model, pieces)}
    for name, (low, high) in bounds.items():
        outside = (scores[name] < low) | (scores[name] > high)
        if outside.any():
            raise RewardModelError(
                f"reward model {name!r} must score in its score_range [{low:g}, {high:g}], got "
                f"{scores[name][outside][0]:g} for piece {int(np.flatnonzero(outside)[0])}"
            )
    return {name: scores[name] for name in bounds}


def reward_bounds(low: np.float32, high: np.float32, at_bars: bool) -> tuple[np.float32, np.float32]:
    """Lowest and highest reward of a step for scores in [low, high]: 0, a score, or at bar lines a difference too."""
    greatest = np.float32(np.float64(high) - np.float64(low)) if at_bars else np.float32(0)
    return min(low, -greatest, np.float32(0)), max(high, greatest, np.float32(0))


def _is_weighted_sum(model: RewardModel) -> bool:
    return callable(getattr(model, "scores", None)) and isinstance(getattr(model, "weights", None), Mapping)


def _bounds(who: str, score_range: Any) -> tuple[np.float32, np.float32]:
    """A range in float32."""
    is_pair = isinstance(score_range, (tuple, list)) and len(score_range) == 2
    if not is_pair or any(isinstance(each, bool) or not isinstance(each, Real) for each in score_range):
        raise RewardModelError(f"score_range of {who} must be two numbers (low, high), got {shown(score_range)}")
    with np.errstate(over="ignore"):
        low, high = np.array(score_range, np.float32)
    if not low <= high or low == np.inf or high == -np.inf:
        raise RewardModelError(f"score_range of {who} must have low <= high, and float32 between, got {score_range}")
    return low, high
