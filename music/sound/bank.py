"""The sound of a score: FluidSynth itself, and the same sound from a bank of notes, far faster.

With reverb and chorus off FluidSynth is linear: a piece is the sum of its notes. `NoteBank` lets FluidSynth
play each (pitch, velocity, duration) once and adds the recordings up; `render_fluidsynth` is what it is
tested against.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from threading import Lock

import numpy as np

from toccata.music.score import Score
from toccata.music.sound.synthesizer import BLOCK, VOICES_PER_NOTE, FluidPiano

RING_SECONDS = 1.0  # of sound after the last bar line: the default font's dampers take 1.04 s to silence a key
SILENCE = 1e-5  # of full scale, -100 dB: where a recording ends; the finest step of 16-bit sound is 3e-5
LEVELS = 2**15 - 1  # a recording is kept in 16 bits, its peak at the last level: half the memory and traffic
BANK_SAMPLES = 2**28  # 512 MiB of recordings, then a bank starts anew; 13 note values on 88 keys fill 75 MiB
FIRST_SAMPLES = 2**22  # a bank begins with 8 MiB and doubles

_SPAN_DTYPE = np.dtype([("begin", np.int64), ("end", np.int64), ("step", np.float32)])
_EVENT_DTYPE = np.dtype([(name, np.int64) for name in ("on_block", "off_block", "pitch", "velocity")])


def audio_samples(score: Score, sample_rate: int = 16_000) -> int:
    """Samples in the sound of `score`: its length and `RING_SECONDS` for the last notes to ring."""
    seconds = score.length_seconds + RING_SECONDS
    return math.ceil(round(seconds * sample_rate, 6))  # rounded: 256000.00000000003 is 256000


def default_soundfont() -> Path:
    """The General MIDI sound font that comes with pretty_midi (TimGM6mb, 6 MB)."""
    spec = find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the default sound font comes with pretty_midi, which is not installed")
    return Path(spec.origin).parent / "TimGM6mb.sf2"


def render_fluidsynth(
    score: Score, sample_rate: int = 16_000, soundfont: str | PathLike[str] | None = None
) -> np.ndarray:
    """FluidSynth's own rendering of a score by a piano without reverb or chorus.

    FluidSynth hears events only at the borders of blocks of 64 samples; here each takes effect at the first
    border at or after its time, so 4 ms late at most at 16 kHz.

    Args:
        score: the piece.
        sample_rate: samples a second, 8,000 to 96,000.
        soundfont: path of an SF2 file, `default_soundfont()` by default.

    Returns:
        (audio_samples(score, sample_rate),) float32, the mean of left and right, clipped to [-1, 1].

    Raises:
        SoundError: when libfluidsynth is not installed or cannot read the sound font.
        FileNotFoundError: when there is no such sound font.
        ValueError: for a sample rate out of range.
    """
    samples = audio_samples(score, sample_rate)
    return _fluidsynth(schedule(score, sample_rate), samples, sample_rate, soundfont or default_soundfont())


class NoteBank:
    """Renders scores as `render_fluidsynth` does, to 1e-3 of full scale, by adding up recordings of notes.

    A note is recorded by FluidSynth when it is first asked for. The bank forgets its recordings when they
    outgrow 512 MiB; a score whose own notes would goes to FluidSynth itself. The sound of a score does not
    depend on what was rendered before: it is the same to the last bit every time. A bank may be used by
    threads and by forked and spawned processes, and pickles without its recordings.

    Args:
        sample_rate: samples a second, 8,000 to 96,000.
        soundfont: path of an SF2 file, `default_soundfont()` by default.

    Raises:
        SoundError, FileNotFoundError, ValueError: as `render_fluidsynth`.
    """

    def __init__(self, sample_rate: int = 16_000, soundfont: str | PathLike[str] | None = None) -> None:
        self.sample_rate = sample_rate
        self.soundfont = Path(soundfont or default_soundfont())
        self._piano = FluidPiano(sample_rate, self.soundfont, voices=4 * VOICES_PER_NOTE)  # one note at a time
        self._lock = Lock()
        self._recordings: np.ndarray  # int16, all of them one after the other, with room for more
        self._used: int  # samples of them
        self._spans: dict[tuple[int, int, int], tuple[int, int, float]]  # (pitch, velocity, blocks): begin, end, step
        self._forget()

    def __len__(self) -> int:
        """Number of recordings held."""
        return len(self._spans)

    @property
    def nbytes(self) -> int:
        """Bytes of the recordings held."""
        return self._used * self._recordings.itemsize

    def __reduce__(self) -> tuple:
        return NoteBank, (self.sample_rate, self.soundfont)

    def render(self, scores: Sequence[Score]) -> np.ndarray:
        """Sound of each score.

        Returns:
            (n, samples) float32 in [-1, 1], mono; shorter pieces are followed by zeros.
        """
        lengths = [audio_samples(score, self.sample_rate) for score in scores]
        audio = np.zeros((len(scores), max(lengths, default=0)), np.float32)
        rows = [row[:length] for row, length in zip(audio, lengths, strict=True)]
        self._render([schedule(score, self.sample_rate) for score in scores], rows)
        return audio

    def render_parts(self, parts: Sequence[np.ndarray], samples: int) -> np.ndarray:
        """Sound of parts of pieces, as it is there in the whole piece.

        Args:
            parts: the notes of each, as `schedule` gives them, `on_block` and `off_block` counted from where the part
                begins: notes struck before it are negative.
            samples: how long each part is.

        Returns:
            (n, samples) float32 in [-1, 1], mono.
        """
        audio = np.zeros((len(parts), samples), np.float32)
        self._render(parts, list(audio))
        return audio

    def _render(self, pieces: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> None:
        """Play the scheduled notes of each piece into its row of silence."""
        mixed: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        with self._lock:
            for notes, row in zip(pieces, rows, strict=True):
                blocks = notes["off_block"] - notes["on_block"]
                keys = list(zip(notes["pitch"].tolist(), notes["velocity"].tolist(), blocks.tolist(), strict=True))
                if sum(blocks for _, _, blocks in set(keys)) * BLOCK > BANK_SAMPLES:
                    row[:] = _fluidsynth(notes, len(row), self.sample_rate, self.soundfont)
                    continue
                if self._used > BANK_SAMPLES:
                    self._mix(mixed)
                    mixed = []
                    self._forget()
                spans = [self._spans.get(key) or self._record(*key) for key in keys]
                mixed.append((row, notes["on_block"] * BLOCK, np.array(spans, _SPAN_DTYPE)))
            self._mix(mixed)

    def render_one(self, score: Score) -> np.ndarray:
        """Sound of one score, (samples,) float32 in [-1, 1]."""
        return self.render([score])[0]

    def _record(self, pitch: int, velocity: int, blocks: int) -> tuple[int, int, float]:
        """Record one note; where its recording begins and ends, and the size of its steps."""
        sound = self._piano.record(pitch, velocity, blocks, SILENCE)
        step = float(np.abs(sound).max(initial=0)) / LEVELS
        begin, end = self._used, self._used + len(sound)
        if end > len(self._recordings):
            grown = np.empty(max(2 * len(self._recordings), end), np.int16)
            grown[:begin] = self._recordings[:begin]
            self._recordings = grown
        if len(sound):
            self._recordings[begin:end] = np.rint(sound / step)
        self._used = end
        self._spans[pitch, velocity, blocks] = begin, end, step
        return begin, end, step

    def _forget(self) -> None:
        """Drop all recordings."""
        self._recordings, self._used, self._spans = np.empty(FIRST_SAMPLES, np.int16), 0, {}

    def _mix(self, pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        """Add up each piece: its row of sound, where in it each note begins, the span of each recording."""
        from toccata.music.sound.mixing import mix

        def add_up(piece: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
            row, starts, spans = piece
            mix(row, starts, spans, self._recordings)

        with ThreadPoolExecutor(max(1, min(len(pieces), os.cpu_count() or 1))) as threads:
            list(threads.map(add_up, pieces))


@lru_cache(maxsize=2)
def note_bank(sample_rate: int = 16_000) -> NoteBank:
    """The bank of the default sound font, shared by everything in this process."""
    return NoteBank(sample_rate)


def write_wav(path: str | PathLike[str], audio: np.ndarray, sample_rate: int = 16_000) -> None:
    """Write (samples,) sound in [-1, 1] as a 16-bit mono WAV file; louder samples are clipped.

    Raises:
        ValueError: when `audio` is not one-dimensional or not finite.
    """
    import soundfile

    audio = np.asarray(audio, np.float32)
    if audio.ndim != 1 or not np.isfinite(audio).all():
        raise ValueError(f"{path}: sound must be (samples,) finite values, got shape {audio.shape}")
    soundfile.write(Path(path), np.clip(audio, -1, 1), sample_rate, format="WAV", subtype="PCM_16")


def schedule(score: Score, sample_rate: int) -> np.ndarray:
    """When FluidSynth strikes and releases each note of a score, in blocks of 64 samples.

    Returns:
        (notes,) structured int64: `on_block`, `off_block`, `pitch`, `velocity`.

    A note lasts a block at least. Of notes of one pitch struck in one block (which may hold several ticks)
    the last remains, and no two of one pitch overlap.
    """
    samples_per_tick = score.seconds_per_tick * sample_rate
    notes = np.empty(len(score), _EVENT_DTYPE)
    notes["on_block"] = -(-np.rint(score.notes["onset_tick"] * samples_per_tick) // BLOCK)
    notes["off_block"] = -(-np.rint(score.offset_ticks * samples_per_tick) // BLOCK)
    notes["off_block"] = np.maximum(notes["off_block"], notes["on_block"] + 1)
    notes["pitch"], notes["velocity"] = score.notes["pitch"], score.notes["velocity"]
    order = np.lexsort((score.notes["onset_tick"], notes["pitch"], notes["on_block"]))
    notes = notes[order]
    struck_again = (np.diff(notes["on_block"]) == 0) & (np.diff(notes["pitch"]) == 0)
    return notes[np.append(~struck_again, True)] if len(notes) else notes


def _fluidsynth(notes: np.ndarray, samples: int, sample_rate: int, soundfont: str | PathLike[str]) -> np.ndarray:
    """(samples,) float32 in [-1, 1]: the sound of scheduled notes from block 0 on, which some may precede."""
    notes, before = notes.copy(), -int(notes["on_block"].min(initial=0))
    blocks = before - (-samples // BLOCK)
    notes["on_block"] += before
    notes["off_block"] = np.minimum(notes["off_block"] + before, blocks)  # a part may end before its notes
    notes = notes[notes["on_block"] < blocks]
    audio = np.zeros(blocks * BLOCK, np.float32)
    with FluidPiano(sample_rate, soundfont, voices=(len(notes) + 4) * VOICES_PER_NOTE) as piano:
        _play(piano, notes, audio)
    return np.clip(audio[before * BLOCK :][:samples], -1, 1)


def _play(piano: FluidPiano, notes: np.ndarray, audio: np.ndarray) -> None:
    """Play `notes` into `audio`, (blocks * BLOCK,); at a border keys come up before keys go down."""
    downs = [(int(block), 1, int(pitch), int(velocity)) for block, _, pitch, velocity in notes]
    ups = [(int(block), 0, int(pitch), 0) for _, block, pitch, _ in notes]
    block = 0
    for next_block, is_down, pitch, velocity in sorted(downs + ups):
        if next_block > block:
            audio[block * BLOCK : next_block * BLOCK] = piano.write(next_block - block)
            block = next_block
        if is_down:
            piano.strike(pitch, velocity)
        else:
            piano.release(pitch)
    audio[block * BLOCK :] = piano.write(len(audio) // BLOCK - block)
