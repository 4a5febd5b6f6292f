"""Writing of MusicXML files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import lcm
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from toccata._version import __version__
from toccata.errors import printable
from toccata.files import write_atomically
from toccata.music.musicxml.assembly import MAX_TICKS, Section, assembled_score
from toccata.music.musicxml.errors import MusicXMLError
from toccata.music.musicxml.measure_elements import LyricMark, Note, Page, Staff, add_measure, staff_of
from toccata.music.musicxml.own_fields import MAX_OWN_TICKS, NAME, field_texts, own_fields
from toccata.music.musicxml.tree import MAX_EVENTS
from toccata.music.notation.dynamics import dynamic_marks
from toccata.music.notation.hands import right_hand
from toccata.music.notation.keys import Key, keys
from toccata.music.notation.layout import Measure, grid_notes, grid_ticks, measure_of, measures, with_upbeat
from toccata.music.notation.spelling import spelled, step_alter_octave
from toccata.music.score import TICKS_PER_BEAT, Score

LEAST_EVENTS = 4  # of a measure: itself, two rests and a backup
DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 '
    'Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
)


class PartPlan(NamedTuple):
    """A part of a file: which notes each of its staves has."""

    name: str
    program: int  # of General MIDI, counted from 1
    staves: list[tuple[np.ndarray, str]]  # (notes,) bool, and the sign of the clef that the staff begins with
    lyrics: Mapping[int, LyricMark]  # by the index of the note, what is written under it


def piano_part(score: Score, members: np.ndarray | None = None) -> PartPlan:
    """The part of a piano, one staff a hand.

    Args:
        score: any score.
        members: (notes,) bool, those that the piano plays; by default all.
    """
    plays = np.ones(len(score), bool) if members is None else members
    right = np.zeros(len(score), bool)
    right[plays] = right_hand(replace(score, notes=score.notes[plays]))
    return PartPlan("Piano", 1, [(right, "G"), (plays & ~right, "F")], {})


def write_musicxml(
    score: Score,
    path: str | PathLike[str],
    title: str | None = None,
    composer: str | None = None,
    parts: Sequence[PartPlan] = (),
) -> None:
    """Write a MusicXML file for piano that `read_musicxml` reads back as an equal score.

    Two staves, one a hand, with at most two voices each; key, spelling, values, triplets, beams, clefs, octave lines
    and dynamic marks as docs/notation.md describes. Notes off the grid of 24 ticks a quarter are written at the nearest
    one, and `attack` and `release` say by how much they differ. What MusicXML cannot say is in a miscellaneous field.
    The file is written atomically.

    Args:
        score: any score.
        path: of the file.
        title: of the piece; by default the name of the file without suffix.
        composer: by default "Toccata".
        parts: that have each note once; by default a piano has all.

    Raises:
        MusicXMLError: when the score is longer than what `read_musicxml` reads.
        OSError: when the file cannot be written.
    """
    path = Path(path)
    end = int(grid_ticks(score.length_ticks, score.ticks_per_beat))
    if end > MAX_TICKS or score.length_ticks >= MAX_OWN_TICKS:
        raise MusicXMLError(f"{path}: the score lasts {score.length_ticks:,} ticks, at most {MAX_TICKS:,} are written")
    grid = grid_notes(score)
    bars = measures(score, max(end, int(grid[1].max(initial=0))))
    events = len(score) + LEAST_EVENTS * len(bars)
    if events <= MAX_EVENTS:
        plan = _plan(score, bars)
        texts = _text(path.stem if title is None else title), _text(composer or "Toccata")
        root = _document(score, grid, plan, parts or [piano_part(score)], *texts)
        events = sum(1 + len(measure) for measure in root.iter("measure"))
    if events > MAX_EVENTS:
        raise MusicXMLError(f"{path}: the score needs {events:,} notes and other events, more than {MAX_EVENTS:,}")
    indent(root, " ")
    write_atomically(path, DOCTYPE.encode() + tostring(root, "utf-8") + b"\n")


class _Plan(NamedTuple):
    """The measures of a file, and how the score differs from what they say."""

    bars: list[Measure]
    shift: int  # ticks of the grid of silence before an upbeat
    exact: bool  # the notation says all


def _plan(score: Score, bars: list[Measure]) -> _Plan:
    """The measures of a score's bars, with an upbeat, unless only those without are read back as they are."""
    if score.ticks_per_beat != TICKS_PER_BEAT:
        return _Plan(bars, 0, exact=False)
    upbeat = with_upbeat(bars, int(score.notes["onset_tick"][0])) if len(score) else bars
    exact = next((layout for layout in (upbeat, bars) if _read_back(score, layout) == score), None)
    layout = exact or upbeat
    return _Plan(layout, layout[0].first, exact is not None)


def _read_back(score: Score, bars: Sequence[Measure]) -> Score:
    """The score that is read from the measures alone."""
    shift = bars[0].first
    rows = [(onset - shift, duration, pitch, velocity) for onset, duration, pitch, velocity in score.notes.tolist()]
    sections = [
        Section(bar.start + bar.first - shift, bar.ticks, bar.division.ticks / TICKS_PER_BEAT, bar.signature)
        for bar in bars
    ]
    return assembled_score(rows, sections, [(0, score.tempo_bpm)])


def _document(
    score: Score,
    grid: tuple[np.ndarray, np.ndarray],
    plan: _Plan,
    parts: Sequence[PartPlan],
    title: str,
    composer: str,
) -> Element:
    """The root element of a file."""
    bars, shift, exact = plan
    divisions = lcm(TICKS_PER_BEAT, score.ticks_per_beat)
    root = Element("score-partwise", version="4.0")
    SubElement(SubElement(root, "work"), "work-title").text = title
    identification = SubElement(root, "identification")
    SubElement(identification, "creator", type="composer").text = composer
    encoding = SubElement(identification, "encoding")
    SubElement(encoding, "software").text = f"Toccata {__version__}"
    for element in ("accidental", "beam", "stem"):
        SubElement(encoding, "supports", element=element, type="yes")
    if not exact:
        miscellaneous = SubElement(identification, "miscellaneous")
        for text in field_texts(own_fields(score, len(bars), shift)):
            SubElement(miscellaneous, "miscellaneous-field", name=NAME).text = text
    names = SubElement(root, "part-list")
    for number, part in enumerate(parts, start=1):
        _add_part_name(names, part, number)
    for number, page in enumerate(_pages(score, grid, bars, divisions, parts), start=1):
        music = SubElement(root, "part", id=f"P{number}")
        for index in range(len(bars)):
            add_measure(music, page, index)
    return root


def _add_part_name(names: Element, part: PartPlan, number: int) -> None:
    """Add a part to the list of parts."""
    element = SubElement(names, "score-part", id=f"P{number}")
    SubElement(element, "part-name").text = part.name
    SubElement(SubElement(element, "score-instrument", id=f"P{number}-I1"), "instrument-name").text = part.name
    midi = SubElement(element, "midi-instrument", id=f"P{number}-I1")
    SubElement(midi, "midi-channel").text = str(number)
    SubElement(midi, "midi-program").text = str(part.program)


def _pages(
    score: Score,
    grid: tuple[np.ndarray, np.ndarray],
    bars: list[Measure],
    divisions: int,
    parts: Sequence[PartPlan],
) -> Iterator[Page]:
    """What the measures of each part are written from; the tempo is above the first, dynamics are in the last."""
    in_force = keys(score)
    starts = [bar.start for bar in bars]
    notes = _notes(score, grid, spelled(score, in_force), divisions)
    marks = dynamic_marks(score.notes["velocity"], np.searchsorted(starts, grid[0], side="right") - 1, len(bars))
    for part in parts:
        staves = [staff_of(notes, np.flatnonzero(members).tolist(), bars, sign) for members, sign in part.staves]
        yield Page(
            bars,
            notes,
            staves,
            _keys_by_measure(score, in_force, bars, staves[0]),
            dict(marks) if part is parts[-1] else {},
            score.tempo_bpm if part is parts[0] else None,
            divisions,
            part.lyrics,
        )


def _notes(score: Score, grid: tuple[np.ndarray, np.ndarray], positions: np.ndarray, divisions: int) -> list[Note]:
    """The notes of a score as they are written."""
    scale, own_scale = divisions // TICKS_PER_BEAT, divisions // score.ticks_per_beat
    late = score.notes["onset_tick"].astype(np.int64) * own_scale - grid[0] * scale
    long = score.offset_ticks.astype(np.int64) * own_scale - grid[1] * scale
    columns = (*grid, score.notes["pitch"], positions, score.notes["velocity"], late, long)
    return [
        Note(onset, end, pitch, step_alter_octave(pitch, position), velocity, attack, release)
        for onset, end, pitch, position, velocity, attack, release in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _keys_by_measure(
    score: Score, in_force: Sequence[Key], bars: list[Measure], upper: Staff
) -> list[list[tuple[int, Key]]]:
    """The keys of each measure, as in `Page`.

    A key that begins within a measure does so where the upper staff has a note or rest, else at the nearest bar line.
    """
    found: list[list[tuple[int, Key]]] = [[] for _ in bars]
    for key in in_force:
        tick = int(grid_ticks(key.tick, score.ticks_per_beat))
        index = min(measure_of(bars, tick), len(bars) - 1)
        bar, within = bars[index], tick - bars[index].start
        if within > bar.first and within in {each.value.start for voice in upper.measures[index][:1] for each in voice}:
            found[index].append((within, key))
        else:
            index += within > max(bar.ticks // 2, bar.first) and index + 1 < len(bars)
            found[index] = [(0, key)]
    last = in_force[0]
    for keys_of_bar in found:
        if not keys_of_bar or keys_of_bar[0][0]:
            keys_of_bar[:0] = [(0, last)]
        last = keys_of_bar[-1][1]
    return found


def _text(text: str) -> str:
    """A text with "?" for what XML cannot hold."""
    return re.sub("[^\t\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", printable(text))
