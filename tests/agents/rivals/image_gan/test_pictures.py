from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.image_gan import pictures as module
from toccata.agents.rivals.image_gan.pictures import (
    HELD,
    LOWEST,
    ONSET,
    SIZE,
    TICKS_PER_STEP,
    picture_of,
    pictures_per_piece,
    score_of,
    training_pictures,
)
from toccata.music.score import Score

notes = st.tuples(st.integers(0, 95), st.integers(1, 40), st.integers(LOWEST, LOWEST + SIZE - 1))


def on_grid(drawn: list[tuple[int, int, int]], steps: int = 96) -> Score:
    """A score of sixteenths."""
    rows = [
        (onset * TICKS_PER_STEP, min(steps - onset, duration) * TICKS_PER_STEP, pitch, 80)
        for onset, duration, pitch in drawn
    ]
    return Score(rows, length_ticks=steps * TICKS_PER_STEP)


@given(st.lists(notes, max_size=60))
def test_a_score_that_fits_is_read_back(drawn: list[tuple[int, int, int]]) -> None:
    score = on_grid(drawn)
    assert score_of([picture_of(score)], 6, 4, 120) == score


def test_onsets_and_held_notes_differ() -> None:
    repeated = picture_of(on_grid([(0, 2, 60), (2, 2, 60)]))[60 - LOWEST, :5]
    long = picture_of(on_grid([(0, 4, 60)]))[60 - LOWEST, :5]
    assert repeated.tolist() == [ONSET, HELD, ONSET, HELD, 0]
    assert long.tolist() == [ONSET, HELD, HELD, HELD, 0]


def test_what_does_not_fit_is_moved_or_left_out() -> None:
    score = Score([(0, 1, 60, 80), (8, 8, 62, 80), (0, 24, 20, 80), (0, 24, 127, 80)])
    read = score_of([picture_of(score)], 1, 4, 120)
    assert read.notes.tolist() == [(0, 6, 60, 80), (6, 12, 62, 80)]


def test_other_grids_are_read() -> None:
    coarse = Score([(1, 2, 60, 80)], ticks_per_beat=2)
    assert picture_of(coarse)[60 - LOWEST, :7].tolist() == [0, 0, ONSET, HELD, HELD, HELD, 0]


def test_a_picture_may_begin_later() -> None:
    shifted = picture_of(on_grid([(0, 4, 60), (20, 4, 61)]), start_step=16)
    assert np.argwhere(shifted == ONSET).tolist() == [[61 - LOWEST, 4]]


def test_grey_pixels_go_to_the_nearest_level() -> None:
    picture = np.zeros((SIZE, SIZE), np.float32)
    picture[39, :6] = [0.2, 0.3, 0.7, 0.8, 0.3, 0.24]
    assert score_of([picture], 1, 4, 120).notes.tolist() == [(6, 12, 60, 80), (18, 12, 60, 80)]


def test_pieces_are_joined_from_the_whole_bars_of_pictures() -> None:
    assert [pictures_per_piece(bars, 4) for bars in (1, 6, 7, 12, 13)] == [1, 1, 2, 2, 3]
    assert pictures_per_piece(8, 3) == 1
    first, second = picture_of(on_grid([(92, 14, 60)], 106)), picture_of(on_grid([(0, 4, 60)], 106))
    score = score_of([first, second], 7, 4, 90)
    bar = 96
    assert score.length_ticks == 7 * bar
    # the note stops where the second picture begins, which strikes it again
    assert score.notes.tolist() == [(92 * 6, 4 * 6, 60, 80), (6 * bar, 24, 60, 80)]
    held = np.where(first == ONSET, HELD, first)  # without an onset: its first column is one
    assert score_of([held], 6, 4, 90).notes.tolist() == [(92 * 6, 24, 60, 80)]


@pytest.mark.parametrize("beats", [1 / 3, 27])
def test_metres_without_whole_sixteenths_are_refused(beats: float) -> None:
    with pytest.raises(RivalError, match="must make a bar of 1 to 106 sixteenths, a picture's columns, got"):
        pictures_per_piece(8, beats)


def test_training_pictures_begin_at_bar_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    long = on_grid([(0, 20, 60), (16, 4, 64)], 16 * 8)  # eight bars: pictures from bars 1 and 2
    short = on_grid([(0, 4, 72)], 32)
    levels = training_pictures([long, short], rng)
    assert levels.shape == (3, SIZE, SIZE)
    for picture, score, step in zip(levels, (long, long, short), (0, 16, 0), strict=True):
        expected = picture_of(score, step)
        if step:
            assert expected[60 - LOWEST, 0] == HELD  # of a note that began before, which a picture does not show
            expected[60 - LOWEST] = 0
        assert (picture / 2 == expected).all()
    monkeypatch.setattr(module, "MAX_PICTURES", 2)
    assert len(training_pictures([long, short], rng)) == 2
