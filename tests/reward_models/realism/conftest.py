"""A randomly initialised discriminator, small batches, and the two kinds of pieces that it is trained on."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from toccata.music.score import Score
from toccata.reward_models.realism import model
from toccata.reward_models.realism.model import Realism

BAR = 96


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(model, "BATCH", 16)


@pytest.fixture
def random_realism() -> Callable[..., Realism]:
    """Returns randomly initialised models: `random_realism(seed)`."""

    def build(seed: int = 0) -> Realism:
        torch.manual_seed(seed)
        return Realism()

    return build


@pytest.fixture
def stepwise_piece() -> Callable[..., Score]:
    """Returns stepwise lines in C major, in place of human-written pieces: `stepwise_piece(rng, bars)`."""

    def build(rng: np.random.Generator, bars: int = 8) -> Score:
        steps = np.cumsum(rng.choice([-1, 1], 4 * bars)) % 14
        pitches = 60 + 12 * (steps // 7) + np.array([0, 2, 4, 5, 7, 9, 11])[steps % 7]
        return Score([(24 * i, 24, int(pitch), 80) for i, pitch in enumerate(pitches)])

    return build


@pytest.fixture
def random_piece() -> Callable[..., Score]:
    """Returns random notes, in place of the agent's pieces: `random_piece(rng, bars)`."""

    def build(rng: np.random.Generator, bars: int = 8) -> Score:
        count = 6 * bars
        onsets, durations = rng.integers(0, bars * BAR - 24, count), rng.integers(1, 24, count)
        pitches = rng.integers(21, 108, count)
        rows = zip(onsets.tolist(), durations.tolist(), pitches.tolist(), strict=True)
        return Score([(*row, 80) for row in rows], length_ticks=bars * BAR)

    return build
