"""Clefs and octave lines of a staff: bar by bar, those with few ledger lines and few changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from toccata.music.notation.smoothing import best_path


class Clef(NamedTuple):
    """What shows the octave of a bar's notes."""

    sign: str  # "G" or "F"
    octaves: int  # 1: written an octave lower under 8va; -1: higher, over 8vb


CLEFS = (Clef("G", 0), Clef("F", 0), Clef("G", 1), Clef("F", -1))
LOWEST_LINE = {"G": 30, "F": 18}  # steps above C0: E4 and G2
OTHER_CLEF = 3.0  # cost of a bar in a clef that is not the staff's own
OCTAVE_LINE = 6.0  # of a bar under or over an octave line
CHANGE = {"clef": 12.0, "octaves": 5.0}  # A bar on three ledger lines costs 12, on two 4, on four 24


def clefs(bars: Sequence[Sequence[int]], own: str) -> list[Clef]:
    """The clef of each bar.

    Args:
        bars: of each bar, the steps above C0 (28: middle C) of the notes that sound.
        own: the sign of the staff's clef.
    """
    costs = np.zeros((len(bars), len(CLEFS)))
    for column, (sign, octaves) in enumerate(CLEFS):
        own_cost = OTHER_CLEF * (sign != own) + OCTAVE_LINE * (octaves != 0)
        for row, steps in enumerate(bars):
            if steps:
                heights = np.array(steps) - 7 * octaves - LOWEST_LINE[sign]
                lines = np.maximum(np.maximum(heights - 8, -heights) // 2, 0)
                costs[row, column] = own_cost + 2 * np.mean(lines * (lines - 1))
            else:
                costs[row, column] = own_cost
    changes = [
        [CHANGE["clef"] * (a.sign != b.sign) + CHANGE["octaves"] * (a.octaves != b.octaves) for b in CLEFS]
        for a in CLEFS
    ]
    return [CLEFS[state] for state in best_path(costs, repeat(np.array(changes)))]
