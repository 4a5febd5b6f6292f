"""How well predictions of popularity agree with what is known, next to simple baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.reward_models.preferences.reading import Preference, popularity
from toccata.stats import bootstrap_clusters, pearson, spearman

RIDGE_PENALTY = 10.0  # on standardised features; anything in 1..100 gives the same third digit
RESAMPLES = 500
DECILES = 10


@dataclass(frozen=True)
class Agreement:
    """How well (n,) predictions agree with what is known.

    Args:
        rank_correlation: Spearman's, in [-1, 1]; 0 for constant predictions.
        interval: its 95 % bootstrap interval, whole groups resampled.
        correlation: Pearson's, in [-1, 1]; 0 for constant predictions.
        mean_squared_error: in variances of what is known.
        pieces: how many were predicted.
    """

    rank_correlation: float
    interval: tuple[float, float]
    correlation: float
    mean_squared_error: float
    pieces: int


def agreement(predicted: np.ndarray, known: np.ndarray, groups: Sequence[str], seed: int = 0) -> Agreement:
    """Compare (n,) predictions with (n,) known values; `groups`, (n,), are resampled whole for the interval."""

    def rank_correlation(index: np.ndarray) -> float:
        return spearman(predicted[index], known[index])

    interval = bootstrap_clusters(rank_correlation, groups, np.random.default_rng(seed), RESAMPLES)
    return Agreement(
        interval.mean,
        (interval.low, interval.high),
        pearson(predicted, known),
        float(np.mean((predicted - known) ** 2)),
        len(known),
    )


def ridge(features: np.ndarray, targets: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Ridge regression of (n,) targets on (n, k) standardised features, predicted for (m, k) `unseen`."""
    mean, scale = features.mean(0), features.std(0).clip(1e-9)
    x, offset = (features - mean) / scale, targets.mean()
    weights = np.linalg.solve(x.T @ x + RIDGE_PENALTY * np.eye(x.shape[1]), x.T @ (targets - offset))
    return offset + (unseen - mean) / scale @ weights


def calibration(predicted: np.ndarray, known: np.ndarray) -> list[dict[str, float]]:
    """Predicted against observed by decile of the prediction: `predicted`, `observed` (means) and `pieces` of each.

    Of fewer than ten pieces each is a group of its own.
    """
    groups = np.array_split(np.argsort(predicted, kind="stable"), min(DECILES, len(predicted)))
    return [
        {"predicted": float(predicted[g].mean()), "observed": float(known[g].mean()), "pieces": len(g)} for g in groups
    ]


def noise_ceiling(preferences: Sequence[Preference], seed: int = 0) -> float:
    """How well p ranks like itself when the same people listen again: a bound for any prediction of it.

    Plays are drawn anew as Poisson numbers and likes as binomial ones at the observed like rate; the rank
    correlation of old and new p, the mean of 20 draws, in [-1, 1]. It knows the noise of counting alone; who listened,
    and where, adds more.
    """
    rng = np.random.default_rng(seed)
    plays, likes = (np.array([getattr(p, name) for p in preferences]) for name in ("plays", "likes"))
    known = np.array([preference.popularity for preference in preferences])
    correlations = []
    for _ in range(20):
        new_plays = np.maximum(rng.poisson(plays), 1)
        new_likes = rng.binomial(new_plays, np.clip(likes / plays, 0, 1))
        again = [popularity(float(a), float(b)) for a, b in zip(new_likes, new_plays, strict=True)]
        correlations.append(spearman(known, np.array(again)))
    return float(np.mean(correlations))
