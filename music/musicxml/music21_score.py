"""Scores of music21's streams: of ABC and Humdrum, which music21 reads, and of its corpora."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import TYPE_CHECKING

from toccata.music.metre import DENOMINATORS, MAX_NUMERATOR, KeySignature
from toccata.music.musicxml.assembly import DEFAULT_VELOCITY, Section, assembled_score
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


def score_from_stream(stream: Stream) -> Score:
    """The notes of a music21 stream on the grid of 24 ticks a quarter, with all parts merged.

    - Pitches are sounding pitches; tied notes are one note; grace notes, chord symbols and unpitched notes are
      left out; repeats are not unfolded. Notes without a velocity get 80.
    - The metre is the one with the longest total duration. An upbeat ends at a bar line: its notes are moved to the end
      of the first bar.
    - The tempo is that of the first metronome mark, 120 quarters a minute if there is none.
    - The score ends with the bar of the last measure.

    Raises:
        ValueError: when a pitch, the metre or the tempo is outside the range of a `Score`, or the length above 4
            million ticks.
    """
    parts = list(getattr(stream, "parts", ())) or [stream]
    rows = [row for part in parts for row in _sounding_notes(part)]
    return assembled_score(rows, _sections(parts[0]), _tempo_bpm(stream), _keys(parts[0]))


def _sounding_notes(part: Stream) -> list[list[int]]:
    """[onset tick, duration in ticks, pitch, velocity] of every note of a part, tied notes joined."""
    from music21 import chord, harmony, note

    if any(instrument.transposition for instrument in part.getInstruments(recurse=True)):
        part = part.toSoundingPitch()
    rows: list[list[int]] = []
    tied: dict[int, tuple[list[int], Fraction]] = {}  # pitch -> (row of the tied note, its exact end)
    for element in part.flatten().notes:
        if isinstance(element, harmony.Harmony) or element.duration.isGrace:
            continue
        start = Fraction(element.offset)
        end = start + Fraction(element.quarterLength)
        for member in element.notes if isinstance(element, chord.ChordBase) else (element,):
            if not isinstance(member, note.Note):
                continue
            pitch = _midi_number(member)
            tie = member.tie.type if member.tie else None
            row, row_end = tied.pop(pitch, (None, None))
            if row is None or row_end != start or tie not in ("stop", "continue"):
                row = [_tick(start), 0, pitch, member.volume.velocity or DEFAULT_VELOCITY]
                rows.append(row)
            row[1] = max(_tick(end) - row[0], 1)
            if tie in ("start", "continue"):
                tied[pitch] = row, end
    return rows


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


def _sections(part: Stream) -> list[tuple[int, int, float]]:
    """(first tick, ticks, beats in a bar) of every measure, or of the whole part if it has no measures."""
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


def _keys(part: Stream) -> list[KeySignature]:
    """The key signatures of a part."""
    from music21.key import KeySignature as Music21Key

    found = part.recurse().getElementsByClass(Music21Key)
    keys = [KeySignature(_tick(Fraction(key.getOffsetInHierarchy(part))), key.sharps) for key in found]
    return [key for key in keys if key.fifths is not None and -7 <= key.fifths <= 7]


def _tempo_bpm(stream: Stream) -> float | None:
    """Quarters a minute of the first metronome mark with a number; None without one."""
    from music21.tempo import MetronomeMark

    tempi = (mark.getQuarterBPM() for mark in stream.recurse().getElementsByClass(MetronomeMark))
    return next((tempo for tempo in tempi if tempo), None)
