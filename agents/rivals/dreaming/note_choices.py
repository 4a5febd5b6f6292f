"""Pieces as choices: in each cell of a grid each of two voices rests, or strikes one key for one duration.

A relaxed piece has a probability for every choice. The amounts of notes that `NoteBankLayer` takes, and the rolls that
the discriminator of realism takes, are linear in these probabilities but for clipping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.agents.rivals.dreaming.note_bank import NoteGrid
from toccata.envs.instrument import VELOCITY
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score
from toccata.reward_models.realism import roll_windows
from toccata.reward_models.realism.roll_windows import CHANNELS, FRAMES, KEYS, TICKS_PER_FRAME, Windows

CELL_TICKS = 12  # an eighth: 99 % of the onsets of the chorales of `bach` are on it, 75 % of those of `folk`
LOWEST, HIGHEST = 36, 83  # C2 to B5: 99 % of the notes of `bach` and `folk`
SPLIT = 60  # the lowest key of the upper voice, middle C
DURATIONS = (1, 2, 4)  # cells: an eighth, a quarter, a half; 95 % of the notes of `bach`, 51 % of those of `folk`
VOICES = ((LOWEST, SPLIT), (SPLIT, HIGHEST + 1))  # keys of each, the upper bound is excluded
REST = 0  # the choice; others are 1 + (key - lowest of the voice) * durations + duration
CHOICES = 1 + (SPLIT - LOWEST) * len(DURATIONS)  # of a cell, in both voices
ROLL_FRAMES_PER_CELL = CELL_TICKS // TICKS_PER_FRAME
ROLL_CELLS = FRAMES // ROLL_FRAMES_PER_CELL  # of a window of the discriminator

assert all(high - low == SPLIT - LOWEST for low, high in VOICES)


def note_grid(tempo_bpm: float) -> NoteGrid:
    """The notes that can be chosen."""
    return NoteGrid(CELL_TICKS, LOWEST, HIGHEST, DURATIONS, tempo_bpm)


def amounts_of(probabilities: Tensor) -> Tensor:
    """(n, voices, cells, CHOICES) probabilities -> (n, cells, keys, durations) of notes."""
    of_voices = probabilities[..., 1:].unflatten(-1, (-1, len(DURATIONS)))  # (n, voices, cells, keys of one, durations)
    return torch.cat(of_voices.unbind(1), 2)


def scores_of(choices: np.ndarray, length: Score) -> list[Score]:
    """The pieces of (n, voices, cells) choices; notes end at the end of the piece.

    Args:
        choices: of pieces.
        length: an empty score of the length, metre and tempo of all of them.
    """
    scores = []
    for piece in choices:
        voices, cells = np.nonzero(piece)
        steps, durations = np.divmod(piece[voices, cells].astype(np.int64) - 1, len(DURATIONS))
        onsets = cells * CELL_TICKS
        ticks = np.minimum(np.array(DURATIONS)[durations] * CELL_TICKS, length.length_ticks - onsets)
        pitches = np.array([low for low, _ in VOICES])[voices] + steps
        notes = np.zeros(len(onsets), NOTE_DTYPE)
        notes["onset_tick"], notes["duration_ticks"] = onsets, ticks
        notes["pitch"], notes["velocity"] = pitches, VELOCITY
        scores.append(replace(length, notes=notes))
    return scores


def choices_of(score: Score, cells: int) -> np.ndarray:
    """The (voices, cells) choices nearest to a score: the inverse of `scores_of` for what can be chosen.

    Onsets go to the nearest cell and durations to the nearest one. Of several notes of a voice in a cell the outer one
    is kept; notes beyond the keys are moved by octaves.
    """
    choices = np.full((len(VOICES), cells), REST, np.int64)
    notes = score.notes
    scale = TICKS_PER_BEAT / score.ticks_per_beat / CELL_TICKS
    cell = np.floor(notes["onset_tick"] * scale + 0.5).astype(np.int64)
    duration = np.abs((notes["duration_ticks"] * scale)[:, None] - np.array(DURATIONS)).argmin(1)
    pitch = notes["pitch"].astype(np.int64)
    pitch += 12 * np.maximum(-(-(LOWEST - pitch) // 12), 0)
    pitch -= 12 * np.maximum(-(-(pitch - HIGHEST) // 12), 0)
    for voice, (low, high) in enumerate(VOICES):
        inside = np.flatnonzero((pitch >= low) & (pitch < high) & (cell < cells))
        outer_last = inside[np.argsort(pitch[inside] * (1 if voice else -1), kind="stable")]
        choices[voice, cell[outer_last]] = 1 + (pitch[outer_last] - low) * len(DURATIONS) + duration[outer_last]
    return choices


def roll_windows_of(amounts: Tensor) -> Windows:
    """The windows of 16 beats that the discriminator of realism takes, one after the other; the last may be padded.

    Args:
        amounts: (n, cells, keys, durations).

    Returns:
        (n * windows,) windows, equal for amounts of 0 and 1 to those of the score, drawn from the same beats on.
    """
    n, cells = amounts.shape[:2]
    onsets = amounts.sum(3)
    sounding = sum(
        functional.pad(amounts[:, : cells - later, :, index], (0, 0, later, 0))
        for index, duration in enumerate(DURATIONS)
        for later in range(min(duration, cells))
    )
    assert isinstance(sounding, Tensor)
    rolls = amounts.new_zeros(n, CHANNELS, cells, ROLL_FRAMES_PER_CELL, amounts.shape[2])
    rolls[:, roll_windows.ONSET, :, 0] = onsets.clamp(max=1)
    rolls[:, roll_windows.SOUNDING] = sounding.clamp(max=1)[:, :, None]
    windows = -(-cells // ROLL_CELLS)
    missing = windows * FRAMES - cells * ROLL_FRAMES_PER_CELL
    below = LOWEST - roll_windows.LOWEST
    rolls = functional.pad(rolls.flatten(2, 3), (below, KEYS - below - rolls.shape[-1], 0, missing))
    frames = torch.full((n, windows), FRAMES)
    frames[:, -1] -= missing
    return Windows(rolls.unflatten(2, (windows, FRAMES)).transpose(1, 2).flatten(0, 1), frames.flatten())


def real_amounts(scores: Sequence[Score], cells: int) -> Tensor:
    """(n, cells, keys, durations) amounts of 0 and 1: real scores as they can be chosen."""
    choices = torch.from_numpy(np.stack([choices_of(score, cells) for score in scores]))
    return amounts_of(functional.one_hot(choices, CHOICES).float())
