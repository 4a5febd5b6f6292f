"""The realism discriminator's input: piano-roll windows of sixteen beats, without tempo and velocity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

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

    rolls: Tensor  # (windows, 3, 128 thirty-seconds, 88 keys) float32 in [0, 1], zero after the end of the piece
    frames: Tensor  # (windows,) int64, thirty-seconds before the end of the piece, 1..128


@dataclass(frozen=True)
class Crops:
    """Windows of scores before they are drawn, which takes a thousand times the memory.

    Args:
        scores: some scores.
        owner: (windows,) int64, index of each window's score, in any order.
        start: (windows,) int64, the tick at which each begins, at 24 ticks a beat.
        semitones: (windows,) int64, by which each is transposed; None for none.
    """

    scores: Sequence[Score]
    owner: np.ndarray
    start: np.ndarray
    semitones: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.owner)

    def draw(self, part: slice = slice(None), device: torch.device | str = "cpu") -> Windows:
        """The rolls of a part of the windows, on a device; keys beyond the keyboard are left out."""
        start = self.start[part]
        scores, owner = np.unique(self.owner[part], return_inverse=True)
        onset, offset, key, end, lengths = _notes_at_24_ticks([self.scores[index] for index in scores.tolist()])

        # All notes of its score for each window, then those in it
        count = lengths[owner]
        window = np.repeat(np.arange(len(start)), count)
        first = np.cumsum(lengths) - lengths
        note = np.arange(len(window)) + np.repeat(first[owner] - (np.cumsum(count) - count), count)
        onset, offset, key = onset[note] - start[window], offset[note] - start[window], key[note]
        if self.semitones is not None:
            key = key + self.semitones[part][window]
        inside = (onset < WINDOW_TICKS) & (offset > 0) & (key >= 0) & (key < KEYS)
        window, onset, offset, key = window[inside], onset[inside], offset[inside], key[inside]

        # Cells of `change`, +1 at an onset and -1 at an offset, and of `rolls`
        row = window * (WINDOW_TICKS + 1)
        pressed = (row + np.maximum(onset, 0)) * KEYS + key
        released = (row + np.minimum(offset, WINDOW_TICKS)) * KEYS + key
        begins = onset >= 0
        channel = np.where(onset % TICKS_PER_FRAME, OFF_GRID_ONSET, ONSET)
        struck = (((window * CHANNELS + channel) * FRAMES + onset // TICKS_PER_FRAME) * KEYS + key)[begins]
        frames = np.clip(-(-(end[owner] - start) // TICKS_PER_FRAME), 1, FRAMES)
        return _draw(len(start), *(torch.from_numpy(each).to(device) for each in (pressed, released, struck, frames)))


def covering_crops(scores: Sequence[Score]) -> Crops:
    """The windows that cover each score, in order; at least one of each."""
    starts = [window_start_ticks(score) for score in scores]
    owner = np.repeat(np.arange(len(scores)), [len(each) for each in starts])
    return Crops(scores, owner, np.array([start for each in starts for start in each], np.int64))


def covering_windows(scores: Sequence[Score]) -> Windows:
    """The windows that cover each score, in order, drawn all at once."""
    return covering_crops(scores).draw()


def random_windows(
    scores: Sequence[Score], count: int, rng: np.random.Generator, device: torch.device | str = "cpu"
) -> Windows:
    """`count` random windows, each of a random score, transposed by -6..5 semitones, on a device."""
    owner = rng.integers(len(scores), size=count)
    starts = [window_start_ticks(scores[index]) for index in owner.tolist()]
    chosen = rng.integers(0, [len(each) for each in starts])
    start = np.array([each[index] for each, index in zip(starts, chosen.tolist(), strict=True)], np.int64)
    return Crops(scores, owner, start, rng.integers(-6, 6, count)).draw(device=device)


def window_start_ticks(score: Score) -> list[int]:
    """Ticks, 24 a beat, at which the windows of a score begin: bar lines, every beat in at least one window."""
    return list(_start_ticks(score.ticks_per_bar, score.length_ticks, score.ticks_per_beat))


@lru_cache(maxsize=1024)
def _start_ticks(ticks_per_bar: int, length_ticks: int, ticks_per_beat: int) -> tuple[int, ...]:
    """`window_start_ticks` of a score with these ticks; most pieces of a rollout are equally long."""
    bar = ticks_per_bar * TICKS_PER_BEAT / ticks_per_beat
    end = length_ticks * TICKS_PER_BEAT / ticks_per_beat
    hop = max(round(HOP_BEATS * TICKS_PER_BEAT / bar), 1) * bar
    if hop > WINDOW_TICKS:  # bars too long for bar lines
        bar = hop = HOP_BEATS * TICKS_PER_BEAT
    last = max(-(-(end - WINDOW_TICKS) // bar), 0) * bar
    return tuple(round(start) for start in (*np.arange(0, last, hop), last))


def _draw(windows: int, pressed: Tensor, released: Tensor, struck: Tensor, frames: Tensor) -> Windows:
    """The rolls of the cells, indices into (windows, ticks + 1, keys), the same, and (windows, channels, frames, keys).

    Args:
        windows: how many.
        pressed: cells at which a key is pressed.
        released: cells at which a key is released.
        struck: onsets.
        frames: (windows,), as in `Windows`.
    """
    change = torch.zeros(windows * (WINDOW_TICKS + 1) * KEYS, dtype=torch.int8, device=frames.device)
    for cells, step in ((pressed, 1), (released, -1)):
        change.index_add_(0, cells, torch.full_like(cells, step, dtype=torch.int8))
    change = change.view(windows, WINDOW_TICKS + 1, KEYS)[:, :-1]
    sounding = change.cumsum(1, dtype=torch.int8).clamp_(max=1)
    rolls = torch.zeros(windows, CHANNELS, FRAMES, KEYS, device=frames.device)
    rolls.view(-1)[struck] = 1
    ticks = sounding.view(windows, FRAMES, TICKS_PER_FRAME, KEYS).sum(2, dtype=torch.int8)
    rolls[:, SOUNDING] = ticks / TICKS_PER_FRAME
    return Windows(rolls, frames)


def _notes_at_24_ticks(scores: Sequence[Score]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Onset, offset and key of each note; end and number of notes of each score.

    Times are in ticks, 24 a beat; keys are indices, outside 0..87 beyond the keyboard.
    """
    lengths = np.array([len(score) for score in scores], np.int64)
    notes = np.concatenate([np.empty(0, NOTE_DTYPE), *(score.notes for score in scores)])
    onset = notes["onset_tick"].astype(np.int64)
    offset = onset + notes["duration_ticks"]
    key = notes["pitch"].astype(np.int64) - LOWEST
    end = np.array([round(score.length_ticks * (TICKS_PER_BEAT / score.ticks_per_beat)) for score in scores], np.int64)
    ticks_per_beat = np.array([score.ticks_per_beat for score in scores], np.int64)
    if (ticks_per_beat != TICKS_PER_BEAT).any():
        scale = np.repeat(TICKS_PER_BEAT / ticks_per_beat, lengths)
        onset = np.floor(onset * scale + 0.5).astype(np.int64)
        offset = np.maximum(np.floor(offset * scale + 0.5).astype(np.int64), onset + 1)
    return onset, offset, key, end, lengths
