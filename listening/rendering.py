"""Sound and piano roll of each piece, rendered before anybody listens, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np

from toccata.agents.generation.sound_options import SoundOptions
from toccata.errors import ToccataError
from toccata.files import FileError, cache_folder, naming, read_json, sha256_of_file, write_atomically
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.listening.sources import Found
from toccata.music.expression import expressive
from toccata.music.score import Score
from toccata.music.sound.audio_files import AudioError, read_audio
from toccata.music.sound.bank import default_soundfont
from toccata.music.sound.listening import FADE_SECONDS, render_for_listening
from toccata.music.sound.loudness import at_loudness

FORMAT = 3  # of what is in the cache; is counted up when it is made in another way
SAMPLE_RATES = {"opus": 48_000, "wav": 44_100}  # Opus has no 44.1 kHz
SILENCE = 0.001  # of the peak, -60 dB; what is below at the beginning and the end of a recording is left out
MIN_SECONDS = 1  # of a recording: of less than that nobody can say what it is
SUFFIXES = {"opus": ".ogg", "wav": ".wav"}


@dataclass(frozen=True)
class Rendered:
    """A piece with its files in the cache."""

    piece: Found
    seconds: float  # of sound
    sound: Path
    roll: Path  # JSON: {"seconds": s, "notes": [[onset_s, duration_s, pitch, velocity], ...]}


def render_all(
    pieces: Sequence[Found],
    seconds: float,
    format: str,
    options: SoundOptions,
    on_piece: Callable[[], object] = lambda: None,
) -> tuple[list[Rendered], list[str]]:
    """Render what is not in the cache yet.

    Each piece is complete in the cache once it is rendered, so what was stopped goes on where it was.

    Args:
        pieces: to render.
        seconds: that are heard of a longer piece.
        format: of the sound, "opus" or "wav".
        options: of the sound. Recordings keep theirs, but for the loudness.
        on_piece: is called after each piece.

    Returns:
        the pieces that can be heard, and a line for each that cannot.

    Raises:
        SoundError, FileNotFoundError: for a sound font that cannot be used.
        OSError: naming a file of the cache that cannot be written.
    """
    folder = cache_folder() / "listening"
    folder.mkdir(parents=True, exist_ok=True)
    settings = FORMAT, format, replace(options, soundfont=None), _soundfont_digest(options)
    seconds_of_people = limit_for_people(pieces, seconds)
    rendered, failures = [], []
    for piece in pieces:
        limit = seconds_of_people if piece.by_person or piece.source == ATTENTION_SOURCE else seconds
        key = hashlib.sha256(repr((piece.digest, limit, settings)).encode()).hexdigest()[:32]
        sound, roll = folder / f"{key}{SUFFIXES[format]}", folder / f"{key}.json"
        try:
            length = _length_in_cache(sound, roll)
            if length is None:
                length = _render(piece, limit, format, options, sound, roll)
            rendered.append(Rendered(piece, length, sound, roll))
        except ToccataError as error:
            failures.append(str(error))
        on_piece()
    return rendered, failures


def limit_for_people(pieces: Sequence[Found], seconds: float) -> float:
    """Seconds that pieces by people, and those of attention checks, are heard at most.

    It is the median of the pieces by machines: else length would tell who wrote a piece.
    """
    machines = [piece for piece in pieces if not piece.by_person and piece.source != ATTENTION_SOURCE]
    lengths = [
        min(excerpt(piece.score, seconds).length_seconds, seconds) for piece in machines if piece.score is not None
    ]
    return round(float(np.median(lengths)), 1) if lengths else seconds


def excerpt(score: Score, seconds: float) -> Score:
    """What is heard of a score: from its first note to the end of its last, or to the last beat in time.

    Silence at both ends is left out, since it would tell sources apart: tunes with an upbeat begin with rests.

    Args:
        score: with at least one note.
        seconds: of the excerpt at most. Where the first beat is longer, it is cut there.

    Returns:
        the notes, from tick 0, in one metre. Notes that sound at the end are cut.
    """
    begin, end = int(score.notes["onset_tick"][0]), int(score.offset_ticks.max())
    limit = begin + int(seconds / score.seconds_per_tick)
    if limit < end:
        beat = limit - limit % score.ticks_per_beat
        end = beat if beat > begin else max(limit, begin + 1)
    notes = score.notes[score.notes["onset_tick"] < end].copy()
    notes["duration_ticks"] = np.minimum(notes["duration_ticks"], end - notes["onset_tick"])
    notes["onset_tick"] -= begin
    return Score(notes, score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, end - begin)


def roll_of(score: Score, seconds: float) -> dict[str, object]:
    """The notes as a piano roll is drawn from them, in seconds, with pitch (MIDI number) and velocity (1-127)."""
    tick = score.seconds_per_tick
    notes = [
        [round(int(onset) * tick, 3), round(int(duration) * tick, 3), int(pitch), int(velocity)]
        for onset, duration, pitch, velocity in score.notes.tolist()
    ]
    return {"seconds": round(seconds, 3), "notes": notes}


def _render(piece: Found, seconds: float, format: str, options: SoundOptions, sound: Path, roll: Path) -> float:
    """Write sound and roll of a piece, the roll last, and return the length of the sound in seconds."""
    rate = SAMPLE_RATES[format]
    if piece.score is None:
        audio, score = _cut(read_audio(piece.file, rate), rate, seconds), Score()
        if len(audio) < MIN_SECONDS * rate:
            raise AudioError(
                f"{piece.file}: holds {len(audio) / rate:.1f} s of sound, at least {MIN_SECONDS} are needed"
            )
    else:
        score = excerpt(expressive(piece.score) if options.expression else piece.score, seconds)
        audio = render_for_listening(score, rate, options.soundfont, stereo=options.stereo, reverb=options.reverb)
    audio = at_loudness(audio, rate, options.loudness)
    length = len(audio) / rate
    with naming(sound):
        write_atomically(sound, _encoded(audio, rate, format))
    write_atomically(roll, json.dumps(roll_of(score, length), separators=(",", ":")).encode())
    return length


def _cut(audio: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """The beginning of a recording, without silence before and after it; it fades out where it is cut."""
    loud = np.flatnonzero(np.abs(audio) > SILENCE * np.abs(audio).max())
    audio = audio[loud[0] : loud[-1] + 1] if len(loud) else audio[:0]
    if len(audio) <= seconds * rate:
        return audio
    audio = audio[: round(seconds * rate)].copy()
    fade = min(round(FADE_SECONDS * rate), len(audio))
    audio[-fade:] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    return audio


def _encoded(audio: np.ndarray, rate: int, format: str) -> bytes:
    """The bytes of a sound file without a title or any other tag."""
    import soundfile

    if format == "opus" and "OPUS" not in soundfile.available_subtypes("OGG"):
        raise FileError("this libsndfile cannot write Opus; use --format wav")
    buffer = BytesIO()
    container, coding = ("OGG", "OPUS") if format == "opus" else ("WAV", "PCM_16")
    # Signals are handled in the main thread: here libsndfile calls Python for each block, and Ctrl-C in such a call is
    # lost, with the block
    with ThreadPoolExecutor(1) as thread:
        thread.submit(soundfile.write, buffer, np.clip(audio, -1, 1), rate, format=container, subtype=coding).result()
    return buffer.getvalue()


def _length_in_cache(sound: Path, roll: Path) -> float | None:
    """Seconds of a sound that is in the cache; None where it is not, or is damaged."""
    if not sound.is_file() or not roll.is_file():
        return None
    try:
        return float(read_json(roll)["seconds"])
    except (FileError, KeyError, TypeError, ValueError):
        return None


def _soundfont_digest(options: SoundOptions) -> str:
    return sha256_of_file(options.soundfont or default_soundfont())
