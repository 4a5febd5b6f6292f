"""Metrics along a long piece, by windows of whole bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from toccata.music.metrics.registry import METRICS
from toccata.music.score import Score


def windows(score: Score, bars: int = 8) -> list[Score]:
    """The score in consecutive windows of `bars` whole bars.

    Bars at the end that do not fill a window are left out, so that windows can be compared; a score that is shorter
    than one is the only window, and one without a bar has none. A note belongs to the window in which it begins, and
    ends with it.

    Raises:
        ValueError: when `bars` is less than 1.
    """
    if bars < 1:
        raise ValueError(f"bars must be at least 1, got {bars}")
    if not score.length_ticks:
        return []
    starts = score.bar_ticks
    lines = np.append(starts, score.next_bar_line(int(starts[-1]) + 1))
    edges = lines[lines <= score.length_ticks][::bars].tolist()
    return [score.slice(start, end) for start, end in pairwise(edges)] or [score]


def by_window(
    score: Score, bars: int = 8, metrics: Mapping[str, Callable[[Score], float]] = METRICS
) -> dict[str, np.ndarray]:
    """(windows,) float64 of each metric by name, in the `windows` of a score.

    Args:
        score: a piece of any length.
        bars: of a window.
        metrics: functions of a score by name; by default all of `measure`.

    Raises:
        ValueError: when `bars` is less than 1.
    """
    parts = windows(score, bars)
    return {name: np.array([metric(part) for part in parts], float) for name, metric in metrics.items()}
