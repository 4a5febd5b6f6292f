import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.score import Score
from toccata.music.songs.metrical import STRONG, metrical_weight


@pytest.mark.parametrize(
    ("beats_per_bar", "signatures", "ticks", "weights"),
    [
        (4, (), [0, 24, 48, 72, 96, 12, 6], [1, 0.5, 0.75, 0.5, 1, 0, 0]),
        (3, (), [0, 24, 48, 72, 12], [1, 0.5, 0.5, 1, 0]),
        (2, (), [0, 24, 12, 48], [1, 0.5, 0, 1]),
        (None, ((0, 6, 8),), [0, 12, 24, 36, 48, 72], [1, 0.25, 0.25, 0.5, 0.25, 1]),
        (None, ((0, 4, 4), (96, 3, 4)), [48, 96, 120, 144, 168], [0.75, 1, 0.5, 0.5, 1]),
    ],
)
def test_the_weights_of_the_positions_of_a_bar(
    beats_per_bar: float | None, signatures: tuple, ticks: list[int], weights: list[float]
) -> None:
    score = Score(beats_per_bar=beats_per_bar, time_signatures=signatures, length_ticks=384)
    np.testing.assert_array_equal(metrical_weight(score, np.array(ticks)), weights)


def test_a_bar_without_a_signature_has_its_beginning_and_its_quarters() -> None:
    score = Score(ticks_per_beat=7, beats_per_bar=15 / 7, length_ticks=60)
    np.testing.assert_array_equal(metrical_weight(score, np.array([0, 7, 14, 15, 3])), [1, 0.5, 0.5, 1, 0])


def test_another_grid_has_the_same_weights() -> None:
    ticks = np.arange(0, 8 * 48, 4)
    fine = metrical_weight(Score(ticks_per_beat=48, length_ticks=400), ticks)
    np.testing.assert_array_equal(fine[::6], metrical_weight(Score(length_ticks=200), ticks[::6] // 2))


def test_an_empty_score_has_no_weights_of_anything() -> None:
    np.testing.assert_array_equal(metrical_weight(Score(), np.array([], int)), [])
    np.testing.assert_array_equal(metrical_weight(Score(), np.array([0, 24])), [0, 0])


@given(st.integers(0, 2000), st.sampled_from([1.5, 2, 3, 3.5, 4, 5, 6]))
def test_weights_are_in_range_and_periodic(tick: int, beats: float) -> None:
    score = Score(beats_per_bar=beats, length_ticks=4000)
    here, later = metrical_weight(score, np.array([tick, tick + score.ticks_per_bar]))
    assert 0 <= here <= 1
    assert here == later
    assert (here >= STRONG) >= (tick % score.ticks_per_bar == 0)
