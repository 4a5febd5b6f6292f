"""The cheapest sequence of states, where changes cost."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def best_path(costs: np.ndarray, changes: Iterable[np.ndarray]) -> np.ndarray:
    """(n,) int64, the state at each of n steps whose costs and changes have the least sum (Viterbi's algorithm).

    Args:
        costs: (n, states) of each state at each step.
        changes: for each step from the second on, (states, states) of the change from the row's state to the column's.
    """
    steps, states = costs.shape
    path = np.zeros(steps, np.int64)
    if not steps:
        return path
    before = np.zeros((steps, states), np.int64)  # the best state before
    total = costs[0]
    for step, change in zip(range(1, steps), changes, strict=False):
        ways = total[:, None] + change
        before[step] = ways.argmin(0)
        total = ways.min(0) + costs[step]
    path[-1] = total.argmin()
    for step in range(steps - 1, 0, -1):
        path[step - 1] = before[step, path[step]]
    return path
