"""Voices of a staff: at most two, each of which holds notes of its own length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Sound(NamedTuple):
    """What one voice has from one tick to another: a chord, a note, or a rest. A tick of a note is a grid tick."""

    start: int
    end: int
    notes: tuple[int, ...]  # indices of the notes that sound, empty of a rest
    shared: bool  # the other voice has notes that overlap with the notes of its group


def two_voices(notes: Sequence[tuple[int, int, int, int]]) -> tuple[list[Sound], list[Sound]]:
    """The upper and the lower voice of the notes of a staff, without the rests before, between and after groups.

    A group is what no tick separates: at its end no note goes on. A group of a single chord belongs to the upper voice.
    In others, chords of one onset and end choose, from first to last, a voice that is free, if both are the one that
    fits their pitch among the notes with which they overlap. Notes that find no free voice go to the lower one, where
    they, and those that they overlap with, are cut into tied notes.

    Args:
        notes: (onset, end, pitch, index) in the order of their onsets.
    """
    voices: tuple[list[Sound], list[Sound]] = ([], [])
    for group in _groups(notes):
        chords = _chords(group)
        if len(chords) == 1:
            (start, end), members = chords[0]
            voices[0].append(Sound(start, end, tuple(index for *_, index in members), False))
            continue
        start, end = group[0][0], max(note[1] for note in group)
        for voice, members in zip(voices, _assigned(chords), strict=True):
            voice += _cut(members, start, end)
    return voices


def _groups(notes: Sequence[tuple[int, int, int, int]]) -> list[list[tuple[int, int, int, int]]]:
    """The notes in groups between ticks at which no note goes on."""
    groups: list[list[tuple[int, int, int, int]]] = []
    end = -1
    for note in notes:
        if note[0] >= end:
            groups.append([])
        groups[-1].append(note)
        end = max(end, note[1])
    return groups


def _chords(
    group: Sequence[tuple[int, int, int, int]],
) -> list[tuple[tuple[int, int], list[tuple[int, int, int, int]]]]:
    """((onset, end), notes) of each chord of a group: by onset, longer ones first."""
    chords: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for note in group:
        chords.setdefault((note[0], note[1]), []).append(note)
    return sorted(chords.items(), key=lambda chord: (chord[0][0], -chord[0][1]))


def _assigned(
    chords: list[tuple[tuple[int, int], list[tuple[int, int, int, int]]]],
) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, int, int, int]]]:
    """The notes of the upper and of the lower voice."""
    above = _above(chords)
    upper: list[tuple[int, int, int, int]] = []
    lower: list[tuple[int, int, int, int]] = []
    free = [0, 0]  # the tick from which each voice is
    for ((start, end), members), higher in zip(chords, above, strict=True):
        upper_free, lower_free = free[0] <= start, free[1] <= start
        to_upper = higher if upper_free and lower_free else upper_free
        (upper if to_upper else lower).extend(members)
        free[not to_upper] = max(free[not to_upper], end)
    return upper, lower


def _above(chords: list[tuple[tuple[int, int], list[tuple[int, int, int, int]]]]) -> list[bool]:
    """Whether each chord is not lower than the mean of those that overlap with it, by its mean pitch."""
    means = [sum(note[2] for note in members) / len(members) for _, members in chords]
    sums = [[0.0, 0] for _ in chords]  # of the pitches that overlap, and their number
    active: list[int] = []
    for index, ((start, _), _) in enumerate(chords):
        active = [other for other in active if chords[other][0][1] > start]
        for other in active:
            for one, two in ((index, other), (other, index)):
                sums[one][0] += means[two]
                sums[one][1] += 1
        active.append(index)
    return [not count or mean >= total / count for mean, (total, count) in zip(means, sums, strict=True)]


def _cut(members: Sequence[tuple[int, int, int, int]], start: int, end: int) -> list[Sound]:
    """What a voice has from one tick to another: notes that overlap are cut where one begins or ends, gaps are rests."""
    ticks = sorted({start, end, *(tick for note in members for tick in note[:2])})
    sounds, upcoming = [], list(members)[::-1]
    sounding: list[tuple[int, int, int, int]] = []
    for here, there in pairwise(ticks):
        sounding = [note for note in sounding if note[1] > here]
        while upcoming and upcoming[-1][0] == here:
            sounding.append(upcoming.pop())
        sounds.append(Sound(here, there, tuple(note[3] for note in sounding), True))
    return sounds
