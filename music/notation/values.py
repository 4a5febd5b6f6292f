"""Written values: notes and rests are split where a beat would be hidden, triplets fill what they divide."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from toccata.music.notation.metres import SHORTEST, Division, next_of, strength, stronger_tick
from toccata.music.score import TICKS_PER_BEAT

PLAIN = {192: "breve", 96: "whole", 48: "half", 24: "quarter", 12: "eighth", 6: "16th", 3: "32nd"}  # ticks -> type
DOTTED = {3 * ticks // 2: name for ticks, name in PLAIN.items() if ticks > SHORTEST}
TRIPLETS = {2 * ticks // 3: name for ticks, name in PLAIN.items()} | {1: "64th"}  # three in the time of two

Kind = Literal["note", "rest", "space"]


class Piece(NamedTuple):
    """A chord, a rest or an empty space in a bar, in ticks from the start of the bar."""

    start: int
    end: int
    kind: Kind


Region = tuple[int, int, bool]  # start, end, whether it is a triplet


class Value(NamedTuple):
    """A part of a piece that is written as one note, rest or space."""

    start: int
    end: int
    piece: int  # index of the piece
    type: str  # such as "quarter"; empty of a space outside a triplet
    dots: int  # 0 or 1
    triplet: tuple[int, int] | None  # start and end of the triplet that it belongs to


def values(bar: Division, pieces: Sequence[Piece]) -> list[Value]:
    """The values of a voice in a bar.

    - A note that begins off a beat, or off the middle of 4/4, does not cross one that is stronger; in 6/8 and 7/8 only
      whole beats are joined. Rests join whole groups of beats only.
    - All triplets are three in the time of two. One fills a half, a beat, or half of it, and so on, and contains all
      notes of that time.

    Args:
        bar: division of the bar.
        pieces: in order and without gaps; the first begins later than the bar in an upbeat, and the last may end
            earlier.
    """
    ticks = [piece.start for piece in pieces] + [pieces[-1].end]
    written: list[Value] = []
    regions = [region for start, end in bar.windows for region in _regions(ticks, start, end)[1]]
    index, at = 0, 0
    for index, piece in enumerate(pieces):
        now = piece.start
        while now < piece.end:
            while regions[at][1] <= now:
                at += 1
            region = at
            if regions[at][2]:
                stop = min(piece.end, regions[at][1])
                written += _triplet_values(index, now, stop, regions[at][:2])
            else:
                while region + 1 < len(regions) and not regions[region + 1][2] and regions[region][1] < piece.end:
                    region += 1
                stop = min(piece.end, regions[region][1])
                written += _plain_values(bar, index, piece.kind, now, stop)
            now = stop
    return written


def _regions(ticks: Sequence[int], start: int, end: int) -> tuple[float, list[Region]]:
    """The parts of a window, with triplets or without, and the number of values that they need.

    A triplet that fills the window is chosen if its halves need more values, or if they need as many and a piece goes
    from the triplets of one to those of the other.

    Args:
        ticks: where pieces begin and end, ascending.
        start: of the window.
        end: of the window, at most a whole note later.
    """
    inner = ticks[bisect_right(ticks, start) : bisect_left(ticks, end)]
    if all((tick - start) % SHORTEST == 0 for tick in inner):
        return len(inner) + 1, [(start, end, False)]
    length = end - start
    cut = start < ticks[0] < end or start < ticks[-1] < end  # the bar begins or ends in the window
    long = length > TICKS_PER_BEAT and any(3 * (tick - start) % length for tick in inner)
    triplet = math.inf
    if length == SHORTEST or not (cut or long):
        bounds = pairwise([start, *inner, end])
        triplet = sum(1 for first, last in bounds for _ in _triplet_values(0, first, last, (start, end)))
    if length > SHORTEST:
        middle = (start + end) // 2
        (left, first_half), (right, second_half) = _regions(ticks, start, middle), _regions(ticks, middle, end)
        beside = first_half[-1][2], second_half[0][2]
        halves = left + right - (middle not in inner and beside == (False, False))
        if halves < triplet + (middle in inner or beside != (True, True)):
            return halves, first_half + second_half
    return triplet, [(start, end, True)]


def _triplet_values(index: int, start: int, end: int, window: tuple[int, int]) -> Iterator[Value]:
    """The values of a piece in a triplet."""
    third = max((window[1] - window[0]) // 3, 1)
    while start < end:
        unit = third
        while (start - window[0]) % unit or unit > end - start:
            unit //= 2
        double = unit == third and end - start >= 2 * third
        ticks = 2 * unit if double else unit
        yield Value(start, start + ticks, index, TRIPLETS[ticks], 0, window)
        start += ticks


def _plain_values(bar: Division, index: int, kind: Kind, start: int, end: int) -> Iterator[Value]:
    """The values of a piece without triplets."""
    if kind == "space":
        yield Value(start, end, index, "", 0, None)
        return
    while start < end:
        stop = _stop(bar, kind, start, end)
        ticks = stop - start
        yield Value(start, stop, index, PLAIN.get(ticks) or DOTTED[ticks], int(ticks in DOTTED), None)
        start = stop


def _stop(bar: Division, kind: Kind, start: int, end: int) -> int:
    """Where the first value of a piece ends."""
    while True:
        stop = stronger_tick(bar, start, end) or _unaligned(bar, kind, start, end)
        if stop is None:
            ticks = end - start
            if ticks in PLAIN or ticks in DOTTED:
                return end
            known = [*PLAIN, *DOTTED] if kind == "note" else PLAIN
            stops = [start + value for value in known if value < ticks]
            stop = min(stops, key=lambda stop: (strength(bar, stop), -(stop & -stop), -stop))
        end = stop


def _unaligned(bar: Division, kind: Kind, start: int, end: int) -> int | None:
    """A tick where a piece must be split since it crosses beats that it does not fill."""
    if kind == "rest":
        wholes = bar.groups
        inner = next_of(bar.beats, start)
    else:
        wholes = bar.aligned
        inner = next_of(bar.aligned, start)
    if inner is None or inner >= end:
        return None
    if start in wholes:
        last = wholes[bisect_left(wholes, end) - 1]
        if end in wholes or end == bar.ticks:
            return None
        return last if last > start else inner
    return inner
