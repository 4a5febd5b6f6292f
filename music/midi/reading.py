"""Reading of MIDI files."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.files import FileError, read_bytes
from toccata.music.metre import (
    DENOMINATORS,
    KeySignature,
    TimeSignature,
    last_at_each_tick,
    main_metre,
    moved_keys,
    read_signatures,
)
from toccata.music.midi.chunks import read_chunks
from toccata.music.midi.errors import MAX_EVENTS, MAX_FILE_BYTES, MAX_TICKS, MidiError
from toccata.music.midi.events import (
    KEY_SIGNATURE,
    META,
    NOTE_OFF,
    NOTE_ON,
    PORT,
    PROGRAM_CHANGE,
    TEMPO,
    TEXT,
    TIME_SIGNATURE,
    damage,
    read_events,
)
from toccata.music.midi.keys import KeyEvent, Keys, Note
from toccata.music.midi.own_text import END, HEADER, parse_header
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

DEFAULT_TEMPO = 500_000  # microseconds a beat, until the first tempo event
DEFAULT_SIGNATURE = 4, 4  # until the first time signature


def read_midi(path: str | PathLike[str], ticks_per_beat: int | None = None) -> Score:
    """Read a MIDI file onto the grid, with all its pitched instruments merged.

    - Notes are paired in file ticks, per channel and pitch: a note-off ends the note that began first, of its track if
      there is one. A note that none ends lasts until its track ends, or its key is struck again.
    - Onsets and ends are then rounded to the nearest tick, halves up; a note has at least one tick.
    - Drums (channel 10) and the percussive instruments and sound effects of General MIDI (programs 112-127,
      zero-based) are left out. The program of a note is that of its channel when it begins, whatever track sets it; at
      one tick, programs precede notes of other tracks. Pedals, controllers and pitch bend are ignored.
    - The metre is the one with the longest total duration (4/4 if the file has none). Signatures whose bar is no
      whole number of ticks are ignored. A signature is at a bar line: after an upbeat with its own signature, or an
      introduction that is no whole number of bars, all notes are moved later, by less than a bar, so that most bar
      lines of the main metre are bar lines of the score.
    - The tempo is the mean tempo from the first onset to the last end.
    - Silence before the first note is kept.
    - Repeated and overlapping notes of one pitch are resolved as in `Score`.
    - Events and chunks that nothing of this needs are skipped, even malformed ones. Tracks beyond the number in the
      file's header are read.

    Args:
        path: a Standard MIDI File of format 0 or 1, bare (.mid, .kar) or in a RIFF file (.rmi).
        ticks_per_beat: grid of the score; by default that of the score the file was written from, and 24 for files of
            other programs.

    Raises:
        MidiError: for a file that is not MIDI, is damaged, or is too large (4 MiB, 500,000 events, 200,000 notes,
            4 million ticks).
        OSError: when the file does not exist or cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        raise MidiError(f"{path}: is a folder, not a MIDI file")
    try:
        data = read_bytes(path, MAX_FILE_BYTES)
    except FileError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise MidiError(str(error)) from None
    try:
        return _score(_read_content(data), ticks_per_beat)
    except ValueError as error:  # of Score too: a tempo out of its range
        raise MidiError(f"{path}: {error}") from None


@dataclass
class Content:
    """What a score needs of a MIDI file; all times in file ticks."""

    resolution: int  # file ticks in a quarter note
    notes: list[Note] = field(default_factory=list)  # sorted by start
    tempi: list[tuple[int, int]] = field(default_factory=list)  # (tick, microseconds a beat), sorted by tick
    signatures: list[TimeSignature] = field(default_factory=list)  # sorted by tick
    keys: list[KeySignature] = field(default_factory=list)  # sorted by tick
    header: tuple[int, float | None] | None = None  # ticks a beat and beats a bar of the score, in files of ours
    score_ends: list[int] = field(default_factory=list)
    last_tick: int = 0  # of any event


def _read_content(data: bytes) -> Content:
    """The content of a MIDI file."""
    chunks = read_chunks(data)
    content = Content(chunks.resolution)
    keys = Keys()
    events_left = MAX_EVENTS
    for number, track in enumerate(chunks.tracks, 1):
        events_left -= _read_track(content, keys, track, number, events_left)
    content.notes = keys.pitched_notes()
    content.tempi.sort(key=lambda tempo: tempo[0])  # stable: at one tick the last track's is in force
    content.signatures.sort(key=lambda signature: signature.tick)
    content.keys.sort(key=lambda key: key.tick)
    return content


def _read_track(content: Content, keys: Keys, track: bytes, number: int, events_left: int) -> int:
    """Add the events of a track; returns how many there are."""
    port = tick = 0
    order = -1
    for order, (tick, status, data) in enumerate(read_events(track, number)):
        if order == events_left:
            raise MidiError(f"has more than {MAX_EVENTS:,} events")
        kind = status & 0xF0
        if kind in (NOTE_ON, NOTE_OFF):
            velocity = data[1] if kind == NOTE_ON else 0
            keys.add_key(16 * port + status % 16, data[0], KeyEvent(tick, number, order, velocity))
        elif kind == PROGRAM_CHANGE:
            keys.add_program(16 * port + status % 16, tick, number, order, data[0])
        elif status == META and data[0] == PORT and len(data) > 1:
            port = data[1]
        elif status == META:
            _add_meta(content, number, tick, data)
    keys.end_track(number, tick)
    content.last_tick = max(content.last_tick, tick)
    return order + 1


def _add_meta(content: Content, track: int, tick: int, data: bytes) -> None:
    """Add a meta event, if a score needs it."""
    kind, payload = data[0], data[1:]
    if kind == TEMPO:
        if len(payload) != 3:
            raise damage(track, tick, f"tempo event of {len(payload)} bytes, expected 3")
        if not any(payload):
            raise damage(track, tick, "has a tempo of 0 microseconds a beat")
        content.tempi.append((tick, int.from_bytes(payload, "big")))
    elif kind == TIME_SIGNATURE:
        if len(payload) < 2:  # the other two are for metronomes and engravers
            raise damage(track, tick, f"time signature of {len(payload)} bytes, expected 4")
        content.signatures.append(TimeSignature(tick, payload[0], 2 ** payload[1]))
    elif kind == KEY_SIGNATURE and payload:  # a key of no meaning says nothing
        fifths = payload[0] - 256 * (payload[0] > 127)
        if -7 <= fifths <= 7:
            content.keys.append(KeySignature(tick, fifths))
    elif kind == TEXT and payload.startswith(HEADER.encode()) and track == 1 and not content.header:
        content.header = parse_header(payload.decode("latin-1"))
    elif kind == TEXT and payload == END.encode():
        content.score_ends.append(tick)


def _score(content: Content, ticks_per_beat: int | None) -> Score:
    """The score on a grid of `ticks_per_beat`, by default the one that the file names."""
    named_ticks_per_beat, beats_per_bar = content.header or (TICKS_PER_BEAT, None)
    if ticks_per_beat is None:
        ticks_per_beat = named_ticks_per_beat
    if not 1 <= ticks_per_beat <= 960:
        raise MidiError(f"ticks_per_beat must be in 1..960, got {ticks_per_beat}")

    def on_grid(tick: int) -> int:
        return (2 * tick * ticks_per_beat + content.resolution) // (2 * content.resolution)  # halves up

    if on_grid(content.last_tick) > MAX_TICKS:
        raise MidiError(f"has events after {MAX_TICKS:,} ticks, it is damaged or far too long")
    rows = [
        (on_grid(note.start), max(on_grid(note.end) - on_grid(note.start), 1), note.pitch, note.velocity)
        for note in content.notes
    ]
    notes = np.array(rows, NOTE_DTYPE)
    last = int((notes["onset_tick"] + notes["duration_ticks"]).max()) if rows else 0
    sections = _sections([each._replace(tick=on_grid(each.tick)) for each in content.signatures], ticks_per_beat)
    shift = 0
    if beats_per_bar is None:
        durations = [
            (each.tick, max(min(later.tick, last) - each.tick, 0), each.beats_per_bar)
            for each, later in pairwise([*sections, TimeSignature(max(last, sections[-1].tick), 4, 4)])
        ]
        beats_per_bar, shift = main_metre(durations, ticks_per_beat)
        notes["onset_tick"] += shift
    ends = [on_grid(tick) for tick in content.score_ends]
    length = ends[0] + shift if len(ends) == 1 and ends[0] >= last else -1
    signatures = read_signatures(sections, shift, ticks_per_beat, max(last + shift, length))
    return Score(
        notes=notes,
        ticks_per_beat=ticks_per_beat,
        beats_per_bar=beats_per_bar,
        tempo_bpm=_mean_tempo_bpm(content),
        length_ticks=length,
        time_signatures=signatures if beats_per_bar in {each.beats_per_bar for each in signatures} else (),
        key_signatures=moved_keys([key._replace(tick=on_grid(key.tick)) for key in content.keys], shift),
    )


def _sections(signatures: list[TimeSignature], ticks_per_beat: int) -> list[TimeSignature]:
    """Those with whole ticks a bar, the default from 0 to the first of them, one at a tick; ticks are of the grid."""
    usable = [each for each in signatures if each.denominator in DENOMINATORS and each.ticks_per_bar(ticks_per_beat)]
    if not usable or usable[0].tick > 0:
        usable.insert(0, TimeSignature(0, *DEFAULT_SIGNATURE))
    return last_at_each_tick(usable)


def _mean_tempo_bpm(content: Content) -> float:
    """The constant tempo at which the notes, from the first onset to the last end, last as long as in the file."""
    first = content.notes[0].start if content.notes else 0
    last = max((note.end for note in content.notes), default=0)
    tempi = [(0, DEFAULT_TEMPO), *content.tempi]
    microseconds = sum(  # times the resolution
        tempo * max(min(stop, last) - max(start, first), 0)
        for (start, tempo), (stop, _) in pairwise([*tempi, (last, 0)])
    )
    if microseconds:
        return 6e7 * (last - first) / microseconds
    return 6e7 / [tempo for tick, tempo in tempi if tick <= first][-1]
