"""Several reward models as one: a weighted sum whose every term stays visible."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, checked
from toccata.reward_models.loading import RewardSpecError, load_reward


class WeightedSum:
    """The reward `sum of weight * model.score(pieces)`.

    Args:
        weighted_models: pairs of a reward model and its weight. A weight of 0 is allowed: the term is computed
            and logged, and adds nothing. Of models of one name the second is called `name-2`, the third `name-3`.

    Attributes:
        models: the reward models by term.
        weights: their weights by term.

    Raises:
        RewardSpecError: without any model, or for a weight that is no finite number.
    """

    name = "sum"

    def __init__(self, weighted_models: Iterable[tuple[RewardModel, float]]) -> None:
        self.models: dict[str, RewardModel] = {}
        self.weights: dict[str, float] = {}
        for model, weight in weighted_models:
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not isfinite(weight):
                raise RewardSpecError(f"reward {model.name!r}: its weight must be a finite number, got {weight!r}")
            term = _unused(model.name, self.models)
            self.models[term] = model
            self.weights[term] = float(weight)
        if not self.models:
            raise RewardSpecError("a weighted sum needs at least one reward model")

    def scores(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """The score of each model, (n,) float32 by term, not weighted.

        Raises:
            RewardModelError: naming the model that fails.
        """
        return {term: checked(model, pieces) for term, model in self.models.items()}

    def contributions(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """The weighted scores, (n,) float32 each, that add up to `score`.

        Raises:
            RewardModelError: naming the model that fails.
        """
        return self.weighted(self.scores(pieces))

    def weighted(self, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `scores` returned, each times its weight: for callers that want both and score only once.

        Raises:
            RewardModelError: for a product that overflows float32.
        """
        with np.errstate(over="ignore"):
            products = {
                term: (self.weights[term] * values.astype(np.float64)).astype(np.float32)
                for term, values in scores.items()
            }
        for term, values in products.items():
            if not np.isfinite(values).all():
                raise RewardModelError(f"reward model {term!r} times its weight {self.weights[term]:g} overflows")
        return products

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, the sum of the weighted terms.

        Raises:
            RewardModelError: naming the model that fails.
        """
        return np.stack(list(self.contributions(pieces).values())).sum(axis=0)


def parse_rewards(weighted_specs: Iterable[tuple[str | RewardModel, float]]) -> WeightedSum:
    """The weighted sum of rewards as users write them, such as `[("rating", 1.0), ("my_lab.tension:Tension", 0.2)]`.

    Raises:
        RewardSpecError: for what leads to no reward model, see `load_reward`, or a weight that is no number.
    """
    return WeightedSum([(load_reward(spec), weight) for spec, weight in weighted_specs])


def _unused(name: str, taken: dict[str, RewardModel]) -> str:
    """`name`, or `name-2`, `name-3`... when it is taken."""
    term, number = name, 1
    while term in taken:
        number += 1
        term = f"{name}-{number}"
    return term
