"""Agreement of predicted with observed popularity, a linear baseline, and the bound set by counting noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.reward_models.preferences import Preference, popularity
from toccata.stats import bootstrap_clusters, pearson, spearman

RIDGE_PENALTY = 10.0  # on standardised features; anything in 1..100 gives the same third digit
RESAMPLES = 500
DECILES = 10
NOISE_DRAWS = 20


@dataclass(frozen=True)
class Agreement:
    """Agreement of (n,) predictions with targets.

    Args:
        rank_correlation: Spearman's, in [-1, 1]; 0 for constant predictions.
        interval: its 95 % bootstrap interval, with groups resampled as clusters.
        correlation: Pearson's, in [-1, 1]; 0 for constant predictions.
        mean_squared_error: in units of the squared targets.
        pieces: n.
    """

    rank_correlation: float
    interval: tuple[float, float]
    correlation: float
    mean_squared_error: float
    pieces: int


def agreement(predictions: np.ndarray, targets: np.ndarray, groups: Sequence[str], seed: int = 0) -> Agreement:
    """Agreement of (n,) predictions with (n,) targets; `groups`, (n,), are the clusters of the bootstrap."""

    def rank_correlation(index: np.ndarray) -> float:
        return spearman(predictions[index], targets[index])

    interval = bootstrap_clusters(rank_correlation, groups, np.random.default_rng(seed), RESAMPLES)
    return Agreement(
        interval.mean,
        (interval.low, interval.high),
        pearson(predictions, targets),
        float(np.mean((predictions - targets) ** 2)),
        len(targets),
    )


def ridge(features: np.ndarray, targets: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    """Predictions (m,) for `test_features` (m, k) of a ridge regression of (n,) targets on (n, k) features."""
    mean, scale = features.mean(0), features.std(0).clip(1e-9)
    x, offset = (features - mean) / scale, targets.mean()
    weights = np.linalg.solve(x.T @ x + RIDGE_PENALTY * np.eye(x.shape[1]), x.T @ (targets - offset))
    return offset + (test_features - mean) / scale @ weights


def calibration(predictions: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
    """Means of (n,) predictions and targets by decile of the prediction: `predicted`, `observed`, `pieces` of each.

    Fewer than ten pieces are one bin each.
    """
    bins = np.array_split(np.argsort(predictions, kind="stable"), min(DECILES, len(predictions)))
    return [
        {"predicted": float(predictions[b].mean()), "observed": float(targets[b].mean()), "pieces": len(b)}
        for b in bins
    ]


def noise_ceiling(preferences: Sequence[Preference], seed: int = 0) -> float:
    """Rank correlation of p with p of resampled counts, in [-1, 1]: an upper bound for predictions of p.

    Plays are resampled from Poisson and likes from binomial distributions with the observed rates; the result is the
    mean over `NOISE_DRAWS` draws. Only counting noise is included: who played a piece, and where, adds more.
    """
    rng = np.random.default_rng(seed)
    plays, likes = (np.array([getattr(p, name) for p in preferences]) for name in ("plays", "likes"))
    observed = np.array([preference.popularity for preference in preferences])
    correlations = []
    for _ in range(NOISE_DRAWS):
        new_plays = np.maximum(rng.poisson(plays), 1)
        new_likes = rng.binomial(new_plays, np.clip(likes / plays, 0, 1))
        resampled = [popularity(float(a), float(b)) for a, b in zip(new_likes, new_plays, strict=True)]
        correlations.append(spearman(observed, np.array(resampled)))
    return float(np.mean(correlations))
