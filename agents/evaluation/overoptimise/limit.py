"""The most reward at each KL: the tilted distribution reference(x) exp(reward(x) / beta), from a pool of the reference.

Of all distributions with one KL from the reference it has the highest expected reward (Korbak et al. 2022, "RL with KL
penalties is better viewed as Bayesian inference"). Numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BISECTIONS = 60
HOLD_OUTS = 32  # smaller pools from which the whole one's limit is predicted
SMALLER = 8  # a smaller pool has an eighth of the pieces


def tilted_weights(rewards: np.ndarray, inverse_beta: float) -> np.ndarray:
    """(m,) self-normalised weights exp(reward / beta) of a pool, which add up to 1."""
    weights = np.exp(inverse_beta * (rewards - rewards.max()))
    return weights / weights.sum()


def effective_size(weights: np.ndarray) -> float:
    """Effective sample size of normalised weights (Kong 1992): 1 / sum of squares, in [1, m]."""
    return float(1 / (weights**2).sum())


def kl_of(weights: np.ndarray) -> float:
    """Nats of normalised weights (m,) from equal ones, sum w log(m w); at most log m."""
    positive = weights[weights > 0]
    return max(0.0, float((positive * np.log(len(weights) * positive)).sum()))


@dataclass(frozen=True)
class Limit:
    """The limit of a pool: exact for the pool up to an edge, and extrapolated beyond.

    Beyond, the reward goes on as that of a Gaussian with the standard deviation of the pool, linear in sqrt(KL). Of
    real pools that predicted better, and varied less, than a gamma distribution or the tangent at the edge: see
    docs/overoptimisation.md.

    Attributes:
        rewards: (m,) of the pool.
        edge: 1 / beta at which the effective sample size has fallen to the least.
        edge_kl: nats there.
        edge_reward: expected reward there.
        slope: of the reward beyond, a square root of nats.
    """

    rewards: np.ndarray
    edge: float
    edge_kl: float
    edge_reward: float
    slope: float

    @classmethod
    def of(cls, rewards: np.ndarray, least_effective: float) -> Limit:
        """The limit of a pool of at least two pieces.

        Args:
            rewards: (m,).
            least_effective: effective sample size down to which the pool is trusted; at most half of the pieces.
        """
        spread = float(np.ptp(rewards))
        if not spread:
            return cls(rewards, 0.0, 0.0, float(rewards[0]), 0.0)
        least = min(float(least_effective), len(rewards) / 2)
        most = 1e4 / spread  # where nothing but the best is left
        edge = _bisect(lambda each: least - effective_size(tilted_weights(rewards, each)), most)
        weights = tilted_weights(rewards, edge)
        slope = float(np.sqrt(2) * rewards.std()) if edge < most else 0.0  # many have the highest reward: no more
        return cls(rewards, edge, kl_of(weights), float(weights @ rewards), slope)

    def weights(self, kl: float) -> np.ndarray | None:
        """(m,) weights of the pool under the limit at a KL in nats; None beyond the edge."""
        if kl > self.edge_kl:
            return None
        return tilted_weights(self.rewards, self.inverse_beta(kl))

    def inverse_beta(self, kl: float) -> float:
        """1 / beta at a KL of at most that of the edge, in nats."""
        return _bisect(lambda each: kl_of(tilted_weights(self.rewards, each)) - kl, self.edge)

    def reward(self, kl: float) -> float:
        """The most expected reward at a KL in nats, at least 0; beyond the edge an extrapolation."""
        weights = self.weights(kl)
        if weights is not None:
            return float(weights @ self.rewards)
        return self.edge_reward + self.slope * float(np.sqrt(kl) - np.sqrt(self.edge_kl))


def hold_out(rewards: np.ndarray, rng: np.random.Generator, least_effective: float) -> dict[str, float]:
    """How well smaller pools predict the limit of the whole one, at the KL of its edge.

    Args:
        rewards: (m,) of the whole pool.
        rng: draws `HOLD_OUTS` smaller pools of an eighth of the pieces.
        least_effective: of all pools.

    Returns:
        `kl`, at which it is predicted, and `from_kl`, the mean edge of the smaller pools, in nats; `truth`, the gain of
        the whole pool there; `predicted`, the mean of what smaller pools predict, and `spread`, its standard deviation.
    """
    whole, size = Limit.of(rewards, least_effective), max(len(rewards) // SMALLER, 2)
    limits = [Limit.of(rng.choice(rewards, size, replace=False), least_effective) for _ in range(HOLD_OUTS)]
    predicted = [limit.reward(whole.edge_kl) - limit.rewards.mean() for limit in limits]
    return {
        "kl": whole.edge_kl,
        "from_kl": float(np.mean([limit.edge_kl for limit in limits])),
        "truth": whole.edge_reward - float(rewards.mean()),
        "predicted": float(np.mean(predicted)),
        "spread": float(np.std(predicted)),
    }


def _bisect(rising: Callable[[float], float], high: float) -> float:
    """The root in [0, high] of a function that rises; `high` where it stays below 0."""
    low = 0.0
    if rising(high) <= 0:
        return high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
