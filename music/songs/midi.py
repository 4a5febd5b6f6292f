"""MIDI files of songs: the voice on a track of its own, with a lyric event at each syllable."""

from __future__ import annotations

import io
from os import PathLike

from toccata.files import write_atomically
from toccata.music.lyrics.lyrics import Syllable
from toccata.music.lyrics.underlay import Underlay
from toccata.music.midi.writing import midi_bytes
from toccata.music.score import Score

VOICE_CHANNEL, PIANO_CHANNEL = 0, 1
VOICE_PROGRAM = 53  # voice oohs of General MIDI, counted from 0
LINE_END = "\r"  # of a displayed line. Source: MIDI Manufacturers Association, RP-026, "SMF lyric events display"


def write_song_midi(score: Score, underlay: Underlay, path: str | PathLike[str]) -> None:
    """Write a MIDI file of a song, which `read_midi` reads back as an equal score.

    The track "Voice" has the sung notes and a lyric event (meta event 5) at the first note of each syllable: its text
    in UTF-8 with a hyphen inside words, a space after words and a carriage return after lines; later notes of a melisma
    have none. The track "Piano" has the others. The file is written atomically.
    Source: MIDI Manufacturers Association, RP-017, "SMF lyric meta event definition".

    Args:
        score: the whole song.
        underlay: its words; every sung note is one of the score.
        path: of the file.

    Raises:
        MidiError: as `write_midi`.
        OSError: when the file cannot be written.
    """
    import mido

    file = mido.MidiFile(file=io.BytesIO(midi_bytes(score, str(path))), charset="utf-8")
    meta, notes = file.tracks
    sung = set(zip(underlay.onset_ticks.tolist(), underlay.pitches.tolist(), strict=True))
    voice: list[tuple[int, mido.Message]] = [(0, mido.MetaMessage("track_name", name="Voice"))]
    piano: list[tuple[int, mido.Message]] = [(0, mido.MetaMessage("track_name", name="Piano"))]
    voice.append((0, mido.Message("program_change", program=VOICE_PROGRAM, channel=VOICE_CHANNEL)))
    piano.append((0, mido.Message("program_change", program=0, channel=PIANO_CHANNEL)))
    texts = _lyric_events(underlay)
    tick = 0
    of_voice: dict[int, bool] = {}  # pitch -> whether the last note of it is sung
    for message in notes:
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        if message.type == "note_on" and message.velocity:
            of_voice[message.note] = (tick, message.note) in sung
            if of_voice[message.note] and tick in texts:
                voice.append((tick, mido.MetaMessage("lyrics", text=texts.pop(tick))))
        is_sung = of_voice[message.note]
        channel = VOICE_CHANNEL if is_sung else PIANO_CHANNEL
        (voice if is_sung else piano).append((tick, message.copy(channel=channel)))
    file.tracks[:] = [meta, _track(voice), _track(piano)]
    buffer = io.BytesIO()
    file.save(file=buffer)
    write_atomically(path, buffer.getvalue())


def syllable_text(syllable: Syllable) -> str:
    """The text of a syllable without the hyphen of a compound, which notation writes itself."""
    return syllable.text if syllable.word_end else syllable.text.rstrip("-") or syllable.text


def _lyric_events(underlay: Underlay) -> dict[int, str]:
    """Tick of the first note of each syllable -> text of its event."""
    events: dict[int, str] = {}
    last = -1
    for tick, number in zip(underlay.onset_ticks.tolist(), underlay.syllables.tolist(), strict=True):
        if number != last:
            syllable = underlay.lyrics.syllables[number]
            after = (LINE_END if syllable.line_end else " ") if syllable.word_end else "-"
            events[tick] = syllable_text(syllable) + after
        last = number
    return events


def _track(messages: list) -> list:
    """A track of messages at ticks, in order, with its end."""
    import mido

    track, now = mido.MidiTrack(), 0
    for tick, message in messages:
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=0))
    return track
