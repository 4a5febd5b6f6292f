"""Beams: within a beat, never across rests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import groupby

from toccata.music.notation.metres import Division
from toccata.music.notation.values import Piece, Value

FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4}


def beams(bar: Division, pieces: Sequence[Piece], values: Sequence[Value]) -> list[list[str]]:
    """For each value its beams from the outermost on, in the words of MusicXML: "begin", "continue", "end", hooks.

    A triplet that is not all under the beam has beams of its own.
    """
    flagged = [FLAGS.get(value.type, 0) if pieces[value.piece].kind == "note" else 0 for value in values]
    partial = {value.triplet for value, flags in zip(values, flagged, strict=True) if not flags}
    runs: list[tuple[int, tuple[int, int] | None, int]] = []  # beat, triplet, values without flags before
    count = 0
    for value, flags in zip(values, flagged, strict=True):
        count += not flags
        runs.append((bisect_right(bar.beats, value.start), value.triplet if value.triplet in partial else None, count))
    found: list[list[str]] = [[] for _ in values]
    for _, group in groupby((index for index, flags in enumerate(flagged) if flags), runs.__getitem__):
        members = list(group)
        if len(members) > 1:
            for place, index in enumerate(members):
                before = flagged[members[place - 1]] if place else 0
                after = flagged[members[place + 1]] if place + 1 < len(members) else 0
                found[index] = [_beam(level, place, before, after) for level in range(1, flagged[index] + 1)]
    return found


def _beam(level: int, place: int, before: int, after: int) -> str:
    """The beam of a level at a place of a run, between notes of so many flags."""
    if before >= level:
        return "continue" if after >= level else "end"
    if after >= level:
        return "begin"
    return "backward hook" if place else "forward hook"
