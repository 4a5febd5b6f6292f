"""Bars and time signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def main_metre(sections: Sequence[tuple[int, int, float]], ticks_per_beat: int) -> tuple[float, int]:
    """The metre that holds longest, and the ticks by which the music is early for its bar lines.

    Args:
        sections: (first tick, ticks, beats in a bar) of each stretch of one metre, at least one. A stretch
            begins at a bar line; where most of the main metre's begin off the multiples of its bar, as after
            an upbeat, the music is early.
        ticks_per_beat: grid; every bar must be a whole number of ticks.

    Returns:
        Beats in a bar, and by how many ticks, less than a bar, to move everything later.
    """
    lengths: Counter[float] = Counter()
    for _, span, beats in sections:
        lengths[beats] += span
    main = lengths.most_common(1)[0][0]
    bar = int(main * ticks_per_beat)
    shifts: Counter[int] = Counter()
    for start, span, beats in sections:
        if beats == main:
            shifts[-start % bar] += span
    return main, shifts.most_common(1)[0][0]


def time_signature(beats_per_bar: float) -> tuple[int, int] | None:
    """The time signature, such as (7, 8), of bars that long; None if no file can say it."""
    for denominator in (4, 8, 16, 32, 64, 2, 1):
        numerator = beats_per_bar * denominator / 4
        if numerator == int(numerator) and 1 <= numerator <= 255:  # a MIDI file gives it one byte
            return int(numerator), denominator
    return None
