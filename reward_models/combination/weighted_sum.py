"""A weighted sum of reward models, with each of its terms."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, RewardSpecError, check_name, checked, total

LARGEST_WEIGHT = 1e300  # a float


class WeightedSum:
    """The reward `sum of weight * model.score(pieces)`.

    Args:
        weighted_models: pairs of a reward model and its weight. With a weight of 0 the model is scored and logged,
            but adds nothing. Of several models of one name the second term is `name-2`, the third `name-3`.

    Attributes:
        models: reward models by term.
        weights: weights by term.

    Raises:
        RewardSpecError: without a model, or for a weight that is not a finite number.
        RewardModelError: for a model whose name cannot be that of a term.
    """

    name = "sum"

    def __init__(self, weighted_models: Iterable[tuple[RewardModel, float]]) -> None:
        self.models: dict[str, RewardModel] = {}
        self.weights: dict[str, float] = {}
        for model, weight in weighted_models:
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not abs(weight) <= LARGEST_WEIGHT:
                raise RewardSpecError(f"reward {model.name!r}: its weight must be a finite number, got {weight!r}")
            check_name(model.name)
            term = _unique_name(model.name, self.models)
            self.models[term] = model
            self.weights[term] = float(weight)
        if not self.models:
            raise RewardSpecError("a weighted sum needs at least one reward model")

    @property
    def score_ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest score of each model that has a `score_range`, by term; unweighted."""
        return {term: model.score_range for term, model in self.models.items() if hasattr(model, "score_range")}

    def scores(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """Unweighted scores of each model, (n,) float32 by term.

        Raises:
            RewardModelError: naming the failing model.
        """
        return {term: checked(model, pieces) for term, model in self.models.items()}

    def contributions(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """Weighted scores of each model, (n,) float32 by term; they add up to `score`.

        Raises:
            RewardModelError: naming the failing model.
        """
        return self.weighted(self.scores(pieces))

    def weighted(self, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`contributions` from the result of `scores`, without scoring again.

        Raises:
            RewardModelError: for a product that overflows float32.
        """
        return self.as_terms({term: self.weights[term] * values.astype(np.float64) for term, values in scores.items()})

    def as_terms(self, products: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """(n,) float64 terms as float32.

        Raises:
            RewardModelError: for one that overflows float32.
        """
        with np.errstate(over="ignore"):
            terms = {term: values.astype(np.float32) for term, values in products.items()}
        for term, values in terms.items():
            if not np.isfinite(values).all():
                raise RewardModelError(f"reward model {term!r} times its weight {self.weights[term]:g} overflows")
        return terms

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, the sum of `contributions`.

        Raises:
            RewardModelError: naming the failing model, or all terms when their sum is not finite.
        """
        return total(self.contributions(pieces))


def _unique_name(name: str, taken: dict[str, RewardModel]) -> str:
    """`name`, or the first of `name-2`, `name-3`... that is not taken."""
    term, number = name, 1
    while term in taken:
        number += 1
        term = f"{name}-{number}"
    return term
