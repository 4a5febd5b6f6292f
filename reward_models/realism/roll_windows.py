"""The realism discriminator's input: piano-roll windows of sixteen beats, without tempo and velocity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

LOWEST, KEYS = 21, 88  # A0 to C8
WINDOW_BEATS = 16  # four bars of 4/4, a phrase
HOP_BEATS = 8  # about; windows of longer pieces begin at bar lines and overlap by half
TICKS_PER_FRAME = 3  # a thirty-second; onsets between two frames are in another channel
WINDOW_TICKS = WINDOW_BEATS * TICKS_PER_BEAT
FRAMES = WINDOW_TICKS // TICKS_PER_FRAME
SOUNDING, ONSET, OFF_GRID_ONSET = range(3)  # channels
CHANNELS = 3


@dataclass(frozen=True)
class Windows:
    """A batch of windows, the discriminator's input."""

    rolls: np.ndarray  # (windows, 3, 128 thirty-seconds, 88 keys) float32 in [0, 1], zero after the end of the piece
    frames: np.ndarray  # (windows,) int64, thirty-seconds before the end of the piece, 1..128
    owner: np.ndarray  # (windows,) int64, index of the piece


def covering_windows(scores: Sequence[Score]) -> Windows:
    """The windows that cover each score, in order; at least one of each."""
    crops = [(score, start, owner) for owner, score in enumerate(scores) for start in window_start_ticks(score)]
    return _rasterise([(score, start) for score, start, _ in crops], np.array([owner for *_, owner in crops], np.int64))


def random_windows(scores: Sequence[Score], count: int, rng: np.random.Generator) -> Windows:
    """`count` random windows, each of a random score, transposed by -6..5 semitones."""
    owners = rng.integers(len(scores), size=count)
    crops = [(scores[owner], int(rng.choice(window_start_ticks(scores[owner])))) for owner in owners.tolist()]
    return _rasterise(crops, owners, rng.integers(-6, 6, count))


def window_start_ticks(score: Score) -> list[int]:
    """Ticks, 24 a beat, at which the windows of a score begin: bar lines, every beat in at least one window."""
    bar = score.ticks_per_bar * TICKS_PER_BEAT / score.ticks_per_beat
    end = score.length_ticks * TICKS_PER_BEAT / score.ticks_per_beat
    hop = max(round(HOP_BEATS * TICKS_PER_BEAT / bar), 1) * bar
    if hop > WINDOW_TICKS:  # bars too long for bar lines
        bar = hop = HOP_BEATS * TICKS_PER_BEAT
    last = max(-(-(end - WINDOW_TICKS) // bar), 0) * bar
    return [round(start) for start in (*np.arange(0, last, hop), last)]


def _rasterise(crops: Sequence[tuple[Score, int]], owner: np.ndarray, semitones: np.ndarray | None = None) -> Windows:
    """The window of each (score, start tick), transposed by `semitones` (windows,)."""
    rolls = np.zeros((len(crops), CHANNELS, FRAMES, KEYS), np.float32)
    change = np.zeros((len(crops), WINDOW_TICKS + 1, KEYS), np.int8)  # +1 at an onset, -1 at an offset
    frames = np.empty(len(crops), np.int64)
    for i, (score, start) in enumerate(crops):
        onset, offset, key, end = _notes_at_24_ticks(score)
        key = key + (0 if semitones is None else semitones[i])
        onset, offset = onset - start, offset - start
        inside = (onset < WINDOW_TICKS) & (offset > 0) & (key >= 0) & (key < KEYS)
        onset, offset, key = onset[inside], offset[inside], key[inside]
        np.add.at(change[i], (np.maximum(onset, 0), key), 1)
        np.add.at(change[i], (np.minimum(offset, WINDOW_TICKS), key), -1)
        begins = onset >= 0
        onset, key = onset[begins], key[begins]
        channel = np.where(onset % TICKS_PER_FRAME, OFF_GRID_ONSET, ONSET)
        rolls[i, channel, onset // TICKS_PER_FRAME, key] = 1
        frames[i] = np.clip(-(-(end - start) // TICKS_PER_FRAME), 1, FRAMES)
    sounding = np.cumsum(change[:, :-1], axis=1, dtype=np.int8).reshape(-1, FRAMES, TICKS_PER_FRAME, KEYS)
    rolls[:, SOUNDING] = np.minimum(sounding, 1).mean(axis=2)
    return Windows(rolls, frames, owner)


def _notes_at_24_ticks(score: Score) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Onset and offset ticks, key indices (outside 0..87 beyond the keyboard), and end, at 24 ticks a beat."""
    onset, offset = score.notes["onset_tick"].astype(np.int64), score.offset_ticks.astype(np.int64)
    key = score.notes["pitch"].astype(np.int64) - LOWEST
    if score.ticks_per_beat == TICKS_PER_BEAT:
        return onset, offset, key, score.length_ticks
    scale = TICKS_PER_BEAT / score.ticks_per_beat
    onset = np.floor(onset * scale + 0.5).astype(np.int64)
    offset = np.maximum(np.floor(offset * scale + 0.5).astype(np.int64), onset + 1)
    return onset, offset, key, round(score.length_ticks * scale)
