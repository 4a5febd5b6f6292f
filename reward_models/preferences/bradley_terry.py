"""The model of Bradley and Terry: a strength for each item, from votes on pairs of items."""

from __future__ import annotations

import numpy as np

PRIOR_SD = 2.0  # of strengths: a piece one standard deviation above another is preferred by 88 % of the listeners
STEPS = 50  # of Newton's method, which needs fewer than ten
TOLERANCE = 1e-8  # of the strengths, in log-odds


def bradley_terry(
    first: np.ndarray, second: np.ndarray, share: np.ndarray, items: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Strengths of items, with `P(first is preferred to second) = 1 / (1 + exp(second's strength - first's))`.

    Bradley & Terry 1952, "Rank analysis of incomplete block designs", with a normal prior of standard deviation
    `PRIOR_SD` on each strength, so that all are finite after any votes; the posterior's mode by Newton's method. A tie
    is half a win of each: wins and half the ties are what Davidson's model of ties estimates strengths from, too (1970,
    "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments").

    Args:
        first: (m,) index of an item in 0..items-1 for each vote.
        second: (m,) index of the other.
        share: (m,) 1 where the first was preferred, 0 where the second was, 0.5 for a tie.
        items: n.
        weights: (m,) how often each vote counts; by default once.

    Returns:
        (n,) strengths in log-odds, of mean 0; and (n, n) the covariance of the posterior at its mode, whose diagonal
        has the squared standard errors (Laplace's approximation).
    """
    weights = np.ones(len(first)) if weights is None else weights
    strengths = np.zeros(items)
    precision = np.eye(items) / PRIOR_SD**2
    for _ in range(STEPS):
        expected = 1 / (1 + np.exp(strengths[second] - strengths[first]))
        surprise = weights * (share - expected)
        won = np.bincount(first, surprise, items) - np.bincount(second, surprise, items)
        gradient = won - strengths / PRIOR_SD**2
        curvature = weights * expected * (1 - expected)
        hessian = precision.copy()
        np.add.at(hessian, (first, first), curvature)
        np.add.at(hessian, (second, second), curvature)
        np.add.at(hessian, (first, second), -curvature)
        np.add.at(hessian, (second, first), -curvature)
        step = np.linalg.solve(hessian, gradient)
        strengths += step
        if np.abs(step).max(initial=0) < TOLERANCE:
            break
    return strengths - strengths.mean() if items else strengths, np.linalg.inv(hessian)
