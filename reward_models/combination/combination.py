"""The base of combinations of rewards that are measured on real music."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, RewardSpecError, checked
from toccata.reward_models.combination.real_scores import RealScores
from toccata.reward_models.combination.weighted_sum import WeightedSum
from toccata.settings.combinations import CONSTRAINED, why_not


class Combination(WeightedSum):
    """Reward models whose scores are combined otherwise than by a sum; the terms still add up to the score.

    Args:
        weighted_models: as of `WeightedSum`. Weights are at least 0, and a model with a weight of 0 is scored and
            logged only.
        real: what models say of real pieces, by term; those of `compared_terms` are needed.

    Attributes:
        real: the same, of those terms. `measure` changes it.

    Raises:
        RewardSpecError: for weights that it does not take, and for a model that `needs_spread` and gives all real
            pieces the same score.
    """

    compares_objective = True  # with real pieces; the others are compared always

    def __init__(self, weighted_models: Iterable[tuple[RewardModel, float]], real: Mapping[str, RealScores]) -> None:
        super().__init__(weighted_models)
        if (why := why_not(self.name, list(self.weights.items()))) is not None:
            raise RewardSpecError(why)
        compared = self.compared_terms(self.weights)
        if missing := [term for term in compared if term not in real]:
            raise RewardSpecError(f"{self.name}: real pieces have no scores by {missing[0]!r}")
        self.real = {term: real[term] for term in compared}
        for term in self.needs_spread:
            if not self.real[term].std:
                raise RewardSpecError(
                    f"{self.name}: reward {term!r} gives all real pieces the same score, {self.real[term].low:g}, so "
                    "that there is no telling how far from them another is; leave it out, give it a weight of 0, or, "
                    "if it is a rule, another limit"
                )
        self._last: tuple[tuple[Piece, ...], dict[str, np.ndarray]] = (), {}

    @property
    def active(self) -> list[str]:
        """The terms with a weight greater than 0."""
        return [term for term, weight in self.weights.items() if weight > 0]

    @property
    def objective(self) -> str:
        """The first term, which a gate or a Lagrangian maximises."""
        return next(iter(self.models))

    @property
    def constraints(self) -> list[str]:
        """The terms that constrain the objective: all others with a weight."""
        return [term for term in self.active if term != self.objective]

    @classmethod
    def compared_terms(cls, weights: Mapping[str, float]) -> list[str]:
        """The terms that are compared with real pieces, of rewards with these weights; the first is the objective."""
        terms = [term for term, weight in weights.items() if weight > 0]
        return terms if cls.compares_objective else terms[1:]

    @property
    def needs_spread(self) -> list[str]:
        """The terms that must not give all real pieces the same score."""
        return self.constraints if self.name in CONSTRAINED else self.active

    def measure(self, real: Pieces, terms: Iterable[str]) -> None:
        """Measure real pieces again by reward models that have learnt.

        One that has come to give all of them the same score keeps its standard deviation.

        Raises:
            RewardModelError: naming the failing model.
        """
        for term in terms:
            if term in self.real:
                found = RealScores.of(checked(self.models[term], real))
                self.real[term] = found if found.std else replace(found, std=self.real[term].std)

    def contributions(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """Terms (n,) float32 of each model; they add up to `score`.

        Raises:
            RewardModelError: naming the failing model.
        """
        scores = self.scores(pieces)
        self._last = tuple(pieces), scores
        return self.weighted(scores)

    def scores_again(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """`scores`, without scoring again those that the last call of `contributions` had among its pieces."""
        rows = {id(piece): row for row, piece in enumerate(self._last[0])}
        if not all(id(piece) in rows for piece in pieces):
            return self.scores(pieces)
        chosen = [rows[id(piece)] for piece in pieces]
        return {term: scores[chosen] for term, scores in self._last[1].items()}

    def after_rollout(self, pieces: Pieces) -> dict[str, float]:
        """Called after each rollout with the pieces finished in it, of which there is at least one.

        Returns:
            numbers to log, by name.
        """
        return {}

    def describe(self) -> str:
        """What is paid, in one line."""
        raise NotImplementedError  # of this base class only

    # What rewards.json holds besides the models

    def state(self) -> dict[str, Any]:
        """JSON values that `load_state` takes: what is not given by models and weights."""
        return {"real": {term: asdict(each) for term, each in self.real.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what changes while an agent is trained; the real scores are arguments.

        Raises:
            ValueError: for anything that `state` does not return.
        """
