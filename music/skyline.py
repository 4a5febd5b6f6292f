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
    return replace(score, notes=score.notes[is_highest(score.notes)])


def is_highest(notes: np.ndarray) -> np.ndarray:
    """(notes,) bool, which of `NOTE_DTYPE` notes are in the skyline: no higher key sounds at their onset."""
    highest = np.zeros(len(notes), bool)
    held: list[tuple[int, int]] = []  # heap of (-pitch, offset), the highest key first
    offsets = notes["onset_tick"] + notes["duration_ticks"]
    rows = zip(notes["onset_tick"].tolist(), notes["pitch"].tolist(), offsets.tolist(), strict=True)
    by_onset = sorted(((onset, -pitch, offset, row) for row, (onset, pitch, offset) in enumerate(rows)))
    for onset, negative_pitch, offset, row in by_onset:
        while held and held[0][1] <= onset:
            heappop(held)
        highest[row] = not held or negative_pitch <= held[0][0]
        heappush(held, (negative_pitch, offset))
    return highest


def is_lowest(notes: np.ndarray) -> np.ndarray:
    """(notes,) bool, which of `NOTE_DTYPE` notes are in the bass line: no lower key sounds at their onset."""
    mirrored = notes.copy()
    mirrored["pitch"] = 127 - notes["pitch"]
    return is_highest(mirrored)
