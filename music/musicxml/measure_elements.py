"""The elements of a measure in MusicXML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element, SubElement

from toccata.music.musicxml.directions import VELOCITY_PER_PERCENT
from toccata.music.notation.clefs import Clef, clefs
from toccata.music.notation.keys import Key
from toccata.music.notation.layout import Measure
from toccata.music.notation.metres import Division
from toccata.music.notation.spelling import STEPS, key_alter
from toccata.music.notation.staves import Written, silent_measure, staff_measures
from toccata.music.notation.values import DOTTED, PLAIN, Value
from toccata.music.notation.voices import VoiceNote
from toccata.music.score import TICKS_PER_BEAT

CLEF_LINES = {"G": 2, "F": 4}
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
SCALE = "CDEFGAB"
KEY_ALTERS = {fifths: {step: key_alter(step, fifths) for step in STEPS} for fifths in range(-7, 8)}
WHOLE = 96  # ticks
REST = -1  # in place of the index of a note
VOICES_A_STAFF = 4  # numbers: 1 and 2 on the upper staff, 5 and 6 on the lower, as notation programs count


class Note(NamedTuple):
    """A note as it is written."""

    onset: int  # on the grid of 24
    end: int
    pitch: int
    name: tuple[str, int, int]  # step, alteration, octave
    velocity: int
    attack: int  # divisions by which it begins later than it is written
    release: int  # and ends later


class Staff(NamedTuple):
    """The voices of each measure of a staff, and its clef there."""

    measures: list[list[list[Written]]]
    clefs: list[Clef]


class LyricMark(NamedTuple):
    """What is written under a note: a syllable, or the end of the line of a melisma."""

    text: str  # empty at the end of a melisma
    syllabic: Literal["single", "begin", "middle", "end"]
    extend: Literal["", "start", "stop"]


class Page(NamedTuple):
    """What the measures of a file are written from; lists have an item a measure."""

    bars: list[Measure]
    notes: list[Note]
    staves: list[Staff]
    keys: list[list[tuple[int, Key]]]  # (tick from the start of the bar, key): that at its start, and those within
    marks: dict[int, str]  # measure -> dynamic mark at its start
    tempo_bpm: float | None  # None: another part has it
    divisions: int
    lyrics: Mapping[int, LyricMark]  # by the index of the note


class Place(NamedTuple):
    """Where on a page a note or rest is."""

    bar: Measure
    staff: int  # 1: the upper
    low: bool  # in the lower voice
    both: bool  # the measure has both voices on the staff
    whole_rest: bool  # it is a rest for the whole bar


def staff_of(notes: Sequence[Note], members: Sequence[int], bars: Sequence[Measure], own_clef: str) -> Staff:
    """The staff of some notes.

    Args:
        notes: of the score.
        members: indices of those on the staff.
        bars: measures.
        own_clef: sign of the clef that the staff begins with if nothing speaks against it.
    """
    own = [VoiceNote(notes[index].onset, notes[index].end, notes[index].pitch, index) for index in members]
    written = staff_measures(sorted(own), bars)
    steps = [
        [
            SCALE.index(step) + 7 * octave
            for voice in voices
            for each in voice
            for step, _, octave in _names(each, notes)
        ]
        for voices in written
    ]
    return Staff(written, clefs(steps, own_clef))


def add_measure(part: Element, page: Page, index: int) -> None:
    """Add a measure to a part."""
    bar = page.bars[index]
    upbeat = page.bars[0].first > 0
    measure = SubElement(part, "measure", number=str(index + (not upbeat)))
    if bar.first:
        measure.set("implicit", "yes")
    _add_attributes(measure, page, index)
    if not index and page.tempo_bpm is not None:
        _add_tempo(measure, page.bars[0].division, page.tempo_bpm)
    if index in page.marks:
        SubElement(SubElement(_direction(measure, 1, "below"), "dynamics"), page.marks[index])
    for number in range(1, len(page.staves) + 1):
        if number > 1:
            _add_time(measure, "backup", bar.ticks, page)
        _add_staff(measure, page, index, number)
    if index == len(page.bars) - 1:
        SubElement(SubElement(measure, "barline", location="right"), "bar-style").text = "light-heavy"


def _add_staff(measure: Element, page: Page, index: int, number: int) -> None:
    """Add the voices of a staff, and the ends of its octave lines."""
    bar, staff = page.bars[index], page.staves[number - 1]
    clef = staff.clefs[index]
    if clef.octaves and (not index or staff.clefs[index - 1] != clef):
        _add_octave_line(measure, number, "down" if clef.octaves > 0 else "up")
    silent = not staff.measures[index]
    voices = [silent_measure(bar)] if silent else staff.measures[index]
    shown = _accidentals(voices, page.notes, page.keys[index], bar.start)
    inner_keys = dict(page.keys[index][1:]) if number == 1 else {}
    for low, voice in enumerate(voices):
        if low:
            _add_time(measure, "backup", bar.ticks, page)
        place = Place(bar, number, bool(low), len(voices) > 1, silent and bar.whole)
        seen = Counter(each.value.triplet for each in voice if each.kind != "space")
        for item, each in enumerate(voice[:1] if place.whole_rest else voice):
            if not low and each.value.start in inner_keys:
                _add_key(SubElement(measure, "attributes"), inner_keys[each.value.start])
            alone = seen[each.value.triplet] == 1
            measure.extend(_elements(each, page, place, shown.get((low, item), {}), alone))
        if not low and clef.octaves and staff.clefs[index + 1 : index + 2] != [clef]:
            _add_octave_line(measure, number, "stop")


def _names(written: Written, notes: Sequence[Note]) -> list[tuple[str, int, int]]:
    """The names of the notes of a chord."""
    return [notes[index].name for index in written.notes]


def _add_attributes(measure: Element, page: Page, index: int) -> None:
    """Add divisions, key, time and clefs, where they change."""
    attributes = Element("attributes")
    before = page.bars[index - 1] if index else None
    if not index:
        SubElement(attributes, "divisions").text = str(page.divisions)
    if not index or page.keys[index][0][1] != page.keys[index - 1][-1][1]:
        _add_key(attributes, page.keys[index][0][1])
    if before is None or before.signature != page.bars[index].signature:
        time = SubElement(attributes, "time")
        SubElement(time, "beats").text, SubElement(time, "beat-type").text = map(str, page.bars[index].signature)
    if not index:
        SubElement(attributes, "staves").text = str(len(page.staves))
    for number, staff in enumerate(page.staves, start=1):
        sign = staff.clefs[index].sign
        if not index or staff.clefs[index - 1].sign != sign:
            clef = SubElement(attributes, "clef", number=str(number))
            SubElement(clef, "sign").text = sign
            SubElement(clef, "line").text = str(CLEF_LINES[sign])
    if len(attributes):
        measure.append(attributes)


def _add_key(attributes: Element, key: Key) -> None:
    """Add a key signature."""
    element = SubElement(attributes, "key")
    SubElement(element, "fifths").text = str(key.fifths)
    SubElement(element, "mode").text = "minor" if key.minor else "major"


def _direction(measure: Element, staff: int, placement: str | None = None) -> Element:
    """The type of a new direction."""
    direction = SubElement(measure, "direction", {"placement": placement} if placement else {})
    kind = SubElement(direction, "direction-type")
    SubElement(direction, "staff").text = str(staff)
    return kind


def _add_tempo(measure: Element, division: Division, tempo_bpm: float) -> None:
    """Add a metronome mark, rounded to a whole number, and the exact tempo of the sound."""
    lengths = {after - before for before, after in pairwise([*division.beats, division.ticks])}
    beat = lengths.pop() if len(lengths) == 1 else division.pulse
    beat = beat if beat <= WHOLE and (beat in PLAIN or beat in DOTTED) else TICKS_PER_BEAT
    direction = SubElement(measure, "direction", placement="above")
    metronome = SubElement(SubElement(direction, "direction-type"), "metronome")
    SubElement(metronome, "beat-unit").text = PLAIN.get(beat) or DOTTED[beat]
    if beat in DOTTED:
        SubElement(metronome, "beat-unit-dot")
    SubElement(metronome, "per-minute").text = str(max(round(tempo_bpm * TICKS_PER_BEAT / beat), 1))
    SubElement(direction, "staff").text = "1"
    SubElement(direction, "sound", tempo=f"{tempo_bpm:.12g}")


def _add_octave_line(measure: Element, staff: int, kind: str) -> None:
    """Add the start ("down": notes are written lower than they sound) or the stop of an octave line."""
    SubElement(_direction(measure, staff), "octave-shift", type=kind, size="8", number=str(staff))


def _add_time(measure: Element, tag: str, ticks: int, page: Page) -> None:
    """Add a backup or a forward."""
    SubElement(SubElement(measure, tag), "duration").text = str(ticks * page.divisions // TICKS_PER_BEAT)


def _accidentals(
    voices: Sequence[Sequence[Written]], notes: Sequence[Note], keys: Sequence[tuple[int, Key]], bar_start: int
) -> dict[tuple[int, int], dict[int, str]]:
    """(voice, item) -> note -> the accidental that is written beside it.

    One holds for its step and octave to the end of the bar; notes that are tied to one before have none.
    """
    heads = sorted(
        (each.value.start, place, item, index)
        for place, voice in enumerate(voices)
        for item, each in enumerate(voice)
        for index in each.notes
        if notes[index].onset == each.value.start + bar_start
    )
    in_force: dict[tuple[str, int], int] = {}  # (step, octave) -> alteration
    shown: dict[tuple[int, int], dict[int, str]] = {}
    for tick, place, item, index in heads:
        fifths = [key.fifths for since, key in keys if since <= tick][-1]
        step, alter, octave = notes[index].name
        if in_force.get((step, octave), KEY_ALTERS[fifths][step]) != alter:
            shown.setdefault((place, item), {})[index] = ACCIDENTALS[alter]
        in_force[step, octave] = alter
    return shown


def _elements(
    written: Written, page: Page, place: Place, accidentals: dict[int, str], alone: bool
) -> Iterator[Element]:
    """The elements of a chord, a rest or a space.

    Args:
        written: what to write.
        page: of its measure.
        place: where on the page.
        accidentals: of the notes that have one.
        alone: whether no other note or rest of its triplet is seen.
    """
    value, bar, whole_rest = written.value, place.bar, place.whole_rest
    ticks = bar.ticks if whole_rest else value.end - value.start
    duration = str(ticks * page.divisions // TICKS_PER_BEAT)
    if written.kind == "space" and not value.triplet:
        element = Element("forward")
        SubElement(element, "duration").text = duration
        yield element
        return
    chord = sorted(written.notes, key=lambda index: page.notes[index].pitch)
    for order, index in enumerate(chord or [REST]):
        element = Element("note")
        note = page.notes[index] if chord else None
        ties = _add_sound(element, note, value.start + bar.start, value.end + bar.start, order)
        if note is None:
            if written.kind == "space":
                element.set("print-object", "no")
            SubElement(element, "rest", {"measure": "yes"} if whole_rest else {})
        SubElement(element, "duration").text = duration
        for tie in ties:
            SubElement(element, "tie", type=tie)
        SubElement(element, "voice").text = str(1 + place.low + VOICES_A_STAFF * (place.staff - 1))
        if not whole_rest:
            SubElement(element, "type").text = value.type
            for _ in range(value.dots):
                SubElement(element, "dot")
        if index in accidentals:
            SubElement(element, "accidental").text = accidentals[index]
        if value.triplet:
            modification = SubElement(element, "time-modification")
            SubElement(modification, "actual-notes").text, SubElement(modification, "normal-notes").text = "3", "2"
        if note and written.shared and place.both:
            SubElement(element, "stem").text = "down" if place.low else "up"
        SubElement(element, "staff").text = str(place.staff)
        if not order:
            for level, beam in enumerate(written.beams, start=1):
                SubElement(element, "beam", number=str(level)).text = beam
        _add_ties(element, ties)
        if value.triplet and not order:
            _add_triplet(element, value, bar, alone)
        if note and index in page.lyrics and note.onset == value.start + bar.start:
            _add_lyric(element, page.lyrics[index])
        yield element


def _add_sound(element: Element, note: Note | None, start: int, end: int, order: int) -> list[str]:
    """Add what is heard of a note; its ties."""
    if note is None:
        return []
    element.set("dynamics", f"{note.velocity / VELOCITY_PER_PERCENT:.2f}")
    if note.attack and note.onset == start:
        element.set("attack", str(note.attack))
    if note.release and note.end == end:
        element.set("release", str(note.release))
    if order:
        SubElement(element, "chord")
    pitch = SubElement(element, "pitch")
    step, alter, octave = note.name
    SubElement(pitch, "step").text = step
    if alter:
        SubElement(pitch, "alter").text = str(alter)
    SubElement(pitch, "octave").text = str(octave)
    return [kind for kind, tied in (("stop", note.onset < start), ("start", end < note.end)) if tied]


def _add_ties(element: Element, ties: Sequence[str]) -> None:
    """Add the arcs of ties."""
    if ties:
        notations = SubElement(element, "notations")
        for tie in ties:
            SubElement(notations, "tied", type=tie)


def _add_lyric(element: Element, mark: LyricMark) -> None:
    """Add a syllable, or the end of a melisma."""
    lyric = SubElement(element, "lyric", number="1")
    if mark.text:
        SubElement(lyric, "syllabic").text = mark.syllabic
        SubElement(lyric, "text").text = mark.text
    if mark.extend:
        SubElement(lyric, "extend", type=mark.extend)


def _add_triplet(element: Element, value: Value, bar: Measure, alone: bool) -> None:
    """Add the start and the stop of a triplet.

    Args:
        element: of a note or rest.
        value: of it.
        bar: its measure.
        alone: whether it is the only one of its triplet that is seen: there is neither bracket nor number.
    """
    start, end = value.triplet or (0, 0)
    first, last = value.start == max(start, bar.first), value.end == min(end, bar.first + bar.ticks)
    if not first and not last:
        return
    notations = element.find("notations")
    if notations is None:
        notations = SubElement(element, "notations")
    if first:
        seen = {"bracket": "no", "show-number": "none"} if alone else {"bracket": "yes"}
        SubElement(notations, "tuplet", {"type": "start", **seen})
    if last:
        SubElement(notations, "tuplet", type="stop")
