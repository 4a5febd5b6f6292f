"""Rules that combine rating and realism, and what the best of n pieces of a pool by each of them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from dilemma_statistics import best_of_n_weights, distribution, hypervolume

from toccata.stats import Interval, percentile_interval

WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, np.inf)  # of realism, that of the rating being 1
GATES = (0, 1, 5, 10, 25, 50, 75, 90, 95)  # percentiles of the realism of real pieces
HINGE = 8.0  # of the rating for one of realism below the threshold
BEST_OF = 16, 64
BISECTIONS = 14
RESAMPLES = 200


@dataclass(frozen=True)
class Axes:
    """Rating and realism of the pieces of a pool (N,), and of real pieces (m,)."""

    rating: np.ndarray
    realism: np.ndarray
    real_rating: np.ndarray
    real_realism: np.ndarray

    def take(self, index: np.ndarray) -> Axes:
        """The same with other pool pieces."""
        return Axes(self.rating[index], self.realism[index], self.real_rating, self.real_realism)


def weighted_sum(axes: Axes, weight: float) -> np.ndarray:
    """Rating + weight * realism; realism alone for an infinite weight."""
    return axes.realism if np.isinf(weight) else axes.rating + weight * axes.realism


def product(axes: Axes, weight: float) -> np.ndarray:
    """Logarithm of F(rating) F(realism)^weight, F being the distribution functions of real pieces."""
    rating = np.log(distribution(axes.rating, axes.real_rating))
    realism = np.log(distribution(axes.realism, axes.real_realism))
    return realism if np.isinf(weight) else rating + weight * realism


def threshold(axes: Axes, percentile: float) -> float:
    """Percentile of the realism of real pieces; 0 is no threshold."""
    return float(np.percentile(axes.real_realism, percentile)) if percentile else -np.inf


def gate(axes: Axes, percentile: float) -> np.ndarray:
    """The rating where realism is at or above a percentile of real pieces, otherwise lower than any rating."""
    return np.where(axes.realism >= threshold(axes, percentile), axes.rating, axes.rating.min() - 1)


def hinge(axes: Axes, percentile: float) -> np.ndarray:
    """The rating minus eight times what realism is below a percentile of real pieces."""
    return axes.rating - HINGE * np.maximum(threshold(axes, percentile) - axes.realism, 0)


def lagrangian_weight(axes: Axes, n: int, level: float) -> float:
    """The least weight of realism, by bisection, at which the mean realism of the best of n is at least a level.

    Infinite where realism alone does not reach it.
    """

    def reached(weight: float) -> bool:
        return float(best_of_n_weights(weighted_sum(axes, weight), n) @ axes.realism) >= level

    if not reached(np.inf):
        return float("inf")
    low, high = 0.0, 1.0
    while not reached(high) and high < 1e6:
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high if reached(high) else float("inf")


def rewards_of(axes: Axes, n: int) -> dict[str, dict[str, np.ndarray]]:
    """By family of rules and setting the reward (N,) of the pool; nine settings in each family."""
    families = {
        "weighted sum": {f"{weight:g}": weighted_sum(axes, weight) for weight in WEIGHTS},
        "product": {f"{weight:g}": product(axes, weight) for weight in WEIGHTS},
        "gate": {f"{percentile} %": gate(axes, percentile) for percentile in GATES},
        "hinge": {f"{percentile} %": hinge(axes, percentile) for percentile in GATES},
    }
    ends = [float(best_of_n_weights(each, n) @ axes.realism) for each in (axes.rating, axes.realism)]
    families["Lagrangian"] = {}
    for share in np.linspace(0, 1, len(WEIGHTS)):
        level = ends[0] + share * (ends[1] - ends[0])
        weight = lagrangian_weight(axes, n, level - 1e-9)
        families["Lagrangian"][f"mean at least {level:.2f}"] = weighted_sum(axes, weight)
    return families


def selected(rewards: Mapping[str, np.ndarray], values: np.ndarray, n: int) -> np.ndarray:
    """(settings, k) expected values of the best of n by each reward, exact over all draws; of (N, k) values."""
    return np.stack([best_of_n_weights(each, n) @ values for each in rewards.values()])


def relative(points: np.ndarray, values: np.ndarray) -> float:
    """Hypervolume of (s, 2) points above the mean of the pool's (N, 2) values, in units of its standard deviations.

    0 where one of the values is constant.
    """
    spread = values.std(axis=0)
    if not (spread > 1e-9).all():
        return 0.0
    return hypervolume((points - values.mean(axis=0)) / spread, np.zeros(2))


def front(
    axes: Axes, judged: np.ndarray, n: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, dict]:
    """By family the points and hypervolumes, in the axes that select and in those of the judges.

    `judged` is (N, k), of which the first two columns are the axes of the judges: gold rating and held-out realism.

    The intervals resample the pool. `gain` and `judged_gain` are the differences from the weighted sum, paired.
    """
    values = np.column_stack([axes.rating, axes.realism, judged])

    def volumes(axes: Axes, values: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        points = {family: selected(each, values, n) for family, each in rewards_of(axes, n).items()}
        volume = {
            family: np.array([relative(each[:, :2], values[:, :2]), relative(each[:, 2:4], values[:, 2:4])])
            for family, each in points.items()
        }
        return points, volume

    points, volume = volumes(axes, values)
    names = {family: list(each) for family, each in rewards_of(axes, n).items()}
    drawn: dict[str, list[np.ndarray]] = {family: [] for family in points}
    for _ in range(resamples):
        index = rng.integers(0, len(values), len(values))
        for family, each in volumes(axes.take(index), values[index])[1].items():
            drawn[family].append(each)
    samples = {family: np.array(each) for family, each in drawn.items()}

    def interval(family: str, axis: int, base: str | None = None) -> Interval:
        if base is None:
            return percentile_interval(volume[family][axis], samples[family][:, axis])
        difference = samples[family][:, axis] - samples[base][:, axis]
        return percentile_interval(volume[family][axis] - volume[base][axis], difference)

    return {
        family: {
            "settings": names[family],
            "points": points[family].round(4).tolist(),
            "hypervolume": interval(family, 0),
            "gain": interval(family, 0, "weighted sum"),
            "judged_hypervolume": interval(family, 1),
            "judged_gain": interval(family, 1, "weighted sum"),
        }
        for family in points
    }


def judged_volumes(
    critics: Mapping[str, Axes], judged: np.ndarray, n: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, dict[str, Interval]]:
    """By critic the hypervolume in the judges' axes (N, 2) of weighted sums and gates of rating and that critic.

    `sum_gain` and `gate_gain` are the differences from the weighted sums of the first critic, in paired resamples.
    """

    def volumes(index: np.ndarray) -> np.ndarray:
        found = []
        for axes in (each.take(index) for each in critics.values()):
            families = (
                {f"{weight:g}": weighted_sum(axes, weight) for weight in WEIGHTS},
                {f"{percentile}": gate(axes, percentile) for percentile in GATES},
            )
            found.append([relative(selected(each, judged[index], n), judged[index]) for each in families])
        return np.array(found)  # (critics, 2)

    estimate = volumes(np.arange(len(judged)))
    drawn = np.array([volumes(rng.integers(0, len(judged), len(judged))) for _ in range(resamples)])
    gain, drawn_gain = estimate - estimate[0, 0], drawn - drawn[:, :1, :1]
    return {
        name: {
            f"{family}{suffix}": percentile_interval(values[row, column], samples[:, row, column])
            for suffix, values, samples in (("", estimate, drawn), ("_gain", gain, drawn_gain))
            for column, family in enumerate(("sum", "gate"))
        }
        for row, name in enumerate(critics)
    }
