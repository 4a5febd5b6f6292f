"""Metrics of dynamics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music import Score
from toccata.music.metrics.dynamics import velocity_entropy, velocity_mean, velocity_range

ALL = (velocity_mean, velocity_range, velocity_entropy)


def with_velocities(*velocities: int) -> Score:
    return Score([(24 * i, 24, 60, velocity) for i, velocity in enumerate(velocities)])


def test_known_answers():
    assert [metric(Score()) for metric in ALL] == [0, 0, 0]
    assert [metric(with_velocities(80)) for metric in ALL] == [80, 0, 0]
    assert [metric(with_velocities(80, 80, 80)) for metric in ALL] == [80, 0, 0]
    assert [metric(with_velocities(40, 60, 80, 100)) for metric in ALL] == [70, pytest.approx(54), 2]
    assert velocity_range(with_velocities(*range(1, 102))) == pytest.approx(90)  # percentiles are 6 and 96
    assert velocity_entropy(with_velocities(40, 41, 42, 43)) == 0  # one bin
    assert velocity_entropy(with_velocities(*range(4, 128))) == pytest.approx(4.954, abs=1e-3)  # log2 31


@given(st.lists(st.integers(1, 127), min_size=1, max_size=60))
def test_ranges(velocities):
    mean, spread, entropy = (metric(with_velocities(*velocities)) for metric in ALL)
    assert 1 <= mean <= 127 and 0 <= spread <= 126 and 0 <= entropy <= 5
