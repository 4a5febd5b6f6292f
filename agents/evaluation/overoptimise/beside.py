"""A run beside its reference policy: gain, share of the limit, and the n of best-of-n with the same reward."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toccata.agents.evaluation.overoptimise.best_of_n import SIZES, best_of_n_weights, equivalent_n
from toccata.agents.evaluation.overoptimise.limit import Limit

RESAMPLES = 200
LEAST_GROUPS = 4  # groups of n that a pool must hold for best-of-n: the best of fewer are chance
GAIN, SHARE, SAME_N = "gain", "share_of_limit", "same_as_best_of"


@dataclass(frozen=True)
class Base:
    """The rewards of a pool, and what follows from them.

    Attributes:
        rewards: (m,).
        limit: the most reward at each KL.
        curve: (k, 2) n and expected reward of best-of-n.
    """

    rewards: np.ndarray
    limit: Limit
    curve: np.ndarray

    @classmethod
    def of(cls, rewards: np.ndarray, least_effective: float) -> Base:
        """The base of a pool."""
        curve = [(n, float(best_of_n_weights(rewards, n) @ rewards)) for n in sizes_of(len(rewards))]
        return cls(rewards, Limit.of(rewards, least_effective), np.array(curve))


def sizes_of(pieces: int) -> list[int]:
    """The n for which a pool has enough pieces; 1 at least."""
    return [n for n in SIZES if n == 1 or n * LEAST_GROUPS <= pieces]


def share_of_limit(reward: float, kl: float, limit: Limit) -> float | None:
    """The gain of a reward over the start, in gains of the limit at a KL in nats; None where the limit has none."""
    start = float(limit.rewards.mean())
    most = limit.reward(kl) - start
    return (reward - start) / most if most > 1e-9 else None


def beside(rewards: np.ndarray, kl: np.ndarray | None, base: Base) -> dict[str, float | None]:
    """`gain`, `share_of_limit` and `same_as_best_of`, infinite beyond the largest n, of pieces (n,) of a run."""
    reward = float(rewards.mean())
    n = equivalent_n(reward, base.curve)
    return {
        GAIN: reward - float(base.rewards.mean()),
        SHARE: None if kl is None else share_of_limit(reward, float(kl.mean()), base.limit),
        SAME_N: np.inf if n is None else n,
    }


def resampled_shares(
    rewards: np.ndarray, kl: np.ndarray, base: Base, least_effective: float, rng: np.random.Generator
) -> np.ndarray:
    """(<= RESAMPLES,) shares of the limit of bootstrap samples of the pieces (n,) of a run and of those of the pool."""
    shares = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(rewards), len(rewards))
        pool = rng.choice(base.rewards, len(base.rewards))
        share = share_of_limit(float(rewards[rows].mean()), float(kl[rows].mean()), Limit.of(pool, least_effective))
        shares += [] if share is None else [share]
    return np.array(shares)
