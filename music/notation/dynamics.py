"""Dynamic marks: bar by bar, those near the velocities, with few changes."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from toccata.music.notation.smoothing import best_path

MARKS = {"pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112}  # velocities as in MuseScore and Finale
STEP = 16  # from a mark to the next
MOST = 2.0  # steps that count in a bar: one bar is no change
CHANGE = 1.5  # steps, in all bars, by which another mark must be nearer


def dynamic_marks(velocities: np.ndarray, bar: np.ndarray, bars: int) -> list[tuple[int, str]]:
    """(bar, mark) of each change of the dynamics.

    Args:
        velocities: (notes,) 1-127.
        bar: (notes,) in which each begins, ascending.
        bars: their number.
    """
    costs = np.zeros((bars, len(MARKS)))
    starts = np.searchsorted(bar, np.arange(bars + 1))
    levels = np.array([*MARKS.values()])
    for index in np.unique(bar):
        median = np.median(velocities[starts[index] : starts[index + 1]])
        costs[index] = np.minimum(np.abs(levels - median) / STEP, MOST)
    path = best_path(costs, repeat(CHANGE * (1 - np.eye(len(MARKS)))))
    names = [*MARKS]
    changes = np.flatnonzero(np.diff(path, prepend=-1))
    return [(int(index), names[path[index]]) for index in changes] if len(velocities) else []
