"""How a bar divides: groups of beats, beats, and what values may hide of them."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from toccata.music.score import TICKS_PER_BEAT

SHORTEST = 3  # ticks of a thirty-second, the shortest value of the grid without a triplet
WEAKEST = 9  # strength of what is no half, quarter ... of a bar
HALF_BEATS = 8  # denominators from here on: a beat is two pulses or three


class Division(NamedTuple):
    """The division of a bar, in ticks of the grid of 24 from its start."""

    ticks: int  # of the whole bar
    groups: tuple[int, ...]  # where the groups of beats begin, as the halves of 4/4
    beats: tuple[int, ...]  # where the beats begin: dotted quarters in 6/8
    pulse: int  # the value of the denominator
    aligned: tuple[int, ...]  # a note that crosses one of these begins at one and ends at one
    windows: tuple[tuple[int, int], ...]  # start and end of what a triplet fills, or half of it, and so on


@lru_cache(maxsize=256)
def division(numerator: int, denominator: int) -> Division:
    """The division of a bar with this signature.

    Numerators of 6, 9, 12 and so on are beats of three pulses; those of 5 and 7 are 3+2 and 2+2+3 over eighths, 3+2 and
    4+3 over quarters.

    Raises:
        ValueError: when such a bar is not on the grid of 24 ticks.
    """
    if denominator == 64:
        if numerator % 2:
            raise ValueError(f"a bar of {numerator}/{denominator} is not on the grid of {TICKS_PER_BEAT}")
        numerator, denominator = numerator // 2, 32
    pulse = 4 * TICKS_PER_BEAT // denominator
    aligned: list[int] = []
    if numerator % 3 == 0 and (numerator > 3 or denominator >= HALF_BEATS):
        beats = [3] * (numerator // 3)
        groups = _pairs(beats)
        aligned = beats
    elif denominator >= HALF_BEATS:
        beats = _twos_and_a_three(numerator)
        groups = _pairs(beats)
        aligned = beats if numerator % 2 else []
    else:
        beats = [1] * numerator
        groups = [3, 2] if numerator == 5 else _fours(numerator) if numerator > 4 else _pairs(beats)
        aligned = groups if numerator % 2 and numerator > 3 else []
    sizes = [1] * numerator if pulse < TICKS_PER_BEAT or aligned is beats else groups
    windows: list[tuple[int, int]] = []
    for size in sizes:
        whole = size & (size - 1) == 0  # a power of two
        for part in [size] if whole and size * pulse <= 4 * TICKS_PER_BEAT else [1] * size:
            start = windows[-1][1] if windows else 0
            windows.append((start, start + part * pulse))
    starts = [tuple(pulse * at for at in [0, *accumulate(sizes)][:-1]) for sizes in (groups, beats, aligned)]
    return Division(numerator * pulse, starts[0], starts[1], pulse, starts[2], tuple(windows))


def _pairs(beats: list[int]) -> list[int]:
    """The halves of a bar of 4 or 8 beats; one group of fewer, and of others."""
    count = len(beats)
    if count % 4:
        return [sum(beats)]
    return [sum(beats[at : at + 2]) for at in range(0, count, 2)]


def _twos_and_a_three(pulses: int) -> list[int]:
    """Beats of two pulses; the last one of an odd number has three."""
    if pulses == 5:
        return [3, 2]
    return [2] * (pulses // 2) if pulses % 2 == 0 else [2] * (pulses // 2 - 1) + [min(pulses, 3)]


def _fours(beats: int) -> list[int]:
    """Groups of four beats, and the rest."""
    return [4] * (beats // 4) + ([beats % 4] if beats % 4 else [])


def strength(bar: Division, tick: int) -> int:
    """0 for the start of the bar, 1 of a group, 2 of a beat, 3 of a pulse, 4 of half a pulse and so on to quarters.

    All shorter divisions are equal: a sixteenth and a dotted eighth hide nothing.
    """
    if tick == 0:
        return 0
    for level, starts in ((1, bar.groups), (2, bar.beats)):
        if starts[bisect_right(starts, tick) - 1] == tick:
            return level
    for level, unit in enumerate(_units(bar), start=3):
        if tick % unit == 0:
            return level
    return WEAKEST


def stronger_tick(bar: Division, start: int, end: int) -> int | None:
    """The strongest tick between two, if it is stronger than the first of these; of equal ones the first."""
    own = strength(bar, start)
    for level, starts in ((1, bar.groups), (2, bar.beats)):
        if level < own and (tick := next_of(starts, start)) is not None and tick < end:
            return tick
    for level, unit in enumerate(_units(bar), start=3):
        tick = (start // unit + 1) * unit
        if level < own and tick < end:
            return tick
    return None


def _units(bar: Division) -> list[int]:
    """The pulse, its half, and so on, down to a quarter."""
    units = [bar.pulse]
    while units[-1] > TICKS_PER_BEAT:
        units.append(units[-1] // 2)
    return units


def next_of(ticks: tuple[int, ...], tick: int) -> int | None:
    """The first of ascending ticks after one."""
    index = bisect_right(ticks, tick)
    return ticks[index] if index < len(ticks) else None
