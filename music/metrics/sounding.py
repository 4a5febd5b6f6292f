"""What sounds when: the pitches between two changes, and the pitch classes of beats.

Nothing here grows with the length of the piece in ticks, only with its number of notes: a stretch in which nothing
changes is one row, with the number of beats in it. A beat is a quarter note, counted from each bar line, so the last
beat of a bar of 3.5 quarters is an eighth.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from toccata.music.metre import TimeSignature
from toccata.music.score import Score

COMPOUND = 8  # denominators from here on: six of them are two beats of three
SPAN = 2**34  # more than any tick times the 12 parts of a bar


class Segments(NamedTuple):
    """The piece cut wherever a note begins or ends."""

    edges: np.ndarray  # (segments + 1,) int64, the ticks of the cuts
    pitches: np.ndarray  # (segments, 128) bool, what sounds between two cuts

    @property
    def ticks(self) -> np.ndarray:
        """(segments,) their lengths."""
        return np.diff(self.edges)


@lru_cache(maxsize=1)  # several metrics of one score read it
def segments(score: Score) -> Segments:
    """The segments of a score in which the sounding pitches do not change, from the first note to the last."""
    onset, offset, pitch = score.notes["onset_tick"], score.offset_ticks, score.notes["pitch"]
    edges, index = np.unique(np.concatenate((onset, offset)), return_inverse=True)
    change = np.zeros((len(edges), 128), np.int8)
    np.add.at(change, (index[: len(onset)], pitch), 1)
    np.add.at(change, (index[len(onset) :], pitch), -1)
    pitches = np.cumsum(change, axis=0, dtype=np.int8)[:-1].astype(bool)
    edges = edges.astype(np.int64)
    edges.setflags(write=False)
    pitches.setflags(write=False)
    return Segments(edges, pitches)


@lru_cache(maxsize=1)  # several metrics of one score read it
def sounding_beats(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """The beats with sound in order: ticks of each pitch class (rows, 12) int64, and beats in each row (rows,).

    The beats of a row have the same sound throughout; the ticks are those of the first, which may be longer or shorter
    than the others.
    """
    notes = np.concatenate((score.notes["onset_tick"], score.offset_ticks))
    beats, counts = rows_between(beat_of(score, notes))
    chroma = pitch_class_ticks(score, beat_start(score, beats), beat_start(score, beats + 1))
    with_sound = chroma.any(1)
    chroma, counts = chroma[with_sound], counts[with_sound]
    chroma.setflags(write=False)
    counts.setflags(write=False)
    return chroma, counts


def rows_between(changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cells (beats or bars) in which something changes, and one of each stretch between them.

    Args:
        changes: cells in which a note begins or ends, in any order.

    Returns:
        The rows' cells, ascending, and for how many cells each stands; (rows,) int64 both.
    """
    cells = np.unique(changes.astype(np.int64))
    between = np.diff(cells) - 1
    first = cells[:-1][between > 0] + 1
    cells, counts = np.concatenate((cells, first)), np.concatenate((np.ones_like(cells), between[between > 0]))
    order = np.argsort(cells)
    return cells[order], counts[order]


def bars_before(score: Score, ticks: np.ndarray) -> np.ndarray:
    """How many bars begin before each tick, int64."""
    if score.time_signatures:
        return np.searchsorted(score.bar_ticks, ticks)
    return -(-ticks.astype(np.int64) // score.ticks_per_bar)


def strong_beats_before(score: Score, ticks: np.ndarray) -> np.ndarray:
    """How many strong beats there are before each tick, int64.

    They are bar lines, and the middle of bars of four, six, eight ... quarters, and where a time signature says so of
    six, twelve ... eighths or sixteenths.
    """
    if not score.time_signatures:
        quarters = score.beats_per_bar
        step = score.ticks_per_bar // 2 if quarters % 2 == 0 and quarters > 2 else score.ticks_per_bar
        return -(-ticks.astype(np.int64) // step)
    bars = score.bar_ticks
    ends = np.append(bars[1:], score.length_ticks)
    number = np.searchsorted([each.tick for each in score.time_signatures], bars, "right") - 1
    halves = np.array([_half_bar(each, score.ticks_per_beat) for each in score.time_signatures])[number]
    middles = (bars + halves)[(halves > 0) & (bars + halves < ends)]  # of incomplete bars as far as they go
    return np.searchsorted(np.sort(np.concatenate((bars, middles))), ticks)


def _half_bar(signature: TimeSignature, ticks_per_beat: int) -> int:
    """Ticks of half a bar; 0 of a bar whose middle is no strong beat."""
    compound = signature.denominator >= COMPOUND and signature.numerator % 6 == 0
    quarters = signature.beats_per_bar
    return signature.ticks_per_bar(ticks_per_beat) // 2 if compound or (quarters % 2 == 0 and quarters > 2) else 0


def beat_of(score: Score, ticks: np.ndarray) -> np.ndarray:
    """The number of the beat that each tick is in, int64."""
    bar, position = np.divmod(ticks.astype(np.int64), score.ticks_per_bar)
    return bar * _beats_per_bar(score) + position // score.ticks_per_beat


def beat_start(score: Score, beats: np.ndarray) -> np.ndarray:
    """The first tick of each beat, int64."""
    bar, beat = np.divmod(beats.astype(np.int64), _beats_per_bar(score))
    return bar * score.ticks_per_bar + beat * score.ticks_per_beat


def pitch_class_ticks(score: Score, starts: np.ndarray, ends: np.ndarray, parts: int = 1) -> np.ndarray:
    """(cells, 12) int64, for how long notes of each pitch class sound in `[start, end)`, exactly.

    Args:
        score: the score.
        starts: first tick of each cell, times `parts`.
        ends: its end, times `parts`.
        parts: of a tick, in which all times are; at most 12.
    """
    return _sounded_before(score, ends, parts) - _sounded_before(score, starts, parts)


def _sounded_before(score: Score, times: np.ndarray, parts: int) -> np.ndarray:
    """(times, 12) int64, for how long notes of each pitch class have sounded before each time."""
    classes = np.arange(12)[:, None] * SPAN
    total = np.zeros((12, len(times)), np.int64)
    pitch_class = score.notes["pitch"].astype(np.int64) % 12 * SPAN
    for moments, sign in ((score.notes["onset_tick"], 1), (score.offset_ticks, -1)):
        keys = np.sort(pitch_class + moments.astype(np.int64) * parts)
        sums = np.concatenate(([0], np.cumsum(keys % SPAN)))
        first, last = np.searchsorted(keys, classes), np.searchsorted(keys, classes + times)
        total += sign * ((last - first) * times - (sums[last] - sums[first]))
    return total.T


def _beats_per_bar(score: Score) -> int:
    """Beats in a bar, the last one possibly incomplete."""
    return -(-score.ticks_per_bar // score.ticks_per_beat)
