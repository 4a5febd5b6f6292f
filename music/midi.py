"""Reading and writing MIDI files."""

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

MAX_FILE_BYTES = 4 * 2**20  # a long symphony has a tenth of it; mido would need a gigabyte for 16 MB
MAX_TICKS = 4_000_000  # on the grid: 23 hours at 120 bpm; pretty_midi stores the time of every tick
FIRST_EFFECT_PROGRAM = 112  # zero-based; the percussive instruments and sound effects of General MIDI: no pitches
HEADER = "toccata"  # first word of our text events, for values that have no MIDI event
END = f"{HEADER} end"  # text event at the end of the score


class MidiError(ToccataError, ValueError):
    """A MIDI file that cannot be read, or a score that it cannot hold; names the file and the reason."""


def read_midi(path: str | PathLike[str], ticks_per_beat: int | None = None) -> Score:
    """Read a MIDI file onto the grid, with all its pitched instruments merged.

    - Onsets and ends are rounded to the nearest tick, halves up; a note has at least one tick.
    - Drums (channel 10) and the percussive instruments and sound effects of General MIDI (programs 112-127,
      zero-based) are left out. Pedals, controllers and pitch bend are ignored.
    - The metre is the one with the longest total duration (4/4 if the file has none). Signatures whose bar is no
      whole number of ticks are ignored. A signature is at a bar line: after an upbeat with its own signature, or an
      introduction that is no whole number of bars, all notes are moved later, by less than a bar, so that most bar
      lines of the main metre are bar lines of the score.
    - The tempo is the mean tempo from the first onset to the last end.
    - Silence before the first note is kept.
    - Repeated and overlapping notes of one pitch are resolved as in `Score`.

    Args:
        path: a Standard MIDI File of format 0 or 1.
        ticks_per_beat: grid of the score; by default that of the score the file was written from, and 24 for files of
            other programs.

    Raises:
        MidiError: for a file that is not MIDI, is damaged, or is too large (4 MiB, 4 million ticks).
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
    if re.search(rb"[\x80-\xff]{4096}", data):  # mido's time is quadratic in the length of a number
        raise MidiError(f"{path}: is damaged (no MIDI number is that long)")
    # mido fails on wrong key signatures, which are common and not used here: turn them into private events.
    data = data.replace(b"\xff\x59\x02", b"\xff\x7f\x02")
    try:
        midi = mido.MidiFile(file=io.BytesIO(data))
    except EOFError:
        raise MidiError(f"{path}: ends too early") from None
    except Exception as error:  # mido raises nearly every kind of error for a damaged file
        raise MidiError(f"{path}: {error}") from None
    try:
        fields = _header_fields(midi)
        if ticks_per_beat is None:
            ticks_per_beat = int(fields.get("ticks_per_beat", TICKS_PER_BEAT))
        quantised = pretty_midi.PrettyMIDI(mido_object=_quantised_midi(midi, ticks_per_beat))
        return _score_of_midi(quantised, float(fields["beats_per_bar"]) if "beats_per_bar" in fields else None)
    except ValueError as error:
        raise MidiError(f"{path}: {error}") from None


def write_midi(score: Score, path: str | PathLike[str]) -> None:
    """Write a MIDI file that `read_midi` reads back as an equal score.

    One piano track at the score's resolution. Text events that begin with "toccata" hold the grid and the end of the
    score; other programs ignore them. The file is written atomically.

    Raises:
        MidiError: when the score lasts 4 million ticks or more.
        OSError: when the file cannot be written.
    """
    import pretty_midi

    if score.length_ticks >= MAX_TICKS:
        raise MidiError(f"{path}: the score lasts {score.length_ticks} ticks, not below {MAX_TICKS}")
    # pretty_midi truncates to whole microseconds a beat: with half a microsecond more it rounds.
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


def _header_fields(midi: mido.MidiFile) -> dict[str, str]:
    """The fields that `write_midi` wrote into the first text event, {} for a file of another program."""
    for message in midi.tracks[0] if midi.tracks else ():
        if message.type == "text" and message.text.startswith(f"{HEADER} ticks_per_beat="):
            return dict(re.findall(r"(\w+)=([0-9.]{1,24})(?![0-9.])", message.text))
    return {}


def _quantised_midi(midi: mido.MidiFile, ticks_per_beat: int) -> mido.MidiFile:
    """The file with its events rounded to ticks of the grid, in the form that pretty_midi needs.

    pretty_midi would drop notes without length or without an end, and tempi and metres outside the first track, and its
    table of ticks would not hold the 10,080 ticks a beat of music21.
    """
    import mido

    resolution = midi.ticks_per_beat
    if midi.type not in (0, 1):
        raise ValueError(f"is of MIDI format {midi.type}, only 0 and 1 are supported")
    if resolution <= 0:
        raise ValueError(f"its time is not in beats (division {resolution})")
    if not 1 <= ticks_per_beat <= 960:
        raise ValueError(f"ticks_per_beat must be in 1..960, got {ticks_per_beat}")
    first_track: list[mido.MetaMessage] = []
    tracks = [first_track]
    for track in midi.tracks:
        events: list[mido.Message] = []
        sounding: dict[tuple[int, int], list[int]] = defaultdict(list)  # (channel, pitch) -> onset ticks
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
                ticks_per_bar, remainder = divmod(4 * message.numerator * ticks_per_beat, message.denominator)
                if ticks_per_bar and not remainder:
                    first_track.append(message)
            elif message.type == "program_change":
                events.append(message)
            elif message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note].append(tick)
                events.append(message)
            elif message.type in ("note_on", "note_off"):
                onsets = sounding[message.channel, message.note]
                if onsets and onsets[0] == tick:
                    message.time = tick + 1
                    onsets.clear()
                else:
                    onsets[:] = [onset for onset in onsets if onset == tick]
                events.append(message)
        for (channel, pitch), onsets in sounding.items():
            if onsets:
                end = max(tick, onsets[-1] + 1)
                events.append(mido.Message("note_off", channel=channel, note=pitch, time=end))
        tracks.append(events)
    # pretty_midi reads tempi and metres of the first track only, and needs an event in every track.
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


def _score_of_midi(midi: pretty_midi.PrettyMIDI, beats_per_bar: float | None) -> Score:
    """The score of a file whose ticks are ticks of the grid; `beats_per_bar` overrides its time signatures."""
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
    """The constant tempo at which ticks `first` to `last` have the same duration as in the file."""
    seconds = midi.tick_to_time(last) - midi.tick_to_time(first)
    if seconds > 0:
        return 60 * (last - first) / (midi.resolution * seconds)
    return float(midi.get_tempo_changes()[1][0])
