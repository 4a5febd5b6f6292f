"""The cardinality score: how many notes of two passages coincide when one is moved in time and pitch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

WINDOW_TICKS = 16 * TICKS_PER_BEAT  # of a passage: four bars of 4/4
HOP_TICKS = 8 * TICKS_PER_BEAT  # from one passage to the next
SEGMENT_TICKS = 4096  # of a work at a time, so that the counts of all translations fit into memory
PITCHES = 128  # of MIDI
MAX_PAIRS = 2**22  # pairs of notes at a time, likewise


class Points(NamedTuple):
    """Notes as points; n of them, all different, ordered by onset, then pitch."""

    ticks: np.ndarray  # (n,) int64, onset in 1/24 of a quarter
    pitches: np.ndarray  # (n,) int64, MIDI

    def between(self, start_tick: int, end_tick: int) -> Points:
        """The notes with `start_tick <= onset < end_tick`, where they are."""
        first, end = np.searchsorted(self.ticks, (start_tick, end_tick))
        return Points(self.ticks[first:end], self.pitches[first:end])


def points_of(score: Score) -> Points:
    """The notes of a score as points; onsets of another grid are rounded down to that of 24 ticks a quarter.

    Notes of one pitch that are then at one tick are one point.
    """
    ticks = score.notes["onset_tick"].astype(np.int64) * TICKS_PER_BEAT // score.ticks_per_beat
    points = np.unique(ticks * PITCHES + score.notes["pitch"])
    return Points(points // PITCHES, points % PITCHES)


def windows_of(points: Points) -> Iterator[Points]:
    """Passages of 16 beats, every 8 beats, with onsets from the beginning of each; of fewer beats the only one."""
    halves = np.unique(points.ticks // HOP_TICKS)
    starts = np.unique(np.concatenate([halves, halves - 1])) * HOP_TICKS  # of the windows that have notes
    last = int(points.ticks[-1]) + 1 - WINDOW_TICKS + HOP_TICKS if len(points.ticks) else 0  # a later one ends too late
    for start in starts[(starts >= 0) & (starts < max(last, 1))]:
        inside = points.between(int(start), int(start) + WINDOW_TICKS)
        yield Points(inside.ticks - start, inside.pitches)


def cardinality_score(window: Points, work: Points, window_ticks: int = WINDOW_TICKS) -> float:
    """The largest share of notes that a window has in common with any window of a work, in [0, 1].

    Over all translations in time and pitch, the notes that coincide, divided by the notes of the fuller one of the two
    windows: |P ∩ (Q + t)| / max(|P|, |Q|), where Q are the notes of the work in a window of the same length. It is
    exact: the difference vectors of all pairs of notes are counted. 0 where either has no note.

    Args:
        window: notes of a passage, with onsets in [0, window_ticks).
        work: notes of a work.
        window_ticks: length of the windows, in 1/24 of a quarter.

    Source: Yin, Reuben, Stepney & Collins 2022, "Measuring when a music generation algorithm copies too much: the
    originality report, cardinality score, and symbolic fingerprinting by geometric hashing", SN Computer Science.
    """
    if not len(window.ticks) or not len(work.ticks):
        return 0.0
    starts = range(-window_ticks, int(work.ticks[-1]) + 1, SEGMENT_TICKS)
    segments = (work.between(start, start + SEGMENT_TICKS + window_ticks) for start in starts)
    return max(_score_in(window, segment, work.ticks, window_ticks) for segment in segments)


def _score_in(window: Points, work: Points, all_ticks: np.ndarray, window_ticks: int) -> float:
    """The score of windows of a segment of a work, whose notes have the onsets `all_ticks`.

    Of windows at its edges, of which other segments have more notes, too few coincide.
    """
    if not len(work.ticks):
        return 0.0
    step = max(1, int(np.gcd.reduce(np.concatenate([np.diff(work.ticks), np.diff(window.ticks)]), initial=0)))
    lowest = int(work.ticks[0] - window.ticks[-1])
    rows = (int(work.ticks[-1] - window.ticks[0]) - lowest) // step + 1  # shifts in time, all equal modulo the step
    columns = int(np.ptp(work.pitches) + np.ptp(window.pitches)) + 1  # shifts in pitch
    # of each pair of notes, row * columns + column is the sum of two parts
    of_work = (work.ticks - work.ticks[0]) // step * columns + work.pitches - work.pitches.min()
    of_window = (window.ticks[-1] - window.ticks) // step * columns + window.pitches.max() - window.pitches
    counts = np.zeros(rows * columns, np.int64)
    at_once = max(1, MAX_PAIRS // len(work.ticks))
    for first in range(0, len(window.ticks), at_once):
        pairs = np.add.outer(of_window[first : first + at_once], of_work)
        counts += np.bincount(pairs.ravel(), minlength=len(counts))
    most = counts.reshape(rows, columns).max(axis=1)  # over shifts in pitch
    shifts = lowest + np.arange(rows) * step  # tick of the work at which its window begins
    inside = np.searchsorted(all_ticks, shifts + window_ticks) - np.searchsorted(all_ticks, shifts)
    return float((most / np.maximum(inside, len(window.ticks))).max())
