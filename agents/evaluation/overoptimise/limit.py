"""The most reward at each KL: the tilted distribution reference(x) exp(reward(x) / beta), from a pool of the reference.

Of all distributions with one KL from the reference it has the highest expected reward (Korbak et al. 2022, "RL with KL
penalties is better viewed as Bayesian inference"). Numpy alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

BISECTIONS = 60
LARGEST_LOG = 30.0  # of u, see `extrapolated_gain`
NEARLY_GAUSSIAN = 1e-6  # of the ratio by which the shape is found
HOLD_OUTS = 32  # smaller pools from which the whole one's limit is predicted
SMALLER = 8  # a smaller pool has an eighth of the pieces
LEAST_OF_SMALLER = 8  # effective sample size of a smaller pool: it must leave something to predict


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

    Attributes:
        rewards: (m,) of the pool.
        edge: 1 / beta at which the effective sample size has fallen to the least.
        edge_kl: nats there.
        edge_reward: expected reward there.
        shape: of the gamma distribution that extrapolates, 4 / skewness squared; negative where its tail is bounded
            above, infinite of a Gaussian. See `extrapolated_gain`.
    """

    rewards: np.ndarray
    edge: float
    edge_kl: float
    edge_reward: float
    shape: float

    @classmethod
    def of(cls, rewards: np.ndarray, least_effective: float) -> Limit:
        """The limit of a pool of at least two pieces.

        Args:
            rewards: (m,).
            least_effective: effective sample size down to which the pool is trusted.
        """
        spread = float(np.ptp(rewards))
        if not spread:
            return cls(rewards, 0.0, 0.0, float(rewards[0]), np.inf)
        least = min(float(least_effective), len(rewards) / 2)
        most = 1e4 / spread  # where nothing but the best is left
        edge = _bisect(lambda each: least - effective_size(tilted_weights(rewards, each)), most)
        weights = tilted_weights(rewards, edge)
        kl, reward = kl_of(weights), float(weights @ rewards)
        gain, std = reward - float(rewards.mean()), float(rewards.std())
        shape = fitted_shape(gain, kl, std) if edge < most else -((gain / std) ** 2)  # many have the highest reward
        return cls(rewards, edge, kl, reward, shape)

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
        gain = extrapolated_gain(kl, float(self.rewards.std()), self.shape)
        return max(self.edge_reward, float(self.rewards.mean()) + gain)


def gaussian_gain(kl: float, std: float) -> float:
    """The most gain at a KL in nats of a Gaussian reward: std sqrt(2 KL)."""
    return std * float(np.sqrt(2 * max(kl, 0.0)))


def extrapolated_gain(kl: float, std: float, shape: float) -> float:
    """The most gain at a KL in nats of a reward with a shifted gamma distribution.

    With u = 1 / (1 - scale / beta) the gain is std sqrt(k) |u - 1| and the KL is k (u - 1 - log u), k = |shape|: u is
    above 1 where the long tail is that of high rewards, and below where it is that of low ones, which bounds the gain
    by std sqrt(k). For k to infinity both become `gaussian_gain`.

    Args:
        kl: nats.
        std: of the reward under the reference.
        shape: 4 / skewness squared, negative of negative skewness, infinite of none.
    """
    size = abs(shape)
    if not np.isfinite(shape) or kl <= 0:
        return gaussian_gain(kl, std)
    wanted = kl / size
    highest = 2 * wanted + 2 * math.sqrt(wanted) + 1
    if shape > 0:
        root = _bisect(lambda step: step - math.log1p(step) - wanted, highest)
    else:  # u = exp(-step), so that a large KL is no cancellation
        root = -math.expm1(-_bisect(lambda step: math.expm1(-step) + step - wanted, highest))
    return std * math.sqrt(size) * root


def fitted_shape(gain: float, kl: float, std: float) -> float:
    """The shape with which `extrapolated_gain` at a KL in nats is `gain`; infinite where that is the Gaussian's."""
    if not (gain > 0 and kl > 0 and std > 0):
        return np.inf
    ratio = kl * (std / gain) ** 2  # (u - 1 - log u) / (u - 1)^2, which falls with u, and is 1/2 of a Gaussian
    if abs(ratio - 0.5) < NEARLY_GAUSSIAN:
        return np.inf
    log_u = _bisect(lambda x: ratio - _curvature(x - LARGEST_LOG), 2 * LARGEST_LOG) - LARGEST_LOG
    size = (gain / (std * math.expm1(log_u))) ** 2
    return math.copysign(size, log_u)


def _curvature(log_u: float) -> float:
    """(u - 1 - log u) / (u - 1)^2."""
    step = math.expm1(log_u)
    return (step - log_u) / step**2 if step else 0.5


def hold_out(rewards: np.ndarray, rng: np.random.Generator, least_effective: float) -> dict[str, float]:
    """How well smaller pools predict the limit of the whole one, at the KL of its edge.

    Args:
        rewards: (m,) of the whole pool, at least 64.
        rng: draws `HOLD_OUTS` smaller pools of an eighth of the pieces.
        least_effective: of the whole pool.

    Returns:
        `kl`, at which it is predicted, and `from_kl`, the mean edge of the smaller pools, in nats; `truth`, the gain of
        the whole pool there; mean predicted gain by the `gamma` that `Limit` uses, by a `gaussian` of the mean and
        standard deviation, and by the `tangent` of the gain against the square root of the KL at the edge.
    """
    whole = Limit.of(rewards, least_effective)
    found: dict[str, list[float]] = {"from_kl": [], "gamma": [], "gaussian": [], "tangent": []}
    for _ in range(HOLD_OUTS):
        part = rng.choice(rewards, max(len(rewards) // SMALLER, 2), replace=False)
        limit = Limit.of(part, LEAST_OF_SMALLER)
        found["from_kl"].append(limit.edge_kl)
        found["gamma"].append(extrapolated_gain(whole.edge_kl, float(part.std()), limit.shape))
        found["gaussian"].append(gaussian_gain(whole.edge_kl, float(part.std())))
        edge, distance = np.sqrt(limit.edge_kl), np.sqrt(whole.edge_kl) - np.sqrt(limit.edge_kl)
        slope = 2 * edge / limit.edge if limit.edge else 0.0  # d reward / d KL is beta
        found["tangent"].append(limit.edge_reward - float(part.mean()) + slope * distance)
    truth = whole.edge_reward - float(rewards.mean())
    return {"kl": whole.edge_kl, "truth": truth, **{name: float(np.mean(each)) for name, each in found.items()}}


def _bisect(rising: Callable[[float], float], high: float) -> float:
    """The root in [0, high] of a function that rises; `high` where it stays below 0."""
    low = 0.0
    if rising(high) <= 0:
        return high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
