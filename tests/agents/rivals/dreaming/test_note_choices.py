from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from toccata.agents.rivals.dreaming.note_choices import (
    CHOICES,
    DURATIONS,
    HIGHEST,
    LOWEST,
    VOICES,
    amounts_of,
    choices_of,
    real_amounts,
    roll_windows_of,
    scores_of,
)
from toccata.music.score import Score
from toccata.reward_models.realism.roll_windows import Crops


def empty(cells: int) -> Score:
    return Score((), length_ticks=12 * cells)


@st.composite
def playable(draw: st.DrawFn) -> np.ndarray:
    """(1, voices, cells) choices of which no key is struck while it is down, and no note ends after the piece."""
    cells = draw(st.integers(1, 40))
    choices = np.zeros((1, len(VOICES), cells), np.int64)
    for voice in range(len(VOICES)):
        free = np.zeros(CHOICES, np.int64)  # cell from which each key can be struck
        for cell in range(cells):
            choice = draw(st.integers(0, CHOICES - 1))
            key, duration = divmod(choice - 1, len(DURATIONS))
            ends = cell + DURATIONS[duration]
            if choice and free[key] <= cell and ends <= cells:
                choices[0, voice, cell], free[key] = choice, ends
    return choices


@given(playable())
def test_choices_of_a_score_are_those_it_was_made_of(choices: np.ndarray) -> None:
    (score,) = scores_of(choices, empty(choices.shape[2]))
    np.testing.assert_array_equal(choices_of(score, choices.shape[2]), choices[0])


def test_known_notes() -> None:
    choices = np.zeros((1, 2, 4), np.int64)
    choices[0, 0, 0] = 1  # the lowest key of the lower voice, an eighth
    choices[0, 1, 2] = CHOICES - 1  # the highest of the upper voice, a half, cut by the end
    (score,) = scores_of(choices, empty(4))
    assert score.notes.tolist() == [(0, 12, LOWEST, 80), (24, 24, HIGHEST, 80)]
    assert score.length_ticks == 48


def test_other_music_goes_to_the_nearest_choices() -> None:
    score = Score([(1, 30, 20, 80), (23, 5, 100, 60), (23, 40, 60, 60), (60, 12, 72, 80)], length_ticks=96)
    (nearest,) = scores_of(choices_of(score, 4)[None], empty(8))  # the last note is after the cells
    assert nearest.notes["pitch"].tolist() == [44, 76]  # 20 and 100 in the nearest octaves; 60 is an inner note
    assert nearest.notes["onset_tick"].tolist() == [0, 24]
    assert nearest.notes["duration_ticks"].tolist() == [24, 12]


@pytest.mark.parametrize("cells", [5, 32, 64])
def test_rolls_are_those_of_the_score(cells: int) -> None:
    rng = np.random.default_rng(cells)
    choices = np.where(rng.random((2, 2, cells)) < 0.4, rng.integers(1, CHOICES, (2, 2, cells)), 0)
    scores = scores_of(choices, empty(cells))
    windows = roll_windows_of(real_amounts(scores, cells))
    count = len(windows.frames) // 2
    starts = np.tile(np.arange(count) * 384, 2)
    expected = Crops(scores, np.repeat([0, 1], count), starts).draw()
    torch.testing.assert_close(windows.frames, expected.frames)
    torch.testing.assert_close(windows.rolls, expected.rolls)


def test_amounts_are_the_probabilities_without_rests() -> None:
    choices = torch.tensor([[[0, 5], [1, 0]]])
    amounts = amounts_of(functional.one_hot(choices, CHOICES).float())
    assert amounts.shape == (1, 2, HIGHEST - LOWEST + 1, len(DURATIONS))
    assert amounts.nonzero().tolist() == [[0, 0, 24, 0], [0, 1, 1, 1]]
