"""From the element tree of a MusicXML file to a score."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple
from xml.etree.ElementTree import Element

from toccata.music.metre import DENOMINATORS, MAX_NUMERATOR, KeySignature
from toccata.music.musicxml.assembly import DEFAULT_VELOCITY, Section, assembled_score
from toccata.music.musicxml.directions import VELOCITY_PER_PERCENT, Mark, dynamics, played_velocities, tempo_bpm
from toccata.music.musicxml.own_fields import OwnFields, own_score, parse_fields
from toccata.music.musicxml.repeats import Repeats, marks_of_tree, played_bars, played_changes
from toccata.music.musicxml.tree import MAX_EVENTS
from toccata.music.score import TICKS_PER_BEAT, Score

LEAST_GRID = 16 * TICKS_PER_BEAT  # units in a quarter: sixty-fourths, and ticks
FINE_GRID = 10_080 * 2**16  # at most as many: a file of many odd divisions is rounded
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class _Bar(NamedTuple):
    """One bar of one part. Lengths are in units."""

    signature: tuple[int, int] | None  # at its start; None where it is one that no score has
    beats: float  # quarters, as that says
    written: int  # length that the signature in force says
    content: int  # to the end of its last note or rest; 0 of an empty bar, and of one of rests for the whole bar only
    sounds: bool  # it has notes and not only rests
    short: bool  # it may be an upbeat, or a part of a bar

    def lengths(self, units: int) -> tuple[int, int, int, int]:
        """Of its notes, its rests beside notes in other parts, its rests alone, and its signature.

        Args:
            units: in a quarter.
        """
        if not self.sounds:
            beside = 0 if self.short and self.content >= self.written else min(self.content, self.written)
            return 0, beside, self.content, self.written
        excess = self.content - self.written  # by an error of rounding, and not by notes?
        rounded = 0 < excess <= units / 2 and excess * 16 % units > 0 and excess * 12 % units > 0
        return self.written if rounded else self.content, 0, 0, self.written


class _Note(NamedTuple):
    """One written note that sounds."""

    bar: int
    start: int  # in units, from the start of the bar
    end: int
    pitch: int
    staff: str
    velocity: int  # 0: of the marks of its part
    tied_before: bool
    tied_after: bool
    attack: int = 0  # in units, by which it begins later than it is written; of files of our own
    release: int = 0  # and ends later


def score_from_tree(root: Element, repeats: Repeats = "unfold") -> Score:
    """The notes of a `musicxml_tree` on the grid of 24 ticks a quarter, with all parts merged.

    - Pitches are sounding pitches; tied notes are one note, also across voices and staves; grace notes, ornaments and
      unpitched notes are left out.
    - The velocity is that of the note's `dynamics`, else that of the last mark or sounding dynamics of its part
      (`directions.LEVELS`), 80 before the first. Wedges are ignored.
    - Repeats, endings and jumps are played, see `played_bars`, unless `repeats` is "written". They are read as written
      too where playing them would give more than 300,000 notes and bars.
    - The metre is the one with the longest total duration in the first part. An upbeat ends at a bar line: its notes
      are moved to the end of the first bar.
    - The tempo is the mean of the metronome marks and sounding tempi from the first onset to the last end; the first
      holds from the beginning. It is 120 quarters a minute if there is none.
    - Bars begin together in all parts. A bar lasts as long as its content in the part where that is longest, and as
      its signature says where no part has any. A rest for a whole bar does not stretch an upbeat.
    - The score ends with the bar of the last measure.

    Raises:
        ValueError: when a pitch, the metre or the tempo is outside the range of a `Score`, or the length above 4
            million ticks.
    """
    units = _units_per_quarter(root)
    own = _own_fields(root)
    parts = [_Part(part, units, own is not None) for part in root.iter("part")]
    lengths = _bar_lengths(parts, units)
    order = list(range(len(lengths)))
    if repeats == "unfold":
        unfolded = played_bars(marks_of_tree(root))
        notes = Counter(note.bar for part in parts for note in part.notes)
        order = unfolded if sum(notes[bar] + 1 for bar in unfolded) <= MAX_EVENTS else order
    starts = [0, *accumulate(lengths[bar] for bar in order)]
    ticks = [_tick(start, units) for start in starts]
    keys = [
        KeySignature(_tick(starts[place] + time, units), fifths)
        for part in parts[:1]
        if not part.semitones  # written pitches are those that sound
        for place, time, fifths in played_changes(part.keys, order)
    ]
    at_places = {tempo[:2]: tempo for part in reversed(parts) for tempo in reversed(part.tempi)}  # of each the first
    tempi = [
        (_tick(starts[place] + time, units), bpm)
        for place, time, bpm in played_changes(sorted(at_places.values()), order)
    ]
    if own:
        rows = [row for part in parts for row in part.rows(order, starts, own.ticks_per_beat)]
        try:
            return own_score(own, rows, tempi[0][1] if tempi else None, keys)
        except (ValueError, OverflowError):
            pass  # the file was changed
    rows = [row for part in parts for row in part.rows(order, starts)]
    return assembled_score(rows, _sections(parts, order, ticks), tempi, keys)


def staves(root: Element) -> int:
    """Number of staves that have notes or rests, in all parts; at least one a part."""
    return sum(len({staff.text for staff in part.iterfind("measure/note/staff")} or "1") for part in root.iter("part"))


class _Part:
    """The notes and bars of one part. Times are in units, a whole number of which make a division of the file."""

    def __init__(self, part: Element, units: int, own: bool) -> None:
        self.units = units  # in a quarter
        self.own = own  # the file is one with `OwnFields`
        self.notes: list[_Note] = []
        self.marks: list[Mark] = []
        self.tempi: list[tuple[int, int, float]] = []  # (bar, units from its start, quarters a minute)
        self.bars: list[_Bar] = []
        self.signature: tuple[int, int] | None = (4, 4)  # in force
        self.beats = 4.0  # quarters in a bar, as it says
        self.keys: list[tuple[int, int, int]] = []  # (bar, units from its start, fifths)
        self.division = float(self.units)  # units in one
        self.semitones: dict[str | None, int] = {}  # staff -> from the written to the sounding pitch; None: all staves
        for measure in part:
            self._read_measure(measure)
        self.notes.sort(key=lambda note: (note.bar, note.start))
        written = [(note.bar, note.start, note.staff, note.velocity) for note in self.notes]
        velocities = played_velocities(self.marks, written, DEFAULT_VELOCITY)
        self.notes = [note._replace(velocity=each) for note, each in zip(self.notes, velocities, strict=True)]

    def rows(self, order: Sequence[int], starts: Sequence[int], own_ticks: int = 0) -> list[list[int]]:
        """[onset tick, duration in ticks, pitch, velocity] of every note, tied notes joined.

        Args:
            order: the bars as they are played.
            starts: of each of these, and the end of the last.
            own_ticks: ticks a quarter of the grid of a file with `OwnFields`, in which notes differ from their written
                times by `attack` and `release`; 0 of other files, for the grid of 24 and written times.
        """
        by_bar: dict[int, list[_Note]] = defaultdict(list)
        for note in self.notes:
            by_bar[note.bar].append(note)
        notes = []
        for bar, start, next_start in zip(order, starts, starts[1:], strict=False):
            for note in by_bar[bar]:
                end = start + note.end
                if note.tied_after and note.end == self.bars[bar].content:
                    end = max(end, next_start)  # a tie holds to the bar line that another part sets
                notes.append(note._replace(start=start + note.start, end=end))
        rows = []
        for start, end, pitch, velocity, attack, release in _joined(notes):
            if own_ticks:
                start, end = start + attack, end + release
            onset = _tick(start, self.units, own_ticks or TICKS_PER_BEAT)
            rows.append([onset, max(_tick(end, self.units, own_ticks or TICKS_PER_BEAT) - onset, 1), pitch, velocity])
        return rows

    def _read_measure(self, measure: Element) -> None:
        """Add the bar and its notes."""
        position = onset = duration = content = 0  # from its start: of the next note, of the last one, of the end
        silent = True  # so far it has nothing but rests a bar long
        sounds = False
        at_start, signature_seen = (self.signature, self.beats), False
        for child in measure:
            if child.tag == "note":
                rest = child.find("rest")
                whole = rest is not None and rest.get("measure") == "yes"
                if child.find("chord") is None:  # the notes of a chord last as long as its first
                    duration = 0 if child.find("grace") is not None else self._duration(child)
                    if whole and child.find("duration") is None:
                        duration = self._written()
                    onset, position = position, position + duration
                content = max(content, min(onset + duration, self._written()) if whole else onset + duration)
                silent = silent and (whole or not duration)
                sounds = sounds or (rest is None and duration > 0)
                self._read_note(child, onset, onset + duration)
            elif child.tag == "backup":
                position = max(position - self._duration(child), 0)
            elif child.tag == "forward":
                position += self._duration(child)
            elif child.tag == "attributes":
                if self._read_attributes(child, position) and not signature_seen:
                    at_start, signature_seen = (self.signature, self.beats), True
            else:
                self._read_direction(child, position)
        short = not self.bars or measure.get("implicit") == "yes"
        self.bars.append(_Bar(*at_start, self._written(), 0 if silent else content, sounds, short))

    def _written(self) -> int:
        """Units in a bar of the signature in force."""
        return round(self.beats * self.units)

    def _read_attributes(self, attributes: Element, position: int) -> bool:
        """Take over divisions, transposition, key and time signature; whether there is one of time."""
        changed = False
        for child in attributes:
            if child.tag == "divisions":
                self.division = self.units / _number(child.text, 1)
            elif child.tag == "transpose":
                semitones = _number(child.findtext("chromatic")) + 12 * _number(child.findtext("octave-change"))
                self.semitones[child.get("number")] = int(semitones)
            elif child.tag == "key" and (fifths := _fifths(child)) is not None:
                self.keys.append((len(self.bars), position, fifths))
            elif child.tag == "time" and (beats := _beats(child)):
                self.signature, self.beats, changed = _signature(child, beats), beats, True
        return changed

    def _read_direction(self, direction: Element, position: int) -> None:
        """Add the tempo and dynamics of a direction or sound element, if it has any."""
        tempo = tempo_bpm(direction)
        if tempo:
            self.tempi.append((len(self.bars), position, tempo))
        self._add_mark(direction, position, direction.findtext("staff"))

    def _add_mark(self, element: Element, position: int, staff: str | None) -> None:
        at, after = dynamics(element)
        if at is not None or after is not None:
            self.marks.append(Mark(len(self.bars), position, staff, at, after))

    def _read_note(self, note: Element, start: int, end: int) -> None:
        """Add a note to the bar that is read, unless it is a rest, a grace note or unpitched."""
        pitch = note.find("pitch")
        if pitch is None or note.find("grace") is not None:
            return
        staff = note.findtext("staff", "1")
        semitones = self.semitones.get(staff, self.semitones.get(None, 0)) if self.semitones else 0
        for notations in note.findall("notations"):
            self._add_mark(notations, start, staff)
        ties = {tie.get("type") for tie in note.findall("tie")}
        before, after = bool(ties & {"stop", "continue"}), bool(ties & {"start", "continue"})
        number, velocity = _midi_number(pitch, semitones), _velocity(note) if note.get("dynamics") else 0
        names = ("attack", "release") if self.own else ("", "")
        late, long = (round(_finite(note.get(name)) * self.division) for name in names)
        self.notes.append(_Note(len(self.bars), start, end, number, staff, velocity, before, after, late, long))

    def _duration(self, element: Element) -> int:
        return round(_number(element.findtext("duration")) * self.division)


def _units_per_quarter(root: Element) -> int:
    """The least common multiple of all divisions; a fine grid, where that is large or they are fractions."""
    texts = {element.text for element in root.iterfind("part/measure/attributes/divisions")}
    units = LEAST_GRID
    for division in (_number(text, 1) for text in texts):
        units = math.lcm(units, int(division))
        if division % 1 or units > FINE_GRID:
            return FINE_GRID
    return units


def _bar_lengths(parts: list[_Part], units: int) -> list[int]:
    """How long each bar lasts in all parts."""
    longest: list[tuple[int, ...]] = []  # the lengths of each bar
    for part in parts:
        for index, bar in enumerate(part.bars):
            lengths = bar.lengths(units)
            if index == len(longest):
                longest.append(lengths)
            else:
                longest[index] = tuple(map(max, longest[index], lengths))
    return [max(notes, beside) if notes else alone or bar for notes, beside, alone, bar in longest]


def _sections(parts: list[_Part], order: Sequence[int], ticks: Sequence[int]) -> list[Section]:
    """Every bar as it is played; signatures of no whole number of ticks are ignored.

    Args:
        parts: the first that has a bar gives its signature.
        order: the bars as they are played.
        ticks: where each of these begins, and the end of the last.
    """
    bars: list[_Bar] = []
    for part in parts:
        bars += part.bars[len(bars) :]
    metres: list[tuple[float, tuple[int, int] | None]] = [(4.0, (4, 4))]
    for bar in bars:
        metres.append((bar.beats, bar.signature) if bar.beats * TICKS_PER_BEAT % 1 == 0 else metres[-1])
    return [
        Section(start, end - start, *metres[bar + 1]) for bar, start, end in zip(order, ticks, ticks[1:], strict=False)
    ]


def _own_fields(root: Element) -> OwnFields | None:
    """The field of a file of our own; None without one, and where measures were added or removed since."""
    fields = parse_fields("".join(field.text or "" for field in root.iterfind("identification/miscellaneous/*")))
    return fields if fields and fields.measures == sum(1 for _ in root.iter("measure")) else None


def _tick(time: int, units: int, ticks_per_beat: int = TICKS_PER_BEAT) -> int:
    """The nearest tick of a grid to a time in units, halves up."""
    return (2 * time * ticks_per_beat + units) // (2 * units)


def _joined(notes: list[_Note]) -> list[list[int]]:
    """[start, end, pitch, velocity, attack, release] of the notes of a part, tied notes joined.

    A key is struck again by any voice. So the end of a tie lengthens the last note of its pitch if that still sounds,
    and is a note of its own if another voice has ended it.
    """
    rows: list[list[int]] = []
    last: dict[int, list[int]] = {}  # pitch -> row of its last note
    ties: set[tuple[int, int]] = set()  # (pitch, end) of the notes that are tied to a next one
    for note in sorted(notes, key=lambda note: (note.start, not note.tied_before, note.attack)):
        row = last.get(note.pitch)
        if row is None or not note.tied_before or row[1] < note.start or (note.pitch, note.start) not in ties:
            row = last[note.pitch] = [note.start, note.end, note.pitch, note.velocity, note.attack, note.release]
            rows.append(row)
        if note.end >= row[1]:
            row[1], row[5] = note.end, note.release
        if note.tied_after:
            ties.add((note.pitch, note.end))
    return rows


def _number(text: str | None, default: float = 0) -> float:
    """The value of a text that the tree has checked; the default for a missing one."""
    if not text:
        return default
    return int(text) if text.isdecimal() else float(text)


def _fifths(key: Element) -> int | None:
    """Sharps of a key signature, flats counted negative; None where it gives no number in -7..7."""
    text = key.findtext("fifths", "")
    return int(text) if re.fullmatch(r"[+-]?[0-7]", text) else None


def _finite(text: str | None) -> float:
    """The number in a text, 0 where it is none or beyond a day of divisions."""
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e9 else 0.0


def _beats(time: Element) -> float:
    """Quarters in a bar of a time signature, such as 3 for 6/8; 0 where it has none."""
    numerators = [sum(int(number) for number in beats.text.split("+")) for beats in time.findall("beats") if beats.text]
    units = [_number(unit.text) for unit in time.findall("beat-type") if unit.text]
    return sum(4 * count / unit for count, unit in zip(numerators, units, strict=False))


def _signature(time: Element, beats: float) -> tuple[int, int] | None:
    """Numerator and denominator of a time signature of so many quarters; of a composite one their sum."""
    units = [int(_number(unit.text)) for unit in time.findall("beat-type") if unit.text]
    unit = max(units, default=4)
    count = beats * unit / 4
    return (int(count), unit) if unit in DENOMINATORS and count == int(count) <= MAX_NUMERATOR else None


def _midi_number(pitch: Element, semitones: int) -> int:
    """The sounding MIDI number, microtones rounded, halves up.

    Raises:
        ValueError: when it is outside 0..127, or has no such step.
    """
    step, octave = pitch.findtext("step", ""), pitch.findtext("octave")
    if step not in STEPS or not octave:
        raise ValueError(f"has a pitch of step {step[:20]!r} and octave {octave or ''!r}")
    number = STEPS[step] + 12 * (_number(octave) + 1) + _number(pitch.findtext("alter")) + semitones
    rounded = math.floor(number + 0.5)
    if not 0 <= rounded <= 127:
        raise ValueError(f"has a pitch of MIDI number {rounded}, outside 0..127")
    return rounded


def _velocity(note: Element) -> int:
    """The velocity of a note: its `dynamics`, else the default."""
    try:
        velocity = round(float(note.get("dynamics", "nan")) * VELOCITY_PER_PERCENT)
    except (ValueError, OverflowError):  # no number, or infinite
        return DEFAULT_VELOCITY
    return min(max(velocity, 1), 127)
