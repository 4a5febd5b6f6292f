"""Number of statistically different bins (Richardson & Weiss 2018)."""

from __future__ import annotations

import numpy as np

SIGNIFICANT = 1.959964  # standard errors: 5 %, two-sided
ITERATIONS = 100


def different_bins(values: np.ndarray, real: np.ndarray, bins: int = 20, seed: int = 0) -> float:
    """The share of bins in which a set has significantly more or fewer pieces than real music, in [0, 1]: NDB / K.

    The bins are the clusters of the real pieces, by k-means on features with mean 0 and standard deviation 1 there;
    every piece is in the bin of the nearest centre. In each bin the two shares are compared by the two-proportion z
    test at 5 %. So a set like the real one has about 0.05, one that misses kinds of music, or has one kind only, more.

    Features that are constant in `real` are left out. There are at most as many bins as different real pieces. 0 where
    either set is empty.

    Args:
        values: (n, d) features of the pieces of a set.
        real: (m, d) the same of real music, to which the bins are fitted.
        bins: K; about ten pieces a bin, or no difference is significant.
        seed: of k-means.

    Source: Richardson & Weiss 2018, "On GANs and GMMs", NeurIPS, section 3; k-means++ (Arthur & Vassilvitskii 2007).
    """
    if not len(values) or not len(real):
        return 0.0
    mean, deviation = real.mean(axis=0), real.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(1, np.abs(mean))
    standard = (real[:, varies] - mean[varies]) / deviation[varies]
    others = (values[:, varies] - mean[varies]) / deviation[varies]
    centres = _k_means(standard, min(bins, len(np.unique(standard, axis=0))), np.random.default_rng(seed))
    counts = [np.bincount(_nearest(each, centres), minlength=len(centres)) for each in (others, standard)]
    ours, theirs = counts[0] / len(values), counts[1] / len(real)
    pooled = (counts[0] + counts[1]) / (len(values) + len(real))
    error = np.sqrt(pooled * (1 - pooled) * (1 / len(values) + 1 / len(real)))
    return float((np.abs(ours - theirs) > SIGNIFICANT * error).mean())


def _k_means(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, d) centres of the clusters of points (m, d), of which `count` are different."""
    centres = points[rng.integers(len(points))][None]
    while len(centres) < count:
        distances = _squared(points, centres).min(axis=1)
        distances[distances < 1e-12] = 0.0  # of a centre from itself, up to rounding
        if not distances.any():
            break
        centres = np.vstack([centres, points[rng.choice(len(points), p=distances / distances.sum())]])
    for _ in range(ITERATIONS):
        nearest = _nearest(points, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        sizes = np.bincount(nearest, minlength=len(centres))[:, None]
        moved = np.where(sizes > 0, sums / np.maximum(sizes, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(m,) number of the nearest centre of each point, the first of several."""
    return _squared(points, centres).argmin(axis=1)


def _squared(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(m, k) squared distances."""
    return np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
