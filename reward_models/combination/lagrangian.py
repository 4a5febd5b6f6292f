"""A Lagrangian: the objective is maximised subject to constraints, whose multipliers are learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import exp, log
from typing import Any

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel
from toccata.reward_models.combination.combination import Combination
from toccata.reward_models.combination.real_scores import RealScores

FIRST, LEAST, MOST = 1.0, 0.01, 10.0  # multipliers: at 1 a constraint pays as in a sum
STEP = 0.2  # of the logarithm of a multiplier, per standard deviation of violation: from 1 to 10 in 12 rollouts
MAX_VIOLATION = 1.0  # standard deviations that count, either way: one rollout changes a multiplier by 22 %


class Lagrangian(Combination):
    """Maximise the first reward subject to the means of the others being at least a threshold.

    The reward is `weight * score` of the objective, and of a constraint `multiplier * weight * (score - threshold)`.
    The threshold is the 5th percentile of real pieces, or their mean where that is lower, as of rules that are 0 for
    nearly all of them: real music meets every constraint.

    After each rollout the logarithm of a multiplier moves by `STEP` times the violation: the threshold less the mean
    score of the pieces finished in it, in standard deviations of real pieces, clipped to one. That is gradient ascent
    on the dual problem (Ray, Achiam & Amodei 2019, "Benchmarking safe exploration in deep reinforcement learning"), the
    integral term of Stooke, Achiam & Abbeel 2020, "Responsive safety in reinforcement learning by PID Lagrangian
    methods". Multipliers stay positive by their logarithm, and in [0.01, 10], so that they do not wind up where a
    constraint cannot be met. They begin at 1, at which the reward is the weighted sum less a constant.

    Attributes:
        multipliers: by constraint.
    """

    name = "lagrangian"
    compares_objective = False

    def __init__(self, weighted_models: Iterable[tuple[RewardModel, float]], real: Mapping[str, RealScores]) -> None:
        super().__init__(weighted_models, real)
        self.multipliers = dict.fromkeys(self.constraints, FIRST)

    def threshold(self, term: str) -> float:
        """What the mean score of a constraint must be."""
        return min(self.real[term].low, self.real[term].mean)

    def weighted(self, scores: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`contributions` from the result of `scores`, (n,) float32 by term."""
        terms = {term: self.weights[term] * values.astype(np.float64) for term, values in scores.items()}
        for term, multiplier in self.multipliers.items():
            terms[term] -= self.weights[term] * self.threshold(term)
            terms[term] *= multiplier
        return self.as_terms(terms)

    def after_rollout(self, pieces: Pieces) -> dict[str, float]:
        """Move the multipliers.

        Returns:
            `lagrangian/TERM`, the multiplier in this rollout, and `violation/TERM`, in standard deviations of real
            pieces, negative where the constraint is met.
        """
        scores = self.scores_again(pieces)
        numbers: dict[str, float] = {}
        for term, multiplier in self.multipliers.items():
            mean = float(scores[term].mean(dtype=np.float64))
            violation = float(np.clip((self.threshold(term) - mean) / self.real[term].std, -1e30, 1e30))
            step = STEP * min(max(violation, -MAX_VIOLATION), MAX_VIOLATION)
            self.multipliers[term] = min(max(exp(log(multiplier) + step), LEAST), MOST)
            numbers |= {f"lagrangian/{term}": multiplier, f"violation/{term}": violation}
        return numbers

    def describe(self) -> str:
        """What is paid, in one line."""
        subject = ", ".join(
            f"{term} >= {self.threshold(term):.3g} (multiplier {multiplier:.3g})"
            for term, multiplier in self.multipliers.items()
        )
        return f"{self.objective} is maximised subject to means {subject}, as those of real pieces"

    def state(self) -> dict[str, Any]:
        """Real scores and multipliers."""
        return {**super().state(), "multipliers": dict(self.multipliers)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the multipliers.

        Raises:
            ValueError: for other constraints, or a multiplier out of range.
        """
        multipliers = state.get("multipliers")
        if not isinstance(multipliers, Mapping) or list(multipliers) != list(self.multipliers):
            raise ValueError(
                f"multipliers must be those of {', '.join(self.multipliers)}, got {str(multipliers)[:100]}"
            )
        for term, value in multipliers.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not LEAST <= value <= MOST:
                raise ValueError(f"the multiplier of {term} must be in [{LEAST}, {MOST}], got {value!r}")
            self.multipliers[term] = float(value)
