import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.score import Score
from toccata.reward_models.realism.roll_windows import (
    FRAMES,
    OFF_GRID_ONSET,
    ONSET,
    SOUNDING,
    covering_windows,
    random_windows,
    window_start_ticks,
)

BAR = 96


def test_channels_are_sounding_keys_and_onsets_on_and_off_the_grid() -> None:
    windows = covering_windows([Score([(0, 3, 21, 80), (7, 2, 108, 1)], length_ticks=BAR)])
    assert windows.rolls.shape == (1, 3, FRAMES, 88)
    assert windows.frames.tolist() == [32]
    rolls = windows.rolls[0]
    assert rolls[ONSET, 0, 0] == 1
    assert rolls[SOUNDING, 0, 0] == 1
    assert rolls[OFF_GRID_ONSET, 2, 87] == 1  # tick 7 is between the frames of 6 and 9
    assert rolls[SOUNDING, 2, 87] == pytest.approx(2 / 3)
    assert rolls.sum() == pytest.approx(3 + 2 / 3)


@pytest.mark.parametrize(
    ("bars", "beats_per_bar", "starts"),
    [
        (1, 4, [0]),
        (4, 4, [0]),
        (5, 4, [0, 96]),
        (8, 4, [0, 192, 384]),
        (8, 3, [0, 216]),
        (1, 40, [0, 192, 384, 576]),  # a bar longer than a window
        (0, 4, [0]),
    ],
)
def test_windows_begin_at_bar_lines_and_cover_the_piece(bars: int, beats_per_bar: int, starts: list) -> None:
    score = Score(beats_per_bar=beats_per_bar, length_ticks=bars * beats_per_bar * 24)
    assert window_start_ticks(score) == starts


def test_another_tick_grid_gives_equal_windows() -> None:
    fine = Score([(480, 480, 60, 80)], ticks_per_beat=480, length_ticks=1920)
    coarse = Score([(24, 24, 60, 80)], length_ticks=96)
    np.testing.assert_array_equal(covering_windows([fine]).rolls, covering_windows([coarse]).rolls)
    assert covering_windows([fine]).frames == covering_windows([coarse]).frames


def test_random_windows_are_transposed_and_reproducible() -> None:
    scores = [Score([(0, 24, 60, 80)], length_ticks=384)]
    first = random_windows(scores, 50, np.random.default_rng(1))
    second = random_windows(scores, 50, np.random.default_rng(1))
    np.testing.assert_array_equal(first.rolls, second.rolls)
    keys = first.rolls[:, ONSET, 0].argmax(1) + 21
    assert set(keys.tolist()) == set(range(54, 66))


rows = st.tuples(st.integers(0, 900), st.integers(1, 200), st.integers(0, 127), st.integers(1, 127))


@settings(max_examples=25)
@given(st.lists(rows, max_size=40), st.sampled_from([1, 7, 24, 480]), st.sampled_from([1, 3, 4, 7, 50]))
def test_every_score_gives_windows_in_range(notes: list, ticks_per_beat: int, beats_per_bar: int) -> None:
    windows = covering_windows([Score(notes, ticks_per_beat, beats_per_bar)])
    assert windows.rolls.min() >= 0
    assert windows.rolls.max() <= 1
    assert ((windows.frames >= 1) & (windows.frames <= FRAMES)).all()
    padding = np.arange(FRAMES) >= windows.frames.numpy()[:, None]
    assert not windows.rolls.numpy().any(axis=(1, 3))[padding].any()
