"""Overlapping area and KL divergence on distributions with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gaussian_kde

from toccata.music.metrics.sets import Overlap, overlap


def normal(count: int, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, count)


def test_the_same_distribution_overlaps_and_another_does_not() -> None:
    same = overlap(normal(400, seed=1), normal(400, seed=2))
    assert same.area > 0.9
    assert same.divergence < 0.02
    far = overlap(normal(400, mean=100, seed=1), normal(400, seed=2))
    assert far.area < 0.01
    assert 5 < far.divergence < 25, "bounded by the floor of the densities"
    nearer = [overlap(normal(200, mean=mean), normal(200, seed=1)) for mean in (0, 1, 2, 4)]
    assert [each.area for each in nearer] == sorted((each.area for each in nearer), reverse=True)
    assert [each.divergence for each in nearer] == sorted(each.divergence for each in nearer)


def test_the_area_is_that_of_the_densities() -> None:
    # Of the 5050 distances of 51 real pieces at 0 and 50 at 1, 51 x 50 are 1. The 50 pieces at 0 have as many
    # distances, of which 50 x 50 are 1: the areas differ by 50 of 5050.
    real = np.repeat([0.0, 1.0], (51, 50))
    near = overlap(np.zeros(50), real)
    assert near.area == pytest.approx(1 - 50 / 5050, abs=0.002)
    # pieces at 1/2 have distance 1/2 from all others, and no real pieces have that
    assert overlap(np.full(10, 0.5), real).area < 0.3


def test_constant_features_are_equal_or_disjoint() -> None:
    assert overlap(np.full(5, 7.0), np.full(9, 7.0)) == Overlap(1.0, 0.0)
    other = overlap(np.full(5, 8.0), np.full(9, 7.0))
    assert other.area == pytest.approx(0, abs=1e-6)
    assert np.isfinite(other.divergence)


def test_sets_that_are_too_small() -> None:
    assert overlap(np.empty(0), normal(5)) == overlap(normal(5), normal(1)) == Overlap(0.0, 0.0)
    assert np.isfinite(overlap(normal(1), normal(2))).all()


VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12)


@given(VALUES, VALUES, st.sampled_from([1.0, -1.0, 1024.0]))
def test_ranges_and_units(values: list[float], real: list[float], unit: float) -> None:
    result = overlap(np.array(values), np.array(real))
    assert 0 <= result.area <= 1
    assert 0 <= result.divergence < 40
    assert overlap(unit * np.array(values), unit * np.array(real)) == pytest.approx(result, rel=1e-6, abs=1e-9)


def test_the_densities_are_those_of_scipy() -> None:
    values, real = normal(40, mean=0.5, seed=1), normal(50, seed=2)
    intra = np.concatenate([real[i] - real[i + 1 :] for i in range(len(real))])
    inter = np.subtract.outer(values, real).ravel()
    grid = np.linspace(-3, 12, 6000)
    within, between = (gaussian_kde(np.abs(each))(grid) for each in (intra, inter))
    step = grid[1] - grid[0]
    result = overlap(values, real)
    assert result.area == pytest.approx(np.minimum(within, between).sum() * step, abs=0.01)
    some = (within > 1e-30) & (between > 1e-30)
    divergence = (between[some] * np.log(between[some] / within[some])).sum() * step
    assert result.divergence == pytest.approx(divergence, abs=0.01)
