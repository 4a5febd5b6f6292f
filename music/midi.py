"""MIDI files: a score in, a score out."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from toccata.errors import ToccataError
from toccata.files import write_atomically
from toccata.music.metre import main_metre, time_signature
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

if TYPE_CHECKING:
    import mido
    import pretty_midi

MAX_FILE_BYTES = 4 * 2**20  # a long symphony takes a tenth of it; mido would need a gigabyte for 16 MB
MAX_TICKS = 4_000_000  # on the grid: 23 hours at 120 bpm; pretty_midi keeps a table of every tick's time
FIRST_EFFECT_PROGRAM = 112  # zero-based; General MIDI's percussive instruments and sound effects: no pitches
HEADER = "toccata"  # begins the text events in which our files note what MIDI has no event for
END = f"{HEADER} end"  # stands where the score ends


class MidiError(ToccataError, ValueError):
    """A MIDI file that cannot be read, or a score that it cannot hold; names the file and the reason."""


def read_midi(path: str | PathLike[str], ticks_per_beat: int | None = None) -> Score:
    """Read a MIDI file onto the grid, all its pitched instruments as one.

    - Onsets and ends are rounded to the nearest tick, halves up; a note that vanishes so gets one tick.
    - Drums (channel 10) and General MIDI's percussive instruments and sound effects (programs 112-127,
      zero-based) are left out. Pedals, controllers and pitch bend are ignored.
    - The metre is the one that holds longest (4/4 if the file has none); signatures whose bar is no whole
      number of ticks are ignored. A signature stands at a bar line: after an upbeat in a metre of its own, or
      an introduction that is no whole number of bars, the notes are moved later, by less than a bar, until
      most of the main metre's bar lines are the score's.
    - The tempo is the mean that keeps the time from the first onset to the last end.
    - Silence before the first note is kept.
    - Score's own rules settle repeated and overlapping notes of one pitch.

    Args:
        path: a Standard MIDI File of format 0 or 1.
        ticks_per_beat: grid of the score; by default that of the score the file was written from,
            24 for other programs' files.

    Raises:
        MidiError: for a file that is no MIDI file, is damaged, or is too large (4 MiB, 4 million ticks).
        OSError: when the file does not exist or cannot be opened.
    """
    import mido
    import pretty_midi

    path = Path(path)
    if path.is_dir():
        raise MidiError(f"{path}: is a folder, not a MIDI file")
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise MidiError(f"{path}: is larger than {MAX_FILE_BYTES} bytes")
    if re.search(rb"[\x80-\xff]{4096}", data):  # mido reads endless numbers in quadratic time
        raise MidiError(f"{path}: is damaged (no MIDI number is that long)")
    # Key signatures are not used, and wrong ones are common and fatal in mido: show it private events.
    data = data.replace(b"\xff\x59\x02", b"\xff\x7f\x02")
    try:
        midi = mido.MidiFile(file=io.BytesIO(data))
    except EOFError:
        raise MidiError(f"{path}: ends too early") from None
    except Exception as error:  # a damaged file brings out nearly every kind there is in mido
        raise MidiError(f"{path}: {error}") from None
    try:
        own = _own_fields(midi)
        if ticks_per_beat is None:
            ticks_per_beat = int(own.get("ticks_per_beat", TICKS_PER_BEAT))
        on_grid = pretty_midi.PrettyMIDI(mido_object=_on_grid(midi, ticks_per_beat))
        return _score(on_grid, float(own["beats_per_bar"]) if "beats_per_bar" in own else None)
    except ValueError as error:
        raise MidiError(f"{path}: {error}") from None


def write_midi(score: Score, path: str | PathLike[str]) -> None:
    """Write a MIDI file that `read_midi` reads back as an equal score.

    One piano track at the score's own resolution. Text events beginning with "toccata" note the grid and
    where the score ends; other programs ignore them. The file is written whole or not at all.

    Raises:
        MidiError: when the score lasts 4 million ticks or more.
        OSError: when the file cannot be written.
    """
    import pretty_midi

    if score.length_ticks >= MAX_TICKS:
        raise MidiError(f"{path}: the score lasts {score.length_ticks} ticks, not below {MAX_TICKS}")
    # pretty_midi truncates to whole microseconds a beat: half of one more makes it round.
    microseconds_per_beat = round(6e7 / score.tempo_bpm)
    tempo_bpm = 6e7 / (microseconds_per_beat + 0.5)
    midi = pretty_midi.PrettyMIDI(resolution=score.ticks_per_beat, initial_tempo=tempo_bpm)
    seconds_per_tick = 60.0 / (tempo_bpm * score.ticks_per_beat)
    header = f"{HEADER} ticks_per_beat={score.ticks_per_beat}"
    signature = time_signature(score.beats_per_bar)
    if signature:
        midi.time_signature_changes.append(pretty_midi.TimeSignature(*signature, 0))
    else:
        header += f" beats_per_bar={score.beats_per_bar!r}"
    midi.text_events.append(pretty_midi.Text(header, 0))
    midi.text_events.append(pretty_midi.Text(END, score.length_ticks * seconds_per_tick))
    piano = pretty_midi.Instrument(program=0, name="Piano")
    for onset, duration, pitch, velocity in score.notes.tolist():
        start, end = onset * seconds_per_tick, (onset + duration) * seconds_per_tick
        piano.notes.append(pretty_midi.Note(velocity, pitch, start, end))
    midi.instruments.append(piano)
    buffer = io.BytesIO()
    midi.write(buffer)
    write_atomically(path, buffer.getvalue())


def _own_fields(midi: mido.MidiFile) -> dict[str, str]:
    """What `write_midi` noted in the file's first text event, {} for another program's file."""
    for message in midi.tracks[0] if midi.tracks else ():
        if message.type == "text" and message.text.startswith(f"{HEADER} ticks_per_beat="):
            return dict(re.findall(r"(\w+)=([0-9.]{1,24})(?![0-9.])", message.text))
    return {}


def _on_grid(midi: mido.MidiFile, ticks_per_beat: int) -> mido.MidiFile:
    """The same music with its events at ticks of the grid, made fit for pretty_midi.

    pretty_midi would lose notes without length or without an end, and tempi and metres outside the first
    track; its table of ticks would not hold music21's 10,080 ticks a beat.
    """
    import mido

    resolution = midi.ticks_per_beat
    if midi.type not in (0, 1):
        raise ValueError(f"is of MIDI format {midi.type}, only 0 and 1 are known")
    if resolution <= 0:
        raise ValueError(f"its time is not in beats (division {resolution})")
    if not 1 <= ticks_per_beat <= 960:
        raise ValueError(f"ticks_per_beat must be in 1..960, got {ticks_per_beat}")
    first_track: list[mido.MetaMessage] = []
    tracks = [first_track]
    for track in midi.tracks:
        events: list[mido.Message] = []
        sounding: dict[tuple[int, int], list[int]] = defaultdict(list)  # (channel, pitch) -> ticks struck
        file_tick = tick = 0
        for message in track:
            file_tick += message.time
            tick = (2 * file_tick * ticks_per_beat + resolution) // (2 * resolution)
            if tick > MAX_TICKS:
                raise ValueError(f"has events after {MAX_TICKS} ticks, it is damaged or far too long")
            message.time = tick
            if message.type == "set_tempo" and not message.tempo:
                raise ValueError("has a tempo of 0 microseconds a beat")
            if message.type == "set_tempo" or (message.type == "text" and message.text == END):
                first_track.append(message)
            elif message.type == "time_signature":
                ticks_per_bar, rest = divmod(4 * message.numerator * ticks_per_beat, message.denominator)
                if ticks_per_bar and not rest:
                    first_track.append(message)
            elif message.type == "program_change":
                events.append(message)
            elif message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append(tick)
                events.append(message)
            elif message.type in ("note_on", "note_off"):
                struck = sounding[message.channel, message.note]
                if struck and struck[0] == tick:
                    message.time = tick + 1
                    struck.clear()
                else:
                    struck[:] = [onset for onset in struck if onset == tick]
                events.append(message)
        for (channel, pitch), struck in sounding.items():
            if struck:
                end = max(tick, struck[-1] + 1)
                events.append(mido.Message("note_off", channel=channel, note=pitch, time=end))
        tracks.append(events)
    # pretty_midi takes the first track's tempi and metres only, and needs an event in every track.
    end = mido.MetaMessage("end_of_track", time=max((e.time for events in tracks for e in events), default=0))
    return mido.MidiFile(ticks_per_beat=ticks_per_beat, tracks=[_as_track([*events, end.copy()]) for events in tracks])


def _as_track(events: list[mido.Message]) -> mido.MidiTrack:
    """Events with absolute times, in any order, as a track."""
    import mido

    events.sort(key=lambda event: event.time)  # stable: simultaneous events keep their order
    previous = 0
    for event in events:
        previous, event.time = event.time, event.time - previous
    return mido.MidiTrack(events)


def _score(midi: pretty_midi.PrettyMIDI, beats_per_bar: float | None) -> Score:
    """The score of a file whose ticks are the grid's; `beats_per_bar` overrides its time signatures."""
    import numpy as np

    tick = midi.time_to_tick
    rows = [
        (tick(note.start), tick(note.end) - tick(note.start), note.pitch, note.velocity)
        for instrument in midi.instruments
        if not instrument.is_drum and instrument.program < FIRST_EFFECT_PROGRAM
        for note in instrument.notes
    ]
    notes = np.array(rows, NOTE_DTYPE)
    first = int(notes["onset_tick"].min()) if rows else 0
    last = int((notes["onset_tick"] + notes["duration_ticks"]).max()) if rows else 0
    if beats_per_bar is None:
        signatures = [(tick(s.time), 4 * s.numerator / s.denominator) for s in midi.time_signature_changes]
        if not signatures or signatures[0][0] > 0:
            signatures.insert(0, (0, 4.0))
        sections = [
            (start, max(min(stop, last) - start, 0), beats)
            for (start, beats), (stop, _) in pairwise([*signatures, (last, 0.0)])
        ]
        beats_per_bar, shift = main_metre(sections, midi.resolution)
        notes["onset_tick"] += shift
    ends = [tick(event.time) for event in midi.text_events if event.text == END]
    return Score(
        notes=notes,
        ticks_per_beat=midi.resolution,
        beats_per_bar=beats_per_bar,
        tempo_bpm=_mean_tempo_bpm(midi, first, last),
        length_ticks=ends[0] if len(ends) == 1 and ends[0] >= last else -1,
    )


def _mean_tempo_bpm(midi: pretty_midi.PrettyMIDI, first: int, last: int) -> float:
    """The one tempo at which ticks `first` to `last` take as long as they do."""
    seconds = midi.tick_to_time(last) - midi.tick_to_time(first)
    if seconds > 0:
        return 60 * (last - first) / (midi.resolution * seconds)
    return float(midi.get_tempo_changes()[1][0])
