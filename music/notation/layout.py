"""The measures of a score and its notes, on the grid of 24 ticks that written values have."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from toccata.music.metre import TimeSignature, next_bar_line, time_signature
from toccata.music.notation.metres import SHORTEST, Division, division
from toccata.music.score import TICKS_PER_BEAT, Score


class Measure(NamedTuple):
    """A measure. Ticks are of the grid of 24."""

    start: int  # tick of its bar line; in an upbeat, of the bar of which it is the end
    first: int  # ticks from there to its first note or rest: not 0 in an upbeat
    ticks: int  # from there to its end
    signature: tuple[int, int]

    @property
    def division(self) -> Division:
        """How a whole bar divides."""
        return division(*self.signature)

    @property
    def whole(self) -> bool:
        """Whether it is as long as its signature says."""
        return self.first == 0 and self.ticks == self.division.ticks


def grid_ticks(ticks: np.ndarray | int, ticks_per_beat: int) -> np.ndarray:
    """Ticks of a score on the grid of 24, the nearest, halves up."""
    return (2 * np.asarray(ticks, np.int64) * TICKS_PER_BEAT + ticks_per_beat) // (2 * ticks_per_beat)


def grid_notes(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """(notes,) int64 onset and end of each note on the grid of 24; a note lasts a tick at least."""
    onsets = grid_ticks(score.notes["onset_tick"], score.ticks_per_beat)
    return onsets, np.maximum(grid_ticks(score.offset_ticks, score.ticks_per_beat), onsets + 1)


def measures(score: Score, end_tick: int) -> list[Measure]:
    """The bars of a score, at least one; the last one is filled up.

    Bars that no signature describes, or that begin between two ticks of the grid, are replaced by bars of 4/4.

    Args:
        score: any score.
        end_tick: of its notes and of itself, on the grid.
    """
    signatures = _grid_signatures(score)
    bars: list[Measure] = []
    for index, (tick, *signature) in enumerate(signatures):
        ticks_per_bar = division(*signature).ticks
        last = index == len(signatures) - 1
        end = (
            next_bar_line(signatures[index:], TICKS_PER_BEAT, 0, max(end_tick, tick))
            if last
            else signatures[index + 1].tick
        )
        if last:
            end = max(end, tick + ticks_per_bar)
        lines = [*range(tick, end, ticks_per_bar), end]
        bars += [Measure(start, 0, stop - start, (signature[0], signature[1])) for start, stop in pairwise(lines)]
    return bars


def with_upbeat(bars: list[Measure], silence: int) -> list[Measure]:
    """The measures with an upbeat in place of a first bar that begins with so many ticks of silence.

    The same measures where that is less than a beat, which is written as a rest.
    """
    first = bars[0]
    beat = next(iter(first.division.beats[1:]), first.division.pulse)
    if not first.whole or silence % SHORTEST or not beat <= silence < first.ticks or len(bars) < 2:
        return bars
    return [first._replace(first=silence, ticks=first.ticks - silence), *bars[1:]]


def measure_of(bars: list[Measure], tick: int) -> int:
    """The index of the measure that has a tick."""
    return bisect_right(bars, tick, key=lambda bar: bar.start) - 1


def _grid_signatures(score: Score) -> list[TimeSignature]:
    """Time signatures on the grid of 24, the first at tick 0."""
    single = time_signature(score.beats_per_bar)
    signatures = score.time_signatures or ((TimeSignature(0, *single),) if single else ())
    try:
        found = [_on_grid(each, score.ticks_per_beat) for each in signatures]
    except ValueError:
        found = []
    return found or [TimeSignature(0, 4, 4)]


def _on_grid(signature: TimeSignature, ticks_per_beat: int) -> TimeSignature:
    """A signature with its tick on the grid of 24.

    Raises:
        ValueError: when it is between two ticks, or its bars are.
    """
    tick, rest = divmod(signature.tick * TICKS_PER_BEAT, ticks_per_beat)
    if rest:
        raise ValueError("a bar line is between two ticks")
    division(signature.numerator, signature.denominator)
    return signature._replace(tick=tick)
