"""Statistics of benchmarks/dilemma.py: deciles with ties, partial rank correlation, best-of-n, hypervolume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import gammaln
from scipy.stats import rankdata

from toccata.stats import Interval, pearson, percentile_interval

DECILES = 10
RESAMPLES = 300
REJECTED = 0.1  # of real pieces, by the threshold at which 90 % are accepted


def decile_weights(values: np.ndarray) -> np.ndarray:
    """(10, n) share of each of (n,) values in each tenth of their order, the lowest first; every row sums to n / 10.

    Values that tie share the places that they take together, as in the mean over all ways to break the ties.
    """
    order = np.argsort(values, kind="stable")
    _, first, count = np.unique(values[order], return_index=True, return_counts=True)
    edges = np.arange(DECILES + 1)[:, None] * len(values) / DECILES
    overlap = np.minimum(edges[1:], first + count) - np.maximum(edges[:-1], first)
    by_block = np.maximum(overlap, 0) / count  # (10, blocks)
    weights = np.empty((DECILES, len(values)))
    weights[:, order] = np.repeat(by_block, count, axis=1)
    return weights


def rejected(scores: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) 1 where a score is below the threshold, 0 where it is not."""
    return (scores < threshold).astype(float)


def by_decile(popularity: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """(10,) mean outcome of each tenth by popularity, the least popular first, of (n,) values."""
    weights = decile_weights(popularity)
    return weights @ outcome / weights.sum(axis=1)


def control_design(controls: np.ndarray) -> np.ndarray:
    """(n, 1 + 2k) regressors of (n, k) controls: a constant, the standardised ranks of each, and their squares."""
    ranks = (
        np.column_stack([rankdata(column) for column in controls.T]) if controls.size else np.empty((len(controls), 0))
    )
    ranks = (ranks - ranks.mean(axis=0)) / np.maximum(ranks.std(axis=0), 1e-9)
    return np.column_stack([np.ones(len(controls)), ranks, ranks**2])


def partial_spearman(a: np.ndarray, b: np.ndarray, design: np.ndarray) -> float:
    """Rank correlation of (n,) a and b with the controls of a `control_design` (n, k) held fixed, in [-1, 1].

    Pearson's correlation of the residuals of the ranks of a and b after least squares on the design; 0 where the
    controls determine one of them.
    """
    ranks = np.column_stack([rankdata(a), rankdata(b)])
    ranks = (ranks - ranks.mean(axis=0)) / np.maximum(ranks.std(axis=0), 1e-9)
    residuals = ranks - design @ (np.linalg.pinv(design.T @ design) @ (design.T @ ranks))
    residuals[:, residuals.std(axis=0) < 1e-6] = 0
    return pearson(*residuals.T)


def weighted_auc(positive: np.ndarray, of_positive: np.ndarray, negative: np.ndarray, of_negative: np.ndarray) -> float:
    """AUC of positives over negatives with weights; ties count half."""
    values = np.concatenate([positive, negative])
    _, level = np.unique(values, return_inverse=True)
    mass = np.bincount(level, np.concatenate([np.zeros(len(positive)), of_negative]))
    below = np.cumsum(mass) - mass / 2
    return float(of_positive @ below[level[: len(positive)]] / of_positive.sum() / of_negative.sum())


def auc_interval(positive: np.ndarray, negative: np.ndarray, rng: np.random.Generator) -> Interval:
    """AUC with an interval for which both classes are resampled; `toccata.stats.auc_interval` for thousands of each."""
    weights = [
        rng.multinomial(len(each), np.full(len(each), 1 / len(each)), RESAMPLES) for each in (positive, negative)
    ]
    found = [weighted_auc(positive, a, negative, b) for a, b in zip(*weights, strict=True)]
    estimate = weighted_auc(positive, np.ones(len(positive)), negative, np.ones(len(negative)))
    return percentile_interval(estimate, np.array(found))


def resampled(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    counts: np.ndarray,
    clusters: Sequence[str],
    rng: np.random.Generator,
    *,
    redraw: bool,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """Statistics with percentile-bootstrap intervals that resample whole clusters of pieces.

    Args:
        statistic: (k,) values of the indices (m,) of pieces and their counts (m,).
        counts: (n,) how often each piece was counted.
        clusters: (n,) cluster of each piece.
        rng: random number generator.
        redraw: draw each count anew, from a Poisson distribution around it: the noise of counting.
        resamples: bootstrap samples.
    """
    _, number = np.unique(clusters, return_inverse=True)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    estimate = statistic(np.arange(len(counts)), counts)
    found = []
    for _ in range(resamples):
        index = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        found.append(statistic(index, rng.poisson(counts[index]) if redraw else counts[index]))
    return [percentile_interval(value, each) for value, each in zip(estimate, np.array(found).T, strict=True)]


def distribution(values: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(n,) share of real values at or below each value, in (0, 1): (count + 1/2) / (reals + 1)."""
    return (np.searchsorted(np.sort(real), values, side="right") + 0.5) / (len(real) + 1)


def best_of_n_weights(rewards: np.ndarray, n: int) -> np.ndarray:
    """(N,) probability that each of N pieces is the best of n drawn without replacement; sums to 1.

    The piece of rank i is the best of C(i - 1, n - 1) of the C(N, n) draws. Pieces that tie share what they have
    together: the tie is broken at random.

    Raises:
        ValueError: unless 1 <= n <= N.
    """
    size = len(rewards)
    if not 1 <= n <= size:
        raise ValueError(f"n must be in 1..{size}, got {n}")
    rank = np.arange(1, size + 1)
    of_rank = np.zeros(size)
    of_rank[n - 1 :] = np.exp(_log_choose(rank[n - 1 :] - 1, n - 1) - _log_choose(np.array(size), n))
    order = np.argsort(rewards, kind="stable")
    _, block, count = np.unique(rewards[order], return_inverse=True, return_counts=True)
    shared = np.bincount(block, of_rank) / count
    weights = np.empty(size)
    weights[order] = shared[block]
    return weights


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Area that (k, 2) points dominate above a reference point (2,), both coordinates better when higher.

    Points that are not above the reference in both coordinates add nothing. Source: Zitzler & Thiele 1998,
    "Multiobjective optimization using evolutionary algorithms".
    """
    above = points[(points > reference).all(axis=1)] - reference
    area, height = 0.0, 0.0
    for x, y in above[np.lexsort((-above[:, 1], -above[:, 0]))]:
        if y > height:
            area += x * (y - height)
            height = y
    return float(area)


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    """Logarithm of the binomial coefficient."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
