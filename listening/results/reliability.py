"""Whether listeners agree with each other: on pairs of pieces that several of them were asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toccata.listening.results.ballots import Ballots
from toccata.stats import percentile_interval

FEWEST_PAIRS = 10  # that two or more listeners voted on
RESAMPLES = 1000


def krippendorff_alpha(units: Sequence[np.ndarray]) -> float:
    """Krippendorff's alpha with interval metric: 1 - observed / expected disagreement, in (-1, 1]; 0 is chance.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": disagreement of two values is their squared
    difference, observed within units and expected between any two values.

    Args:
        units: the values of each unit, (k,) of any length; those of fewer than two are not used.

    Returns:
        alpha; 1 where all values are equal, as nobody disagrees.
    """
    units = [np.asarray(unit, float) for unit in units if len(unit) > 1]
    return float(_alphas(_moments(units), np.ones((1, len(units))))[0])


def _moments(units: Sequence[np.ndarray]) -> np.ndarray:
    """(units, 4): number of values, disagreement within the unit times that number, sum, and sum of squares."""
    rows = [[len(unit), len(unit) * 2 * unit.var(ddof=1), unit.sum(), (unit**2).sum()] for unit in units]
    return np.array(rows, float).reshape(-1, 4)


def _alphas(moments: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(n,) alpha of each of (n, units) weights, how often each unit counts."""
    count, within, total, squares = (weights @ moments).T
    # The mean squared difference of two different values is twice the variance with n - 1
    between = 2 * (squares - total**2 / np.maximum(count, 1)) / np.maximum(count - 1, 1)
    observed = within / np.maximum(count, 1)
    equal = between <= 1e-12
    return np.where(equal, 1.0, 1 - observed / np.where(equal, 1.0, between))


def agreement_of_listeners(ballots: Ballots, seed: int) -> dict[str, Any]:
    """Agreement on pairs that two or more listeners voted on.

    Which piece of a pair comes first is arbitrary, so each unit enters alpha in both orders: then 0 is the agreement
    of voters without a preference for any piece.

    Returns:
        `pairs`, how many there are; `agreeing`, the share of two votes on one pair that are the same, and `chance`, the
        share of equal votes among all; `alpha` with `low` and `high`, 95 % by resampling pairs. All but `pairs` are
        None where there are fewer than `FEWEST_PAIRS`.
    """
    low, high = np.minimum(ballots.first, ballots.second), np.maximum(ballots.first, ballots.second)
    share = np.where(ballots.first == low, ballots.share, 1 - ballots.share)
    _, pair = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    pair = pair.ravel()  # numpy 2.0 gives it another axis
    units = [share[pair == number] for number in range(pair.max(initial=-1) + 1)]
    units = [unit for unit in units if len(unit) > 1]
    found: dict[str, Any] = {"pairs": len(units)} | dict.fromkeys(("agreeing", "chance", "alpha", "low", "high"))
    if len(units) < FEWEST_PAIRS:
        return found

    moments = _moments(units) + _moments([1 - unit for unit in units])
    drawn = np.random.default_rng(seed).multinomial(len(units), np.full(len(units), 1 / len(units)), RESAMPLES)
    interval = percentile_interval(_alphas(moments, np.ones((1, len(units))))[0], _alphas(moments, drawn))
    same = [(unit[:, None] == unit).sum() - len(unit) for unit in units]
    every = [len(unit) * (len(unit) - 1) for unit in units]
    votes = np.concatenate([*units, *(1 - unit for unit in units)])
    shares = np.unique(votes, return_counts=True)[1] / len(votes)
    return found | {
        "agreeing": float(sum(same) / sum(every)),
        "chance": float((shares**2).sum()),
        "alpha": interval.mean,
        "low": interval.low,
        "high": interval.high,
    }
