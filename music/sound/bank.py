"""The sound of a score: rendered by FluidSynth, or much faster as a sum of recorded notes.

With reverb and chorus off FluidSynth is linear: the sound of a piece is the sum of the sounds of its notes. `NoteBank`
records each (pitch, velocity, duration) with FluidSynth once and adds the recordings. `render_fluidsynth` is the
reference for its tests.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from threading import Lock

import numpy as np

from toccata.music.score import NOTE_DTYPE, Score
from toccata.music.sound.recordings import Key, Recording, RecordingCache
from toccata.music.sound.synthesizer import BLOCK, VOICES_PER_NOTE, FluidPiano

RING_SECONDS = 1.0  # of sound after the last bar line: in the default font the release of a key takes 1.04 s
SILENCE = 1e-5  # of full scale, -100 dB: recordings end below it; the step of 16-bit sound is 3e-5
LEVELS = 2**15 - 1  # recordings are 16-bit integers scaled to their peak, which halves memory and traffic
BANK_SAMPLES = 2**28  # 512 MiB of recordings, after which a bank is cleared; 13 note values on 88 keys need 75 MiB
FIRST_SAMPLES = 2**22  # initial capacity of a bank, 8 MiB; it is doubled when needed

SPAN_DTYPE = np.dtype([("begin", np.int64), ("end", np.int64), ("step", np.float32)])
_EVENT_DTYPE = np.dtype([(name, np.int64) for name in ("on_block", "off_block", "pitch", "velocity")])


def audio_samples(score: Score, sample_rate: int = 16_000) -> int:
    """Samples in the sound of `score`: its length and `RING_SECONDS` for the release of the last notes."""
    seconds = score.length_seconds + RING_SECONDS
    return math.ceil(round(seconds * sample_rate, 6))  # rounded first: 256000.00000000003 is 256000


def default_soundfont() -> Path:
    """The General MIDI sound font in the package pretty_midi (TimGM6mb, 6 MB)."""
    spec = find_spec("pretty_midi")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the default sound font is part of pretty_midi, which is not installed")
    return Path(spec.origin).parent / "TimGM6mb.sf2"


def render_fluidsynth(
    score: Score, sample_rate: int = 16_000, soundfont: str | PathLike[str] | None = None
) -> np.ndarray:
    """Render a score with FluidSynth, by a piano without reverb or chorus.

    FluidSynth processes events only between blocks of 64 samples. Each event takes effect at the first block border at
    or after its time, so at most 4 ms late at 16 kHz.

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
    return _render_scheduled(schedule(score, sample_rate), samples, sample_rate, soundfont or default_soundfont())


class NoteBank:
    """Renders scores as sums of note recordings; the difference to `render_fluidsynth` is below 1e-3 of full scale.

    A note is recorded with FluidSynth when it is first needed, and kept in a file of the user's cache folder for later
    processes. The recordings in memory are cleared when they exceed 512 MiB; a
    score whose notes alone would exceed it is rendered by `render_fluidsynth`. The sound of a score is the same to the
    last bit every time, independent of what was rendered before. A bank may be used by threads and by forked and
    spawned processes, and is pickled without its recordings.

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
        self._cache = RecordingCache(self.soundfont, sample_rate, (SILENCE, LEVELS))
        weakref.finalize(self, self._cache.save)
        self._lock = Lock()
        self._recordings: np.ndarray  # int16, concatenated, with spare capacity
        self._used: int  # samples of `_recordings` in use
        self._spans: dict[tuple[int, int, int], tuple[int, int, float]]  # (pitch, velocity, blocks): begin, end, step
        self._clear()

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self._spans)

    @property
    def nbytes(self) -> int:
        """Bytes of the recordings."""
        return self._used * self._recordings.itemsize

    def __reduce__(self) -> tuple:
        return NoteBank, (self.sample_rate, self.soundfont)

    def render(self, scores: Sequence[Score]) -> np.ndarray:
        """Sound of each score.

        Returns:
            (n, samples) float32 in [-1, 1], mono; shorter pieces are padded with zeros.
        """
        lengths = [audio_samples(score, self.sample_rate) for score in scores]
        audio = np.zeros((len(scores), max(lengths, default=0)), np.float32)
        rows = [row[:length] for row, length in zip(audio, lengths, strict=True)]
        self._render([schedule(score, self.sample_rate) for score in scores], rows)
        return audio

    def render_parts(self, parts: Sequence[np.ndarray], samples: int) -> np.ndarray:
        """Sound of parts of pieces, equal to the same samples of the whole piece.

        Args:
            parts: the notes of each part, as `schedule` returns them, with `on_block` and `off_block` counted from the
                beginning of the part: negative for notes with an earlier onset.
            samples: length of each part.

        Returns:
            (n, samples) float32 in [-1, 1], mono.
        """
        audio = np.zeros((len(parts), samples), np.float32)
        self._render(parts, list(audio))
        return audio

    def _render(self, pieces: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> None:
        """Add the scheduled notes of each piece to its row of zeros."""
        to_mix: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        with self._lock:
            for notes, row in zip(pieces, rows, strict=True):
                blocks = notes["off_block"] - notes["on_block"]
                keys = list(zip(notes["pitch"].tolist(), notes["velocity"].tolist(), blocks.tolist(), strict=True))
                if sum(blocks for _, _, blocks in set(keys)) * BLOCK > BANK_SAMPLES:
                    row[:] = _render_scheduled(notes, len(row), self.sample_rate, self.soundfont)
                    continue
                if self._used > BANK_SAMPLES:
                    self._mix(to_mix)
                    to_mix = []
                    self._clear()
                spans = [self._spans.get(key) or self._record(*key) for key in keys]
                to_mix.append((row, notes["on_block"] * BLOCK, np.array(spans, SPAN_DTYPE)))
            self._mix(to_mix)
            self._cache.save_if_due()

    def render_one(self, score: Score) -> np.ndarray:
        """Sound of one score, (samples,) float32 in [-1, 1]."""
        return self.render([score])[0]

    def recording(self, pitch: int, velocity: int, blocks: int) -> np.ndarray:
        """(samples,) float32: what `render` adds for a note of `blocks` blocks."""
        with self._lock:
            if self._used > BANK_SAMPLES:
                self._clear()
            key = (pitch, velocity, blocks)
            begin, end, step = self._spans.get(key) or self._record(*key)
            self._cache.save_if_due()
            return np.float32(step) * self._recordings[begin:end].astype(np.float32)

    def _record(self, pitch: int, velocity: int, blocks: int) -> tuple[int, int, float]:
        """Add the recording of one note, and return its begin, end and step."""
        key = pitch, velocity, blocks
        samples, step = self._cache.get(key) or self._new_recording(key)
        begin, end = self._used, self._used + len(samples)
        if end > len(self._recordings):
            grown = np.empty(max(2 * len(self._recordings), end), np.int16)
            grown[:begin] = self._recordings[:begin]
            self._recordings = grown
        self._recordings[begin:end] = samples
        self._used = end
        self._spans[key] = begin, end, step
        return begin, end, step

    def _new_recording(self, key: Key) -> Recording:
        """Record one note with FluidSynth."""
        sound = self._piano.record(*key, SILENCE)
        step = float(np.abs(sound).max(initial=0)) / LEVELS
        recording = np.rint(sound / (step or 1.0)).astype(np.int16), step
        self._cache.add(key, recording)
        return recording

    def _clear(self) -> None:
        """Delete all recordings."""
        self._recordings, self._used, self._spans = np.empty(FIRST_SAMPLES, np.int16), 0, {}

    def _mix(self, pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        """Add the recordings of each piece to its sound: (sound, first sample of each note, span of each note)."""
        from toccata.music.sound.mixing import mix

        def mix_piece(piece: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
            row, starts, spans = piece
            mix(row, starts, spans, self._recordings)

        with ThreadPoolExecutor(max(1, min(len(pieces), os.cpu_count() or 1))) as threads:
            list(threads.map(mix_piece, pieces))


@lru_cache(maxsize=2)
def note_bank(sample_rate: int = 16_000) -> NoteBank:
    """The bank of the default sound font; one per process and sample rate."""
    return NoteBank(sample_rate)


def schedule(score: Score, sample_rate: int) -> np.ndarray:
    """The blocks of 64 samples in which each note of a score begins and ends.

    A note has at least one block. Of several notes of one pitch that begin in one block, which may contain several
    ticks, the last is kept, and no two notes of one pitch overlap.

    Returns:
        (notes,) structured int64: `on_block`, `off_block`, `pitch`, `velocity`.
    """
    return schedule_all([score], sample_rate)[0]


def schedule_all(scores: Sequence[Score], sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """`schedule` of many scores, concatenated; and (notes,) int64, the index of each note's score."""
    lengths = [len(score) for score in scores]
    of_scores = np.concatenate([np.empty(0, NOTE_DTYPE), *(score.notes for score in scores)])
    owner = np.repeat(np.arange(len(scores)), lengths)
    samples_per_tick = np.repeat([score.seconds_per_tick * sample_rate for score in scores], lengths)
    notes = np.empty(len(of_scores), _EVENT_DTYPE)
    offset_tick = of_scores["onset_tick"] + of_scores["duration_ticks"]
    notes["on_block"] = -(-np.rint(of_scores["onset_tick"] * samples_per_tick) // BLOCK)
    notes["off_block"] = -(-np.rint(offset_tick * samples_per_tick) // BLOCK)
    notes["off_block"] = np.maximum(notes["off_block"], notes["on_block"] + 1)
    notes["pitch"], notes["velocity"] = of_scores["pitch"], of_scores["velocity"]
    if (samples_per_tick <= BLOCK + 1).any():  # else each block has one tick, and the notes of a score are in order
        order = np.lexsort((of_scores["onset_tick"], notes["pitch"], notes["on_block"], owner))
        notes, owner = notes[order], owner[order]
        repeated_in_block = np.ones(max(len(notes) - 1, 0), bool)
        for values in (owner, notes["on_block"], notes["pitch"]):
            repeated_in_block &= np.diff(values) == 0
        kept = np.append(~repeated_in_block, True)[: len(notes)]
        notes, owner = notes[kept], owner[kept]
    return notes, owner


def _render_scheduled(notes: np.ndarray, samples: int, sample_rate: int, soundfont: str | PathLike[str]) -> np.ndarray:
    """(samples,) float32 in [-1, 1]: the sound of scheduled notes from block 0 on; notes may begin before it."""
    notes, before = notes.copy(), -int(notes["on_block"].min(initial=0))
    blocks = before - (-samples // BLOCK)
    notes["on_block"] += before
    notes["off_block"] = np.minimum(notes["off_block"] + before, blocks)  # notes may end after the part
    notes = notes[notes["on_block"] < blocks]
    audio = np.zeros(blocks * BLOCK, np.float32)
    with FluidPiano(sample_rate, soundfont, voices=(len(notes) + 4) * VOICES_PER_NOTE) as piano:
        play(piano, notes, audio)
    return np.clip(audio[before * BLOCK :][:samples], -1, 1)


def play(piano: FluidPiano, notes: np.ndarray, audio: np.ndarray) -> None:
    """Play scheduled notes into `audio`; at each border keys are released before keys are pressed.

    Args:
        piano: nothing else may sound.
        notes: as `schedule` returns them.
        audio: (blocks * BLOCK,) for the mean of left and right, or (2, blocks * BLOCK); it may exceed [-1, 1].
    """
    write = piano.write if audio.ndim == 1 else piano.write_stereo
    downs = [(int(block), 1, int(pitch), int(velocity)) for block, _, pitch, velocity in notes]
    ups = [(int(block), 0, int(pitch), 0) for _, block, pitch, _ in notes]
    block = 0
    for next_block, is_down, pitch, velocity in sorted(downs + ups):
        if next_block > block:
            audio[..., block * BLOCK : next_block * BLOCK] = write(next_block - block)
            block = next_block
        if is_down:
            piano.press(pitch, velocity)
        else:
            piano.release(pitch)
    audio[..., block * BLOCK :] = write(audio.shape[-1] // BLOCK - block)
