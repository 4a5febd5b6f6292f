"""Writing of MIDI files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from os import PathLike

from toccata.files import write_atomically
from toccata.music.metre import KeySignature, TimeSignature, time_signature
from toccata.music.midi.errors import MAX_NOTES, MAX_TICKS, MidiError
from toccata.music.midi.own_text import END, header_text
from toccata.music.score import Score

# From 7 flats to 7 sharps.
KEY_NAMES = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")


def write_midi(score: Score, path: str | PathLike[str]) -> None:
    """Write a MIDI file that `read_midi` reads back as an equal score.

    One piano track at the score's resolution. Text events that begin with "toccata" hold the grid and the end of the
    score; other programs ignore them. The file is written atomically.

    Raises:
        MidiError: when the score lasts 4 million ticks or more, or has more than 200,000 notes.
        OSError: when the file cannot be written.
    """
    write_atomically(path, midi_bytes(score, str(path)))


def midi_bytes(score: Score, name: str = "score") -> bytes:
    """The content of the file that `write_midi` writes.

    Args:
        score: any score.
        name: of it, for errors.

    Raises:
        MidiError: as `write_midi`.
    """
    with redirect_stdout(io.StringIO()):  # its synthesizer prints the path of the library if the variable CI is set
        import pretty_midi

    if score.length_ticks >= MAX_TICKS:
        raise MidiError(f"{name}: the score lasts {score.length_ticks:,} ticks, not below {MAX_TICKS:,}")
    if len(score) > MAX_NOTES:
        raise MidiError(f"{name}: the score has {len(score):,} notes, more than {MAX_NOTES:,}")
    # pretty_midi truncates to whole microseconds a beat: with half a microsecond more it rounds.
    microseconds_per_beat = round(6e7 / score.tempo_bpm)
    tempo_bpm = 6e7 / (microseconds_per_beat + 0.5)
    midi = pretty_midi.PrettyMIDI(resolution=score.ticks_per_beat, initial_tempo=tempo_bpm)
    seconds_per_tick = 60.0 / (tempo_bpm * score.ticks_per_beat)
    default = time_signature(score.beats_per_bar)
    signatures = score.time_signatures or ((TimeSignature(0, *default),) if default else ())
    for tick, numerator, denominator in signatures:
        midi.time_signature_changes.append(pretty_midi.TimeSignature(numerator, denominator, tick * seconds_per_tick))
    for tick, fifths in score.key_signatures:
        midi.key_signature_changes.append(pretty_midi.KeySignature(7 * fifths % 12, tick * seconds_per_tick))
    said = default and not score.time_signatures  # by the signature alone
    header = header_text(score.ticks_per_beat, None if said else score.beats_per_bar)
    midi.text_events.append(pretty_midi.Text(header, 0))
    midi.text_events.append(pretty_midi.Text(END, score.length_ticks * seconds_per_tick))
    piano = pretty_midi.Instrument(program=0, name="Piano")
    for onset, duration, pitch, velocity in score.notes.tolist():
        start, end = onset * seconds_per_tick, (onset + duration) * seconds_per_tick
        piano.notes.append(pretty_midi.Note(velocity, pitch, start, end))
    midi.instruments.append(piano)
    buffer = io.BytesIO()
    midi.write(buffer)
    return _with_keys(buffer.getvalue(), score.key_signatures)


def _with_keys(data: bytes, keys: Sequence[KeySignature]) -> bytes:
    """The file with those key signatures: pretty_midi has 12, and writes G flat major as F sharp major."""
    import mido

    if all(-5 <= key.fifths <= 6 for key in keys):
        return data
    file = mido.MidiFile(file=io.BytesIO(data))
    events = [event for event in file.tracks[0] if event.type == "key_signature"]
    for event, key in zip(events, keys, strict=True):
        event.key = KEY_NAMES[key.fifths + 7]
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()
