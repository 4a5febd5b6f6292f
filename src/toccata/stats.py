"""Statistics of results: bootstrap intervals, correlations, and the area under the ROC curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000
MAX_DRAWN_AT_ONCE = 2**22  # values in memory together


class Interval(NamedTuple):
    """An estimate with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """`2.31 [2.25, 2.38]`."""
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


def percentile_interval(estimate: float, resampled: np.ndarray) -> Interval:
    """The percentile-bootstrap interval of an estimate (Efron & Tibshirani 1993, chapter 13).

    Args:
        estimate: from all data.
        resampled: (resamples,) the same estimate from each bootstrap sample.
    """
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(estimate), float(low), float(high))


def bootstrap_mean(values: np.ndarray, rng: np.random.Generator) -> Interval:
    """Mean of (n,) values, which are resampled independently."""
    return percentile_interval(values.mean(), _resampled_means(values, rng))


def bootstrap_difference(ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> Interval:
    """Difference of the means of (n,) and (m,) values, both resampled independently."""
    resampled = _resampled_means(ours, rng) - _resampled_means(theirs, rng)
    return percentile_interval(ours.mean() - theirs.mean(), resampled)


def bootstrap_mean_of_clusters(clusters: Sequence[np.ndarray], rng: np.random.Generator) -> Interval:
    """Mean of the means of k clusters, such as seeds; clusters are resampled, then the values in each of them.

    With one cluster the interval is that of its values alone. Source: Davison & Hinkley 1997, "Bootstrap Methods and
    their Application", section 3.8.

    Args:
        clusters: the values of each, (n,) of any length.
        rng: random number generator.
    """
    return percentile_interval(_mean_of_means(clusters), _resampled_clusters(clusters, _draws(clusters, rng), rng))


def bootstrap_difference_of_clusters(
    ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], rng: np.random.Generator, *, paired: bool
) -> Interval:
    """Difference of two means of clusters; clusters are resampled, then the values in each of them.

    Args:
        ours: the values of each cluster, (n,) of any length.
        theirs: likewise.
        rng: random number generator.
        paired: clusters with the same index, such as those of one seed, are drawn together: there are as many of each.
    """
    ours_drawn = _draws(ours, rng)
    theirs_drawn = ours_drawn if paired else _draws(theirs, rng)
    resampled = _resampled_clusters(ours, ours_drawn, rng) - _resampled_clusters(theirs, theirs_drawn, rng)
    return percentile_interval(_mean_of_means(ours) - _mean_of_means(theirs), resampled)


def _mean_of_means(clusters: Sequence[np.ndarray]) -> float:
    return float(np.mean([values.mean() for values in clusters]))


def _draws(clusters: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(resamples, k) indices of clusters."""
    return rng.integers(0, len(clusters), (RESAMPLES, len(clusters)))


def _resampled_clusters(clusters: Sequence[np.ndarray], drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(resamples,) means of means of the clusters at `drawn` (resamples, k), the values of each resampled."""
    means = np.empty(drawn.shape)
    for number, values in enumerate(clusters):
        rows, columns = np.nonzero(drawn == number)
        at_once = max(1, MAX_DRAWN_AT_ONCE // len(values))
        for first in range(0, len(rows), at_once):
            part = slice(first, first + at_once)
            size = len(rows[part])
            means[rows[part], columns[part]] = rng.choice(values, (size, len(values))).mean(axis=1)
    return means.mean(axis=1)


def _resampled_means(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)


def bootstrap_clusters(
    statistic: Callable[[np.ndarray], float], clusters: Sequence[str], rng: np.random.Generator, resamples: int
) -> Interval:
    """A statistic of n values with an interval that resamples whole clusters of them.

    Args:
        statistic: of the values at the indices (k,) that it is given.
        clusters: (n,) name of the cluster of each value.
        rng: random number generator.
        resamples: bootstrap samples.
    """
    _, number = np.unique(clusters, return_inverse=True)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    resampled = []
    for _ in range(resamples):
        index = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        resampled.append(statistic(index))
    return percentile_interval(statistic(np.arange(len(number))), np.array(resampled))


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two (n,) arrays, in [-1, 1]; 0 where one is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-9 else 0.0


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation of two (n,) arrays, in [-1, 1]; ties share their mean rank; 0 if one is constant."""
    from scipy.stats import rankdata

    return pearson(rankdata(a), rankdata(b))


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]: probability that a positive scores above a negative; ties count half."""
    return float((np.sign(np.subtract.outer(positive, negative)) + 1).mean() / 2)
