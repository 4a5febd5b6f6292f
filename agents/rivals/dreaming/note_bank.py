"""The note bank as a linear layer: amounts of notes in, sound out, with gradients.

`NoteBank` adds recordings of notes. So does this layer, each times the amount of its note, of all notes that may begin
in the cells of a grid. With amounts of 0 and 1 it is the sound of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toccata.envs.instrument import VELOCITY
from toccata.music.score import TICKS_PER_BEAT
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.music.sound.synthesizer import BLOCK


@dataclass(frozen=True)
class NoteGrid:
    """The notes that may be played: at the cells of a grid, on some keys, with some durations.

    Attributes:
        cell_ticks: from one cell to the next, 24 ticks a beat.
        lowest, highest: keys, MIDI numbers.
        durations: of notes in cells, ascending.
        tempo_bpm: quarter notes a minute.
    """

    cell_ticks: int
    lowest: int
    highest: int
    durations: tuple[int, ...]
    tempo_bpm: float = 120.0

    @property
    def keys(self) -> int:
        """How many keys."""
        return self.highest - self.lowest + 1

    @property
    def cell_seconds(self) -> float:
        """From one cell to the next."""
        return self.cell_ticks * 60 / (self.tempo_bpm * TICKS_PER_BEAT)


class NoteBankLayer:
    """Sound of amounts of notes.

    Args:
        grid: the notes.
        cells: in which they begin.
        samples: of the sound, in which cell 0 begins at sample `start`; what sounds longer is cut.
        start: sample.
        dtype: of the sound.
    """

    def __init__(
        self, grid: NoteGrid, cells: int, samples: int, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> None:
        self.grid, self.samples, self.dtype = grid, samples, dtype
        cell_samples = grid.cell_seconds * SAMPLE_RATE
        # Keys go down at borders of blocks, at or after their time, as `schedule` says
        blocks = -(-np.rint(np.arange(cells + 1) * cell_samples).astype(np.int64) // BLOCK)
        self.starts = (blocks[:-1] * BLOCK + start).tolist()
        self.blocks = [max(1, round(duration * cell_samples / BLOCK)) for duration in grid.durations]

    @cached_property
    def recordings(self) -> list[Tensor]:
        """(keys, samples) of each duration, silence after the end of shorter ones."""
        bank = note_bank(SAMPLE_RATE)
        keys = range(self.grid.lowest, self.grid.highest + 1)
        banks = []
        for blocks in self.blocks:
            sounds = [bank.recording(key, VELOCITY, blocks)[: self.samples] for key in keys]
            padded = np.zeros((len(sounds), max(map(len, sounds))), np.float32)
            for row, sound in zip(padded, sounds, strict=True):
                row[: len(sound)] = sound
            banks.append(torch.from_numpy(padded).to(self.dtype))
        return banks

    def __call__(self, amounts: Tensor) -> Tensor:
        """(n, cells, keys, durations) amounts, 0 for no note and 1 for one -> (n, samples), not clipped."""
        return _AddRecordings.apply(amounts, self.recordings, self.starts, self.samples)


class _AddRecordings(torch.autograd.Function):
    """Adds recordings times amounts; the gradient is the correlation with the recordings."""

    @staticmethod
    def forward(ctx: Any, amounts: Tensor, recordings: Sequence[Tensor], starts: Sequence[int], samples: int) -> Tensor:
        ctx.recordings, ctx.starts = recordings, starts
        sound = amounts.new_zeros(len(amounts), samples)
        for cell, start in enumerate(starts):
            for amount, bank in zip(amounts[:, cell].unbind(-1), recordings, strict=True):
                length = min(bank.shape[1], samples - start)
                if length > 0:
                    sound[:, start : start + length].addmm_(amount, bank[:, :length])
        return sound

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (of_sound,) = gradients
        cells = []
        for start in ctx.starts:
            by_duration = []
            for bank in ctx.recordings:
                part = of_sound[:, start : start + bank.shape[1]]
                by_duration.append(part @ bank[:, : part.shape[1]].T)
            cells.append(torch.stack(by_duration, -1))
        return torch.stack(cells, 1), None, None, None
