"""Writing of MusicXML files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from toccata.errors import printable
from toccata.files import write_atomically
from toccata.music.metre import time_signature
from toccata.music.score import TICKS_PER_BEAT, Score

if TYPE_CHECKING:
    from music21.note import GeneralNote
    from music21.stream import Stream

MIDDLE_C = 60  # the lowest pitch of the treble staff
# Durations on the grid of 24 ticks a quarter that one written note can have: plain, dotted, or in triplets. The last is
# a triplet of sixty-fourths, so every duration is a sum of them, tied.
WRITTEN_TICKS = (96, 72, 48, 36, 24, 18, 16, 12, 9, 8, 6, 4, 3, 2, 1)
# (tied to the note before, tied to the note after) -> type of the tie in music21
TIES = {(False, False): None, (False, True): "start", (True, True): "continue", (True, False): "stop"}


def write_musicxml(score: Score, path: str | PathLike[str]) -> None:
    """Write a MusicXML file with two staves, treble from middle C upward and bass below.

    Notes that sound together on a staff are written as a chord; a note that is held while another changes is tied.
    Onsets and durations on the 24-tick grid are exact, others are rounded to it. Bars that no time signature can
    describe are written in 4/4.

    Raises:
        OSError: when the file cannot be written.
    """
    from music21 import clef, layout, metadata, meter, stream, tempo
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    score = _on_default_grid(score)
    signature = time_signature(score.beats_per_bar) or (4, 4)
    ticks_per_bar = 4 * TICKS_PER_BEAT * signature[0] // signature[1]
    high = score.notes["pitch"] >= MIDDLE_C
    staves: list[Stream] = []
    for notes, staff_clef in ((score.notes[high], clef.TrebleClef()), (score.notes[~high], clef.BassClef())):
        staff = stream.PartStaff()
        for number, bar in enumerate(_staff_bars(notes.tolist(), ticks_per_bar, score.length_ticks), start=1):
            measure = stream.Measure(number=number)
            if number == 1:
                measure.append([staff_clef, meter.TimeSignature("{}/{}".format(*signature))])
                if not staves:
                    measure.insert(0, tempo.MetronomeMark(number=score.tempo_bpm))
            for element in bar:
                measure.append(_music21_element(*element))
            staff.append(measure)
        staves.append(staff)
    notation = stream.Score([*staves, layout.StaffGroup(staves, symbol="brace")])
    notation.metadata = metadata.Metadata(title=_title(path), composer="Toccata")
    xml = GeneralObjectExporter(notation).parse()
    write_atomically(path, re.sub(rb"(?<=id=\")P[0-9a-f]{32}(?=\")", b"P1", xml))  # music21's part ids are random


def _title(path: str | PathLike[str]) -> str:
    """The name of a file without suffix, with "?" for what XML cannot hold."""
    return re.sub("[^\t\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", printable(Path(path).stem))


def _on_default_grid(score: Score) -> Score:
    """The score with its ticks rounded to the grid of 24 a quarter, halves up."""
    if score.ticks_per_beat == TICKS_PER_BEAT:
        return score

    def tick(other: int) -> int:
        return (2 * other * TICKS_PER_BEAT + score.ticks_per_beat) // (2 * score.ticks_per_beat)

    beats_per_bar = score.beats_per_bar if score.beats_per_bar * TICKS_PER_BEAT % 1 == 0 else 4
    notes = [
        (tick(onset), max(tick(onset + duration) - tick(onset), 1), pitch, velocity)
        for onset, duration, pitch, velocity in score.notes.tolist()
    ]
    end = max([tick(score.length_ticks), *(onset + duration for onset, duration, _, _ in notes)])
    return Score(notes, beats_per_bar=beats_per_bar, tempo_bpm=score.tempo_bpm, length_ticks=end)


def _staff_bars(
    notes: list[tuple[int, int, int, int]], ticks_per_bar: int, length_ticks: int
) -> Iterator[list[tuple[int, list[tuple[int, int, str | None]]]]]:
    """The elements of each bar of a staff: (ticks, [(pitch, velocity, tie), ...]), without pitches a rest.

    At least one bar; the last one is filled up with rests.
    """
    bar_count = max(-(-length_ticks // ticks_per_bar), 1)
    changes = {tick for onset, duration, _, _ in notes for tick in (onset, onset + duration)}
    changes |= set(range(0, bar_count * ticks_per_bar + 1, ticks_per_bar))
    ticks = sorted(changes)
    upcoming = notes[::-1]
    sounding: list[tuple[int, int, int, int]] = []
    bar: list[tuple[int, list[tuple[int, int, str | None]]]] = []
    for start, end in pairwise(ticks):
        sounding = [note for note in sounding if note[0] + note[1] > start]
        while upcoming and upcoming[-1][0] == start:
            sounding.append(upcoming.pop())
        now = start
        for written in _written_values(end - start):
            tied = [
                (pitch, velocity, TIES[now > onset, now + written < onset + duration])
                for onset, duration, pitch, velocity in sounding
            ]
            bar.append((written, tied))
            now += written
        if end % ticks_per_bar == 0:
            yield bar
            bar = []


def _written_values(ticks: int) -> Iterator[int]:
    """Values of `WRITTEN_TICKS` whose sum is the duration, the largest first."""
    for value in WRITTEN_TICKS:
        while ticks >= value:
            yield value
            ticks -= value


def _music21_element(ticks: int, notes: list[tuple[int, int, str | None]]) -> GeneralNote:
    """A music21 rest, note or chord."""
    from music21 import chord, duration, note, tie
    from music21.pitch import Pitch

    length = duration.Duration(quarterLength=Fraction(ticks, TICKS_PER_BEAT))
    if not notes:
        return note.Rest(duration=length)
    members = []
    for number, velocity, tie_type in notes:
        member = note.Note(pitch=Pitch(midi=number), duration=length)
        member.volume.velocity = velocity
        if tie_type:
            member.tie = tie.Tie(tie_type)
        members.append(member)
    return chord.Chord(members, duration=length) if len(members) > 1 else members[0]
