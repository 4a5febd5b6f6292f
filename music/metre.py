"""Bars and time signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def main_metre(sections: Sequence[tuple[int, int, float]], ticks_per_beat: int) -> tuple[float, int]:
    """The metre with the longest total duration, and the shift that puts its bar lines on multiples of a bar.

    Args:
        sections: (first tick, ticks, beats in a bar) of each section with one metre, at least one. A section begins at
            a bar line. After an upbeat the sections of the main metre do not begin at multiples of its bar; the shift
            is the one that is right for most of their ticks.
        ticks_per_beat: grid; every bar must be a whole number of ticks.

    Returns:
        Beats in a bar, and the number of ticks, less than a bar, by which to move all notes later.
    """
    durations: Counter[float] = Counter()
    for _, duration, beats in sections:
        durations[beats] += duration
    main = durations.most_common(1)[0][0]
    bar = int(main * ticks_per_beat)
    shifts: Counter[int] = Counter()
    for start, duration, beats in sections:
        if beats == main:
            shifts[-start % bar] += duration
    return main, shifts.most_common(1)[0][0]


def time_signature(beats_per_bar: float) -> tuple[int, int] | None:
    """The time signature, such as (7, 8), of bars of that length; None if no MIDI or MusicXML file can hold it."""
    for denominator in (4, 8, 16, 32, 64, 2, 1):
        numerator = beats_per_bar * denominator / 4
        if numerator == int(numerator) and 1 <= numerator <= 255:  # one byte in a MIDI file
            return int(numerator), denominator
    return None
