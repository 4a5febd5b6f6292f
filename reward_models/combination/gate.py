"""A gate: the objective counts where the constraints are met."""

from __future__ import annotations

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.reward_models.combination.combination import Combination


class Gate(Combination):
    """The first reward counts where each of the others is at least the 5th percentile of real pieces.

    Of a piece that passes, the reward is `weight * score` of the objective. Of one that fails a constraint the
    objective counts up to the 5th percentile of real pieces only, `weight * min(score, real)`, and each constraint that
    it fails subtracts `weight * (threshold - score)`. So a piece that fails never has more than one that passes with
    the same objective, also where that is negative, and there is a slope towards passing. Weights are those of a sum:
    what a constraint subtracts below its threshold is what a sum would.
    """

    name = "gate"

    def passes(self, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """(n,) bool by constraint: whether each piece passes it."""
        return {term: scores[term] >= np.float32(self.real[term].low) for term in self.constraints}

    def weighted(self, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`contributions` from the result of `scores`, (n,) float32 by term."""
        passed = self.passes(scores)
        terms = {term: np.zeros(len(values)) for term, values in scores.items()}
        objective = scores[self.objective].astype(np.float64)
        held = np.minimum(objective, self.real[self.objective].low)
        terms[self.objective] = self.weights[self.objective] * np.where(_all(passed), objective, held)
        for term in self.constraints:
            missing = np.minimum(0.0, scores[term].astype(np.float64) - self.real[term].low)
            terms[term] = np.where(passed[term], 0.0, self.weights[term] * missing)
        return self.as_terms(terms)

    def after_rollout(self, pieces: Pieces) -> dict[str, float]:
        """`gate/TERM`: the share of pieces that pass each constraint, and `gate/all` that which pass all."""
        passed = self.passes(self.scores_again(pieces))
        return {f"gate/{term}": float(each.mean()) for term, each in {**passed, "all": _all(passed)}.items()}

    def describe(self) -> str:
        """What is paid, in one line."""
        where = ", ".join(f"{term} >= {self.real[term].low:.3g}" for term in self.constraints)
        most = self.real[self.objective].low
        return f"{self.objective} counts where {where}; elsewhere up to {most:.3g} (5th percentiles of real pieces)"


def _all(passed: dict[str, np.ndarray]) -> np.ndarray:
    """(n,) bool: whether a piece passes all constraints, of which there is at least one."""
    return np.all(list(passed.values()), axis=0)
