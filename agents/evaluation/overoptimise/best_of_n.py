"""Best-of-n from a pool: the exact expectation under the best of n of it, and its KL. Numpy alone."""

from __future__ import annotations

import numpy as np

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # n


def kl_of_best_of(n: float) -> float:
    """Nats by which best-of-n is at most from what it samples: log n - (n - 1) / n.

    Source: Beirami et al. 2024, "Theoretical guarantees on the best-of-n alignment policy", theorem 1: an upper bound,
    which many call the KL; it is tight while n is small beside the number of pieces that are likely.
    """
    return float(np.log(n) - (n - 1) / n)


def best_of_n_weights(rewards: np.ndarray, n: int, counts: np.ndarray | None = None) -> np.ndarray:
    """(m,) probabilities that each piece is the best of n drawn from the pool without replacement.

    That of the piece with the i-th lowest of m different rewards is C(i - 1, n - 1) / C(m, n). Pieces with equal
    rewards are the best in equal shares.

    Args:
        rewards: (m,) of the pool.
        n: at least 1, at most the number of pieces.
        counts: (m,) how often each piece is in the pool, as in a bootstrap sample; by default once.

    Raises:
        ValueError: for an n outside its range.
    """
    counts = np.ones(len(rewards), np.int64) if counts is None else counts
    size = int(counts.sum())
    if not 1 <= n <= size:
        raise ValueError(f"n must be at least 1 and at most the {size} pieces of the pool, got {n}")
    _, level = np.unique(rewards, return_inverse=True)
    of_level = np.bincount(level, counts).astype(np.int64)
    below = np.cumsum(of_level)  # pieces up to each level of reward
    share = np.diff(_share_of_subsets(below, size, n), prepend=0.0)  # that the best is of the level
    return share[level] * counts / np.maximum(of_level, 1)[level]


def _share_of_subsets(part: np.ndarray, whole: int, n: int) -> np.ndarray:
    """C(part, n) / C(whole, n) of each part, 0 where it is smaller than n."""
    ratio = np.ones(len(part))
    for drawn in range(n):
        ratio *= np.maximum(part - drawn, 0) / (whole - drawn)
    return ratio


def best_of_n_sets(rewards: np.ndarray, n: int, size: int, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`count` sets of the indices (size,) of pieces, each the best of n of its own; none where the pool is too small.

    The pool is divided at random into groups of n, whose best are independent and different, anew for each set.

    Args:
        rewards: (m,) of the pool, at least n * size for there to be sets.
        n: pieces in a group.
        size: of a set.
        count: number of sets.
        rng: divides the pool.
    """
    if len(rewards) < n * size:
        return []
    groups = [rng.permutation(len(rewards))[: n * size].reshape(size, n) for _ in range(count)]
    return [group[np.arange(size), rewards[group].argmax(axis=1)] for group in groups]


def equivalent_n(reward: float, curve: np.ndarray) -> float | None:
    """The n of best-of-n with a given expected reward, between those of `curve` linear in log n.

    Args:
        reward: to be reached.
        curve: (k, 2) n and expected reward, both rising.

    Returns:
        1 for a reward at or below that of one sample; None beyond the last n.
    """
    n, expected = curve.T
    if reward > expected[-1]:
        return None
    return float(np.exp(np.interp(reward, expected, np.log(n))))
