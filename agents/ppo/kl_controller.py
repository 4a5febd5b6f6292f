"""The coefficient of the KL penalty, fixed or adapted to a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GAIN = 0.1  # relative change of the coefficient for a relative error of 1
MIN_COEF, MAX_COEF = 1e-5, 1e5  # of an adapted coefficient; outside, hundreds of rollouts would be needed to return


@dataclass
class AdaptiveKLController:
    """A coefficient that is moved in proportion to the relative distance of the KL from its target.

    Source: Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences" (arXiv 1909.08593), section 2.2,
    with the relative error clipped to [-1, 1] instead of [-0.2, 0.2]: a rollout here holds whole pieces of one length,
    so that its mean KL is known better than that of a batch of theirs.

    Args:
        coef: reward per nat, at least 0.
        target: nats a piece that the KL is kept near; None leaves the coefficient as it is.

    Raises:
        ValueError: for a coefficient or target out of range.
    """

    coef: float
    target: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.coef < np.inf:
            raise ValueError(f"prior_kl_coef must be finite and at least 0, got {self.coef}")
        if self.target is not None and not (0 < self.target < np.inf and self.coef > 0):
            raise ValueError(
                f"prior_kl_target needs to be positive, and a positive prior_kl_coef, got {self.target} and {self.coef}"
            )

    def update(self, nats: float) -> None:
        """Adapt the coefficient to the mean KL of a rollout's pieces, in nats."""
        if self.target is not None:
            error = float(np.clip(nats / self.target - 1, -1, 1))
            self.coef = float(np.clip(self.coef * (1 + GAIN * error), MIN_COEF, MAX_COEF))
