"""Gao's curves of over-optimisation: gain of a reward or judge against d = sqrt(KL), fitted by least squares.

Source: Gao et al. 2022, "Scaling Laws for Reward Model Overoptimization", section 3.1: d (alpha - beta d) of best-of-n,
d (alpha - beta log d) of reinforcement learning. Both are linear in alpha and beta. Numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from toccata.stats import percentile_interval

Kind = Literal["rl", "best-of-n"]
MIN_POINTS = 4  # two parameters, and as many points more
MIN_DISTANCE = 0.1  # of d: where less is changed, the gain is noise
MIN_RUNS = 3  # fewer runs are not resampled: a bootstrap of two has four samples
RESAMPLES = 500


@dataclass(frozen=True)
class CurveRun:
    """What is known of one run.

    Attributes:
        start: (m,) values of pieces of the reference policy.
        values: (n,) of the pieces of each model.
        kl: (n,) nats a piece of each model.
    """

    start: np.ndarray
    values: tuple[np.ndarray, ...]
    kl: tuple[np.ndarray, ...]

    def points(self, rng: np.random.Generator | None = None) -> np.ndarray:
        """(models, 2): d and gain; with `rng` those of a bootstrap sample of the pieces."""
        start = self.start if rng is None else rng.choice(self.start, len(self.start))
        points = []
        for values, kl in zip(self.values, self.kl, strict=True):
            rows = np.arange(len(values)) if rng is None else rng.integers(0, len(values), len(values))
            points.append((np.sqrt(max(0.0, float(kl[rows].mean()))), float(values[rows].mean() - start.mean())))
        return np.array(points).reshape(-1, 2)


def basis(d: np.ndarray, kind: Kind) -> np.ndarray:
    """(n, 2) columns that alpha and beta multiply, of distances (n,) of at least 0."""
    bend = d**2 if kind == "best-of-n" else d * np.log(np.maximum(d, np.finfo(float).tiny))
    return np.stack([d, -bend], axis=1)


def curve(d: np.ndarray, alpha: float, beta: float, kind: Kind) -> np.ndarray:
    """(n,) gains at distances (n,)."""
    return basis(d, kind) @ np.array([alpha, beta])


def fit_curve(d: np.ndarray, gain: np.ndarray, kind: Kind) -> tuple[float, float]:
    """Alpha and beta of the least squares of gains (n,) at distances (n,)."""
    (alpha, beta), *_ = np.linalg.lstsq(basis(d, kind), gain, rcond=None)
    return float(alpha), float(beta)


def why_not(points: np.ndarray) -> str | None:
    """Why no curve is fitted to points (n, 2); None where one can be."""
    far = points[points[:, 0] >= MIN_DISTANCE]
    if len(far) < MIN_POINTS:
        return f"{len(far)} models are at least {MIN_DISTANCE} from the start in sqrt(KL), a fit needs {MIN_POINTS}"
    if np.ptp(np.log(far[:, 0])) < np.log(1.5):
        return "the models are all about as far from the start: alpha and beta cannot be told apart"
    return None


def fit_runs(runs: Sequence[CurveRun], rng: np.random.Generator) -> dict[str, Any]:
    """The curve of an arm, with bootstrap intervals over pieces and, of three runs and more, over runs.

    Returns:
        `alpha`, `beta`: mean, low, high; `points` (n, 2); `rms`, of the residuals; `resampled`, what was; `peak_kl`,
        the nats at which the gain is highest by the fit, None where it only rises. Without a fit `reason` and `points`
        alone.
    """
    points = np.concatenate([run.points() for run in runs])
    if (reason := why_not(points)) is not None:
        return {"reason": reason, "points": points.tolist()}
    alpha, beta = fit_curve(points[:, 0], points[:, 1], "rl")
    resampled = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(runs), len(runs)) if len(runs) >= MIN_RUNS else np.arange(len(runs))
        again = np.concatenate([runs[i].points(rng) for i in drawn])
        resampled.append(fit_curve(again[:, 0], again[:, 1], "rl"))
    residuals = points[:, 1] - curve(points[:, 0], alpha, beta, "rl")
    each = {
        name: percentile_interval(estimate, values)._asdict()
        for name, estimate, values in zip(("alpha", "beta"), (alpha, beta), np.array(resampled).T, strict=True)
    }
    return {
        **each,
        "rms": float(np.sqrt((residuals**2).mean())),
        "peak_kl": peak_kl(alpha, beta),
        "resampled": "runs and pieces" if len(runs) >= MIN_RUNS else "pieces",
        "points": points.tolist(),
    }


def peak_kl(alpha: float, beta: float) -> float | None:
    """Nats at which d (alpha - beta log d) is highest, exp(2 (alpha / beta - 1)); None where it only rises."""
    if beta <= 0 or alpha / beta > 6:  # e^10 nats
        return None
    return float(np.exp(2 * (alpha / beta - 1)))
