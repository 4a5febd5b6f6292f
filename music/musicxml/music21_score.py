"""Scores of music21's streams: of ABC and Humdrum, which music21 reads, and of its corpora."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from math import floor
from typing import TYPE_CHECKING

from toccata.music.metre import DENOMINATORS, MAX_NUMERATOR, KeySignature
from toccata.music.musicxml.assembly import DEFAULT_VELOCITY, Section, assembled_score
from toccata.music.musicxml.repeats import BarMarks, Repeats, played_bars, played_changes
from toccata.music.score import TICKS_PER_BEAT, Score

if TYPE_CHECKING:
    from music21.note import Note
    from music21.stream import Stream

# ABC and Humdrum, and the most characters of each: music21 needs most of a minute for as many. The longest of 4,248 ABC
# tunes has 2,439, a long movement of a quartet in Humdrum 64,267.
TEXT_SUFFIXES = {".abc": 8 * 2**10, ".krn": 64 * 2**10}


def stream_from_text(text: str, suffix: str) -> Stream:
    """The music21 stream of one piece in ABC (".abc") or Humdrum (".krn").

    The converters are called directly: `music21.converter.parse` would take the text for the name of a file, or for an
    address to fetch, if it looks like one.

    Raises:
        ValueError: for several pieces, and for a text that is too long.
        Exception: of any kind, what music21 raises for a damaged text.
    """
    from music21.converter.subConverters import ConverterABC, ConverterHumdrum
    from music21.stream import Opus

    if len(text) > TEXT_SUFFIXES[suffix]:
        raise ValueError(f"has more than {TEXT_SUFFIXES[suffix]:,} characters")
    converter = ConverterABC() if suffix == ".abc" else ConverterHumdrum()
    converter.parseData(text)
    if isinstance(converter.stream, Opus):
        raise ValueError(f"has {len(converter.stream.scores)} pieces, expected one")
    return converter.stream


def decode_text(data: bytes) -> str:
    """Text in UTF-8, or in Latin-1, as older tune books are."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def score_from_stream(stream: Stream, repeats: Repeats = "unfold") -> Score:
    """The notes of a music21 stream on the grid of 24 ticks a quarter, with all parts merged.

    - Pitches are sounding pitches; tied notes are one note; grace notes, chord symbols and unpitched notes are
      left out. Notes without a velocity get 80.
    - Repeats and endings are played, see `played_bars`, unless `repeats` is "written".
    - The metre is the one with the longest total duration. An upbeat ends at a bar line: its notes are moved to the end
      of the first bar.
    - The tempo is the mean of the metronome marks from the first onset to the last end; the first holds from the
      beginning. It is 120 quarters a minute if there is none.
    - The score ends with the bar of the last measure.

    Raises:
        ValueError: when a pitch, the metre or the tempo is outside the range of a `Score`, or the length above 4
            million ticks.
    """
    parts = list(getattr(stream, "parts", ())) or [stream]
    sections = _sections(parts[0])
    order = played_bars(_marks(parts[0])) if repeats == "unfold" else list(range(len(sections)))
    starts = [each.start for each in sections]
    ends = list(accumulate(sections[bar].ticks for bar in order))
    moves = [end - sections[bar].ticks - starts[bar] for bar, end in zip(order, ends, strict=True)]
    rows = [row for part in parts for row in _sounding_notes(part, starts, order, moves)]
    tempi = [
        (starts[order[place]] + moves[place] + time, tempo)
        for place, time, tempo in played_changes(_tempi(stream, starts), order)
    ]
    keys = [
        KeySignature(starts[order[place]] + moves[place] + time, fifths)
        for place, time, fifths in played_changes(_keys(parts[0], starts), order)
    ]
    played = [sections[bar]._replace(start=sections[bar].start + move) for bar, move in zip(order, moves, strict=True)]
    return assembled_score(rows, played, tempi, keys)


def _sounding_notes(part: Stream, starts: Sequence[int], order: Sequence[int], moves: Sequence[int]) -> list[list[int]]:
    """[onset tick, duration in ticks, pitch, velocity] of every note of a part, tied notes joined.

    Args:
        part: the part.
        starts: the written tick of each bar.
        order: the bars as they are played.
        moves: ticks by which each of these is later than it is written.
    """
    by_bar: dict[int, list[tuple[Fraction, Fraction, int, str | None, int]]] = defaultdict(list)
    for each in _written_notes(part):
        by_bar[_place(_tick(each[0]), starts)[0]].append(each)
    rows: list[list[int]] = []
    tied: dict[int, tuple[list[int], Fraction]] = {}  # pitch -> (row of the tied note, its exact end)
    for bar, move in zip(order, moves, strict=True):
        for start, end, pitch, tie, velocity in by_bar[bar]:
            row, row_end = tied.pop(pitch, (None, None))
            if row is None or row_end != start + Fraction(move, TICKS_PER_BEAT) or tie not in ("stop", "continue"):
                row = [_tick(start) + move, 0, pitch, velocity]
                rows.append(row)
            row[1] = max(_tick(end) + move - row[0], 1)
            if tie in ("start", "continue"):
                tied[pitch] = row, end + Fraction(move, TICKS_PER_BEAT)
    return rows


def _written_notes(part: Stream) -> Iterator[tuple[Fraction, Fraction, int, str | None, int]]:
    """(start, end, pitch, kind of its tie, velocity) of every written note of a part; times in quarters."""
    from music21 import chord, harmony, note

    if any(instrument.transposition for instrument in part.getInstruments(recurse=True)):
        part = part.toSoundingPitch()
    for element in part.flatten().notes:
        if isinstance(element, harmony.Harmony) or element.duration.isGrace:
            continue
        start = Fraction(element.offset)
        end = start + Fraction(element.quarterLength)
        for member in element.notes if isinstance(element, chord.ChordBase) else (element,):
            if isinstance(member, note.Note):
                tie = member.tie.type if member.tie else None
                yield start, end, _midi_number(member), tie, member.volume.velocity or DEFAULT_VELOCITY


def _place(tick: int, starts: Sequence[int]) -> tuple[int, int]:
    """The bar of a written tick, and the ticks from its start."""
    bar = max(bisect_right(starts, tick) - 1, 0)
    return bar, tick - starts[bar]


def _marks(part: Stream) -> list[BarMarks]:
    """The repeats and endings of every measure of a part; one without any for a part without measures."""
    from music21.bar import Repeat
    from music21.spanner import RepeatBracket
    from music21.stream import Measure

    measures = list(part.getElementsByClass(Measure))
    endings: dict[int, frozenset[int]] = {}  # id of a measure -> its passes
    for bracket in part.recurse().getElementsByClass(RepeatBracket):
        numbers = frozenset(number for number in bracket.numberRange if number > 0)
        endings |= {id(measure): numbers for measure in bracket.getSpannedElements()}
    marks = []
    for measure in measures:
        left, right = measure.leftBarline, measure.rightBarline
        forward = isinstance(left, Repeat) and left.direction == "start"
        backward = isinstance(right, Repeat) and right.direction == "end"
        times = (right.times or 2) if backward else 0
        marks.append(BarMarks(forward, times, endings.get(id(measure), frozenset())))
    return marks or [BarMarks()]


def _midi_number(note: Note) -> int:
    """The MIDI number of a note, microtones rounded.

    Raises:
        ValueError: when it is outside 0..127, where music21 would move the note by octaves.
    """
    if not -0.5 <= note.pitch.ps < 127.5:
        raise ValueError(f"has the pitch {note.pitch.ps:g}, outside MIDI's 0..127")
    return note.pitch.midi


def _tick(quarters: Fraction) -> int:
    """The nearest tick of the grid, halves up."""
    return floor(quarters * TICKS_PER_BEAT + Fraction(1, 2))


def _sections(part: Stream) -> list[Section]:
    """Every measure, or the whole part if it has no measures."""
    from music21.meter import TimeSignature
    from music21.stream import Measure

    measures: list[Stream] = list(part.getElementsByClass(Measure))
    bounds = [_tick(Fraction(measure.offset)) for measure in measures]
    if not measures:
        measures, bounds = [part], [0]
    bounds.append(bounds[-1] + _tick(Fraction(measures[-1].duration.quarterLength)))
    metre: tuple[float, tuple[int, int] | None] = (4.0, (4, 4))
    sections = []
    for measure, (start, end) in zip(measures, pairwise(bounds), strict=True):
        signature = measure.getElementsByClass(TimeSignature).first()
        if signature is not None and (signature.barDuration.quarterLength * TICKS_PER_BEAT) % 1 == 0:
            known = signature.denominator in DENOMINATORS and 0 < signature.numerator <= MAX_NUMERATOR
            beats = float(signature.barDuration.quarterLength)
            metre = beats, (signature.numerator, signature.denominator) if known else None
        sections.append(Section(start, end - start, *metre))
    return sections


def _keys(part: Stream, starts: Sequence[int]) -> list[tuple[int, int, int]]:
    """(bar, ticks from its start, fifths) of the key signatures of a part."""
    from music21.key import KeySignature as Music21Key

    found = part.recurse().getElementsByClass(Music21Key)
    keys = [(_tick(Fraction(key.getOffsetInHierarchy(part))), key.sharps) for key in found]
    return [(*_place(tick, starts), fifths) for tick, fifths in keys if fifths is not None and -7 <= fifths <= 7]


def _tempi(stream: Stream, starts: Sequence[int]) -> list[tuple[int, int, float]]:
    """(bar, ticks from its start, quarters a minute) of the metronome marks with a number; of several at a time one."""
    from music21.tempo import MetronomeMark

    found: dict[tuple[int, int], float] = {}
    for mark in stream.recurse().getElementsByClass(MetronomeMark):
        tempo = mark.getQuarterBPM()
        if tempo:
            found.setdefault(_place(_tick(Fraction(mark.getOffsetInHierarchy(stream))), starts), float(tempo))
    return sorted((*place, tempo) for place, tempo in found.items())
