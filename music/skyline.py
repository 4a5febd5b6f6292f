"""The skyline of a score: its highest line, as an estimate of the melody."""

from __future__ import annotations

from dataclasses import replace
from heapq import heappop, heappush

import numpy as np

from toccata.music.score import Score


def skyline(score: Score) -> Score:
    """The notes of a score above which no key sounds at their onset; the length and the tempo are unchanged.

    Source: Uitdenbogerd & Zobel 1998, "Manipulation of music for melody matching", ACM Multimedia: the highest note of
    each onset. Here a note below one that is still held is left out too, which is part of an accompaniment.
    """
    keep = np.zeros(len(score), bool)
    held: list[tuple[int, int]] = []  # heap of (-pitch, offset), the highest key first
    rows = zip(
        score.notes["onset_tick"].tolist(), score.notes["pitch"].tolist(), score.offset_ticks.tolist(), strict=True
    )
    by_onset = sorted(((onset, -pitch, offset, row) for row, (onset, pitch, offset) in enumerate(rows)))
    for onset, negative_pitch, offset, row in by_onset:
        while held and held[0][1] <= onset:
            heappop(held)
        keep[row] = not held or negative_pitch <= held[0][0]
        heappush(held, (negative_pitch, offset))
    return replace(score, notes=score.notes[keep])
