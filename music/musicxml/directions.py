"""Dynamics and tempo of MusicXML's directions, sounds and notations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

VELOCITY_PER_PERCENT = 0.9  # MusicXML gives dynamics in per cent of the velocity 90
# The velocities of MuseScore, which exports them as `<sound dynamics>`; mf is the velocity of notes without a mark.
LEVELS = {
    **{"pppppp": 1, "ppppp": 5, "pppp": 10, "ppp": 16, "pp": 33, "p": 49, "mp": 64},
    **{"mf": 80, "f": 96, "ff": 112, "fff": 126, "ffff": 127, "fffff": 127, "ffffff": 127},
}
# mark -> velocity of the notes at it, and of those after it; None: as before
ACCENTS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("sf", "sfz", "fz", "rf", "rfz"), (112, None)),
    "sffz": (126, None),
    "fp": (96, 49),
    **dict.fromkeys(("sfp", "sfzp"), (112, 49)),
    "sfpp": (112, 33),
    "pf": (49, 96),
}
DYNAMICS = frozenset(LEVELS) | frozenset(ACCENTS)
BEAT_UNITS = {
    "maxima": 32.0,
    "long": 16.0,
    "breve": 8.0,
    "whole": 4.0,
    "half": 2.0,
    "quarter": 1.0,
    "eighth": 0.5,
    **{f"{2**power}{'nd' if power == 5 else 'th'}": 4 / 2**power for power in range(4, 11)},
}


class Mark(NamedTuple):
    """A mark of dynamics."""

    bar: int
    time: int  # from the start of the bar
    staff: str | None  # None: the whole part
    at: int | None  # velocity of the notes that begin at it; None: that after it
    after: int | None  # velocity until the next mark; None: as before


def dynamics(element: Element) -> tuple[int | None, int | None]:
    """(velocity at it, velocity after it) of a direction, a sound or the notations of a note; None where it says none.

    A sound has the last word: it is what the mark beside it shall sound like.
    """
    for sound in (element, *element.iterfind("sound")):
        percent = positive(sound.get("dynamics"))
        if percent:
            return None, velocity_of(percent)
    for mark in (*element.iterfind("direction-type/dynamics/*"), *element.iterfind("dynamics/*")):
        if mark.tag in LEVELS:
            return None, LEVELS[mark.tag]
        if mark.tag in ACCENTS:
            return ACCENTS[mark.tag]
    return None, None


def velocity_of(percent: float) -> int:
    """The velocity in 1..127 of dynamics in per cent."""
    return min(max(round(min(percent, 1e3) * VELOCITY_PER_PERCENT), 1), 127)


def played_velocities(marks: Sequence[Mark], notes: Sequence[tuple[int, int, str, int]], default: int) -> list[int]:
    """The velocity of each note of a part: its own, else that of the marks, else, in chords, that of the note before.

    Args:
        marks: in any order.
        notes: (bar, time, staff, velocity) of each, in order of bar and time; velocity 0 where none is written.
        default: velocity where nothing says another.
    """
    levels = velocities_at(marks, [note[:3] for note in notes], default)
    own = [note[3] for note in notes] if marks else chord_velocities(notes)
    return [velocity or level for velocity, level in zip(own, levels, strict=True)]


def velocities_at(marks: Iterable[Mark], notes: Sequence[tuple[int, int, str]], default: int) -> list[int]:
    """The velocity that the marks of a part give each of its notes.

    A mark holds for all staves of the part until the next one; of marks at one time on several staves, each holds for
    its own.

    Args:
        marks: in any order.
        notes: (bar, time, staff), in order.
        default: velocity before the first mark.
    """
    velocities: list[int] = []
    left = sorted(marks, key=lambda mark: mark[:2], reverse=True)
    now = (-1, 0)  # place of the marks in force
    after: dict[str | None, int] = {}  # staff -> velocity; None: of the other staves
    at: dict[str | None, int] = {}  # the same of the notes at that place
    new: dict[str | None, int] = {}  # the part of `after` that is of that place
    for bar, time, staff in notes:
        while left and left[-1][:2] <= (bar, time):
            mark = left.pop()
            if mark[:2] != now:
                now, new, at = mark[:2], {}, {}
            if mark.after is not None:
                new.setdefault(None, mark.after)
                new[mark.staff] = mark.after
                after = new
            if mark.at is not None:
                at.setdefault(None, mark.at)
                at[mark.staff] = mark.at
        velocity = after.get(staff, after.get(None, default))
        if at and now == (bar, time):
            velocity = at.get(staff, at.get(None, velocity))
        velocities.append(velocity)
    return velocities


def chord_velocities(notes: Sequence[tuple[int, int, str, int]]) -> list[int]:
    """The velocities of the notes of a part, where only chords have none: that of the note before on their staff.

    music21 writes the velocities of single notes and not those of chords. Where a single note has none too, or a chord
    has one, nothing changes.

    Args:
        notes: (bar, time, staff, velocity) of each, in order of bar and time; velocity 0 where none is written.
    """
    counts = Counter(note[:3] for note in notes)
    chords = [counts[note[:3]] > 1 for note in notes]
    velocities = [note[3] for note in notes]
    if all(chords) or any(in_chord == (velocity > 0) for in_chord, velocity in zip(chords, velocities, strict=True)):
        return velocities
    last: dict[str, int] = {}
    for _, _, staff, velocity in notes:  # a chord before any note has the velocity of the first one
        if velocity:
            last.setdefault(staff, velocity)
    for index, (_, _, staff, velocity) in enumerate(notes):
        last[staff] = velocities[index] = velocity or last.get(staff, 0)
    return velocities


def tempo_bpm(element: Element) -> float | None:
    """Quarters a minute of a direction or sound element; None where it has no tempo."""
    sounds = [element] if element.tag == "sound" else element.findall("sound")
    heard = next((tempo for sound in sounds if (tempo := positive(sound.get("tempo")))), None)
    metronome = element.find("direction-type/metronome")
    if metronome is not None and len(metronome.findall("beat-unit")) == 1:
        unit = BEAT_UNITS.get(metronome.findtext("beat-unit", ""), 0.0)
        unit *= 2 - 0.5 ** len(metronome.findall("beat-unit-dot"))
        tempo = positive(metronome.findtext("per-minute")) * unit
        if tempo:
            return heard if heard and abs(heard - tempo) <= unit / 2 else tempo  # a mark shows a whole number
    return heard


def positive(text: str | None) -> float:
    """The number in a text, 0 where it is none, or not above 0 and finite."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if 0 < number < math.inf else 0.0
