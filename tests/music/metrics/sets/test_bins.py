"""Statistically different bins of known sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.metrics.sets import different_bins

CORNERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def around(counts: list[int], seed: int = 0) -> np.ndarray:
    """As many points near each corner."""
    points = np.repeat(CORNERS, counts, axis=0)
    return points + np.random.default_rng(seed).normal(0, 0.1, points.shape)


def test_known_shares() -> None:
    real = around([25, 25, 25, 25])
    assert different_bins(around([25, 25, 25, 25], seed=1), real, bins=4) == 0
    assert different_bins(around([100, 0, 0, 0]), real, bins=4) == 1, "one kind only: one bin too full, three empty"
    # 25 against 25, 25, 0 and 50 of 100: the standard error of 0.25 - 0 is sqrt(2 x 0.125 x 0.875 / 100) = 0.047, of
    # 0.5 - 0.25 it is sqrt(2 x 0.375 x 0.625 / 100) = 0.068: both differ significantly
    assert different_bins(around([25, 25, 0, 50]), real, bins=4) == 0.5
    # 0.30 - 0.25 and 0.25 - 0.20 are within 1.96 standard errors of 0.063 and 0.059
    assert different_bins(around([25, 25, 30, 20]), real, bins=4) == 0


def test_units_and_constant_features_do_not_matter() -> None:
    real, ours = around([25, 25, 25, 25]), around([50, 25, 25, 0], seed=1)
    units = np.array([1000.0, 0.01])
    expected = different_bins(ours, real, bins=4)
    assert different_bins(ours * units + 5, real * units + 5, bins=4) == expected == 0.5
    constant = [np.column_stack([each, np.full(len(each), 3.0)]) for each in (ours, real)]
    assert different_bins(*constant, bins=4) == expected


def test_degenerate_sets() -> None:
    real = around([25, 25, 25, 25])
    assert different_bins(np.empty((0, 2)), real) == different_bins(real, np.empty((0, 2))) == 0
    assert different_bins(np.ones((5, 2)), np.ones((9, 2))) == 0, "all features are constant: one bin"
    assert 0 <= different_bins(real, np.zeros((1, 2))) <= 1
    assert 0 <= different_bins(CORNERS, CORNERS, bins=20) <= 1, "fewer pieces than bins"


def test_the_same_distribution_differs_in_few_bins() -> None:
    rng = np.random.default_rng(0)
    shares = [different_bins(rng.normal(size=(256, 12)), rng.normal(size=(256, 12)), seed=seed) for seed in range(5)]
    assert np.mean(shares) < 0.25


@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30))
def test_one_seed_gives_one_share(seed: int, ours: int, theirs: int) -> None:
    rng = np.random.default_rng(seed)
    values, real = rng.normal(size=(ours, 3)), rng.normal(size=(theirs, 3))
    share = different_bins(values, real, bins=5, seed=seed)
    assert 0 <= share <= 1
    assert different_bins(values, real, bins=5, seed=seed) == pytest.approx(share)
