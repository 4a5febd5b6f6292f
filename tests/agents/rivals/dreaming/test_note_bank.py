from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.rivals.dreaming.note_bank import NoteBankLayer, NoteGrid
from toccata.envs.instrument import VELOCITY
from toccata.music.score import Score
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import SAMPLE_RATE

CELLS = 6


def made(tempo_bpm: float, seed: int, dtype: torch.dtype = torch.float32) -> tuple[NoteBankLayer, torch.Tensor, Score]:
    """A layer, random amounts of 0 and 1 of notes that do not overlap, and their score."""
    grid = NoteGrid(12, 60, 71, (1, 2), tempo_bpm)
    rng = np.random.default_rng(seed)
    amounts, notes = torch.zeros(1, CELLS, grid.keys, 2, dtype=dtype), []
    for cell in range(0, CELLS, 2):
        for key in rng.choice(grid.keys, 3, replace=False).tolist():
            duration = int(rng.integers(2))
            amounts[0, cell, key, duration] = 1
            notes.append((12 * cell, 12 * grid.durations[duration], 60 + key, VELOCITY))
    score = Score(notes, 24, 3, tempo_bpm, 72)
    samples = note_bank(SAMPLE_RATE).render([score]).shape[1]
    return NoteBankLayer(grid, CELLS, samples, dtype=dtype), amounts, score


@pytest.mark.parametrize("seed", range(3))
def test_sound_of_zeros_and_ones_is_that_of_the_score(seed: int) -> None:
    layer, amounts, score = made(125, seed)  # a cell of 125 bpm has 60 blocks
    np.testing.assert_allclose(layer(amounts), note_bank(SAMPLE_RATE).render([score]), atol=1e-5)


def test_at_any_tempo_releases_are_at_most_a_block_away() -> None:
    layer, amounts, score = made(120, 0)
    sound, expected = layer(amounts).numpy()[0], note_bank(SAMPLE_RATE).render([score])[0]
    assert np.square(sound - expected).sum() < 1e-3 * np.square(expected).sum()


def test_has_the_gradient_of_finite_differences() -> None:
    grid = NoteGrid(12, 60, 62, (1, 2), 240)
    layer = NoteBankLayer(grid, 2, 3000, 100, torch.float64)
    amounts = torch.rand(1, 2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(layer, amounts.requires_grad_(), fast_mode=True)


def test_is_linear() -> None:
    layer, one, _ = made(120, 0)
    _, other, _ = made(120, 1)
    torch.testing.assert_close(layer(0.5 * one + 2 * other), 0.5 * layer(one) + 2 * layer(other))


def test_what_begins_after_the_end_is_silent() -> None:
    layer = NoteBankLayer(NoteGrid(12, 60, 71, (1, 2)), 8, 10_000)
    amounts = torch.zeros(1, 8, 12, 2)
    amounts[:, 6:] = 1
    amounts.requires_grad_()
    sound = layer(amounts)
    assert not sound.any()
    sound.sum().backward()
    assert amounts.grad is not None
    assert not amounts.grad[:, 6:].any()
