"""Reading MusicXML, ABC and Humdrum files; writing MusicXML files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import floor
from os import PathLike
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from toccata.errors import ToccataError, one_line, printable
from toccata.files import FileError, read_bytes, write_atomically
from toccata.music.metre import main_metre, time_signature
from toccata.music.musicxml_score import DEFAULT_VELOCITY, MAX_TICKS, score_from_tree, staves
from toccata.music.musicxml_tree import MAX_BYTES, musicxml_tree
from toccata.music.score import TICKS_PER_BEAT, Score

if TYPE_CHECKING:
    from music21.note import GeneralNote, Note
    from music21.stream import Stream

MUSICXML_SUFFIXES = (".musicxml", ".xml", ".mxl")
# ABC and Humdrum, and the most characters of each: music21 needs most of a minute for as many. The longest of 4,248 ABC
# tunes has 2,439, a long movement of a quartet in Humdrum 64,267.
TEXT_SUFFIXES = {".abc": 8 * 2**10, ".krn": 64 * 2**10}
MUSICXML_STARTS = (b"<", b"PK", b"\xff\xfe", b"\xfe\xff", b"\0<")  # of XML in UTF-8 and UTF-16, and of .mxl
UTF8_MARK = b"\xef\xbb\xbf"
MIDDLE_C = 60  # the lowest pitch of the treble staff
# Durations on the grid of 24 ticks a quarter that one written note can have: plain, dotted, or in triplets. The last is
# a triplet of sixty-fourths, so every duration is a sum of them, tied.
WRITTEN_TICKS = (96, 72, 48, 36, 24, 18, 16, 12, 9, 8, 6, 4, 3, 2, 1)
# (tied to the note before, tied to the note after) -> type of the tie in music21
TIES = {(False, False): None, (False, True): "start", (True, True): "continue", (True, False): "stop"}


class MusicXMLError(ToccataError, ValueError):
    """A notation file that cannot be read; names the file and the reason."""


def read_musicxml(path: str | PathLike[str]) -> Score:
    """Read a MusicXML file, plain or packed (.mxl), or an ABC (.abc) or Humdrum (.krn) file, onto the grid.

    See `score_from_tree`; ABC and Humdrum are read by music21, see `score_from_stream`. The content decides whether a
    file is MusicXML. Other formats of music21 are not read: some would execute what the file says. Nothing outside the
    file is read, and no entity is expanded.

    Raises:
        MusicXMLError: for a file that cannot be read, has several pieces, or exceeds a bound: 64 MiB of XML, 16 MiB
            packed, 300,000 notes, bars and other events, 8 KiB of ABC, 64 KiB of Humdrum, 4 million ticks.
        OSError: when the file does not exist or cannot be opened.
    """
    return read_notation(path)[0]


def read_notation(path: str | PathLike[str]) -> tuple[Score, int]:
    """`read_musicxml`, and the number of staves of the file, in all its parts."""
    path = Path(path)
    mode = path.stat().st_mode
    if not S_ISREG(mode):
        raise MusicXMLError(f"{path}: is {'a folder' if S_ISDIR(mode) else 'no regular file'}, not a notation file")
    path.open("rb").close()
    try:
        data = read_bytes(path, MAX_BYTES)
        suffix = path.suffix.lower()
        if suffix in MUSICXML_SUFFIXES or data[:100].removeprefix(UTF8_MARK).lstrip().startswith(MUSICXML_STARTS):
            tree = musicxml_tree(data)
            return score_from_tree(tree), staves(tree)
        stream = _text_stream(data, suffix)
        return score_from_stream(stream), len(getattr(stream, "parts", ()))
    except FileError as error:
        raise MusicXMLError(str(error)) from None
    except Exception as error:  # music21 raises any kind of error for a damaged file
        raise MusicXMLError(f"{path}: {_reason(error)}") from None


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


def _text_stream(data: bytes, suffix: str) -> Stream:
    """The music21 stream of the bytes of an ABC or Humdrum file."""
    if suffix not in TEXT_SUFFIXES:
        raise ValueError(f"is no MusicXML; by their names {' and '.join(TEXT_SUFFIXES)} files are read too")
    text = decode_text(data)
    pieces = len(re.findall(r"(?m)^X:", text)) if suffix == ".abc" else 1
    if pieces > 1:
        raise ValueError(f"has {pieces} pieces, expected one")
    return stream_from_text(text, suffix)


def decode_text(data: bytes) -> str:
    """Text in UTF-8, or in Latin-1, as older tune books are."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _reason(error: Exception) -> str:
    """Why a file cannot be read, in one line."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return "needs too much memory" if isinstance(error, MemoryError) else one_line(error)


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
    sections = _sections(parts[0])
    end = max([onset + duration for onset, duration, _, _ in rows] + [start + ticks for start, ticks, _ in sections])
    if end > MAX_TICKS:
        raise ValueError(f"lasts {end:,} ticks, at most {MAX_TICKS:,} are read")
    beats_per_bar, shift = main_metre(sections or [(0, 0, 4)], TICKS_PER_BEAT)
    ticks_per_bar = round(beats_per_bar * TICKS_PER_BEAT)
    return Score(
        notes=[(onset + shift, duration, pitch, velocity) for onset, duration, pitch, velocity in rows],
        beats_per_bar=beats_per_bar,
        tempo_bpm=_tempo_bpm(stream),
        length_ticks=-(-(end + shift) // ticks_per_bar) * ticks_per_bar,
    )


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
    beats: float = 4
    sections = []
    for measure, (start, end) in zip(measures, pairwise(bounds), strict=True):
        signature = measure.getElementsByClass(TimeSignature).first()
        if signature is not None and (signature.barDuration.quarterLength * TICKS_PER_BEAT) % 1 == 0:
            beats = float(signature.barDuration.quarterLength)
        sections.append((start, end - start, beats))
    return sections


def _tempo_bpm(stream: Stream) -> float:
    """Quarters a minute of the first metronome mark with a number, 120 without one."""
    from music21.tempo import MetronomeMark

    tempi = (mark.getQuarterBPM() for mark in stream.recurse().getElementsByClass(MetronomeMark))
    return next((tempo for tempo in tempi if tempo), 120.0)


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
