"""Voices of a staff: at most two, each of which holds notes of its own length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

BEAM_WIDTH = 12  # ways to distribute the chords so far that are followed
# Costs of a distribution; a note that is cut in two costs 1.
CROSSING = 0.7  # a chord above one of the upper voice that began before, or will begin
COLLISION = 1.5  # and of one that begins with it


class Sound(NamedTuple):
    """What one voice has from one tick to another: a chord, a note, or a rest. A tick of a note is a grid tick."""

    start: int
    end: int
    notes: tuple[int, ...]  # indices of the notes that sound, empty of a rest
    shared: bool  # the other voice has notes that overlap with the notes of its group


class VoiceNote(NamedTuple):
    """A note of a staff, in ticks of the grid of 24."""

    start: int
    end: int
    pitch: int
    number: int  # its index in the score


class Chord(NamedTuple):
    """The notes of a group with one onset and one end."""

    start: int
    end: int
    pitch: float  # mean
    notes: list[VoiceNote]


class _Way(NamedTuple):
    """A distribution of the first chords of a group over two voices."""

    cost: float
    active: tuple[tuple[Chord, bool], ...]  # chords that may go on, and whether they are in the lower voice
    before: _Way | None  # without the last chord
    low: bool  # the last chord is in the lower voice


def two_voices(notes: Sequence[VoiceNote]) -> tuple[list[Sound], list[Sound]]:
    """The upper and the lower voice of the notes of a staff, without the rests before, between and after groups.

    A group is what no tick separates: at its end no note goes on. A group of a single chord belongs to the upper voice.
    The chords of others are distributed so that few notes are cut into tied ones, and few are below notes of the lower
    voice. Notes of a voice that overlap are cut where one of them begins or ends.

    Args:
        notes: in the order of their onsets.
    """
    voices: tuple[list[Sound], list[Sound]] = ([], [])
    for group in _groups(notes):
        chords = _chords(group)
        if len(chords) == 1:
            indices = tuple(note.number for note in group)
            voices[0].append(Sound(group[0].start, group[0].end, indices, shared=False))
            continue
        end = max(note.end for note in group)
        for voice, members in zip(voices, _assigned(chords), strict=True):
            voice += _cut(members, group[0].start, end) if members else []
    return voices


def _groups(notes: Sequence[VoiceNote]) -> list[list[VoiceNote]]:
    """The notes in groups between ticks at which no note goes on."""
    groups: list[list[VoiceNote]] = []
    end = -1
    for note in notes:
        if note.start >= end:
            groups.append([])
        groups[-1].append(note)
        end = max(end, note.end)
    return groups


def _chords(group: Sequence[VoiceNote]) -> list[Chord]:
    """The chords of a group: notes of one onset and end, by onset, longer ones first."""
    chords: dict[tuple[int, int], list[VoiceNote]] = {}
    for note in group:
        chords.setdefault((note.start, note.end), []).append(note)
    found = [
        Chord(start, end, sum(note.pitch for note in notes) / len(notes), notes)
        for (start, end), notes in chords.items()
    ]
    return sorted(found, key=lambda chord: (chord.start, -chord.end))


def _assigned(chords: Sequence[Chord]) -> tuple[list[VoiceNote], list[VoiceNote]]:
    """The notes of the upper and of the lower voice: with few cuts and crossings, by a beam search over the onsets."""
    ways = [_Way(0.0, (), None, False)]
    for chord in chords:
        ways = sorted((way for one in ways for way in _continued(one, chord)), key=lambda way: way.cost)[:BEAM_WIDTH]
    way: _Way | None = ways[0]
    upper: list[VoiceNote] = []
    lower: list[VoiceNote] = []
    for chord in reversed(chords):
        assert way is not None  # a way has a step a chord
        (lower if way.low else upper).extend(reversed(chord.notes))
        way = way.before
    return upper[::-1], lower[::-1]


def _continued(way: _Way, chord: Chord) -> Iterator[_Way]:
    """A way with the next chord in the upper, and in the lower voice."""
    active = [one for one in way.active if one[0].end > chord.start]
    for low in (False, True):
        cost = way.cost
        for other, other_low in active:
            together = other.start == chord.start
            if other_low == low:  # they are cut where one of them begins or ends alone
                cost += 0 if together else len(other.notes)
                if other.end != chord.end:
                    cost += len(other.notes if other.end > chord.end else chord.notes)
            elif (chord.pitch > other.pitch) == low:
                cost += COLLISION if together else CROSSING
        yield _Way(cost, (*active, (chord, low)), way, low)


def _cut(members: Sequence[VoiceNote], start: int, end: int) -> list[Sound]:
    """What a voice has from one tick to another, cut where a note begins or ends; gaps are rests."""
    ticks = sorted({start, end, *(tick for note in members for tick in (note.start, note.end))})
    sounds, upcoming = [], list(members)[::-1]
    sounding: list[VoiceNote] = []
    for here, there in pairwise(ticks):
        sounding = [note for note in sounding if note.end > here]
        while upcoming and upcoming[-1].start == here:
            sounding.append(upcoming.pop())
        sounds.append(Sound(here, there, tuple(note.number for note in sounding), shared=True))
    return sounds
