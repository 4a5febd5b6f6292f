"""Agreement of predictions with targets on known cases: correlations, intervals, calibration, the noise ceiling."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from toccata.music.score import Score
from toccata.reward_models.preferences import Preference
from toccata.reward_models.rating.fitting.agreement import (
    agreement,
    calibration,
    noise_ceiling,
    ridge,
)
from toccata.stats import spearman

A = np.arange(20.0)


def preferences(likes, plays):
    tune = Score([(0, 24, 60, 80)])
    return [Preference(str(i), p, k, score=tune) for i, (k, p) in enumerate(zip(likes, plays, strict=True))]


def test_rank_correlation_of_known_orders():
    assert spearman(A, A**3) == pytest.approx(1)
    assert spearman(A, -A) == pytest.approx(-1)
    assert spearman(A, np.ones(20)) == 0
    assert spearman(np.ones(20), np.ones(20)) == 0
    assert spearman(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(0.5)


@given(st.integers(0, 1000), st.integers(3, 50))
def test_rank_correlation_is_that_of_scipy(seed, n):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 9, n).astype(float), rng.normal(size=n)
    assume(np.ptp(a) > 0)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_correlation_is_that_of_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 50)) + np.linspace(0, 1, 50)
    result = agreement(a.astype(np.float32), b.astype(np.float32), [str(i) for i in range(50)])
    assert result.correlation == pytest.approx(pearsonr(a, b).statistic, abs=1e-5)
    assert result.mean_squared_error == pytest.approx(np.mean((a - b) ** 2), rel=1e-5)


def test_perfect_predictions():
    result = agreement(A, A, [str(i) for i in range(20)])
    assert (result.rank_correlation, result.correlation) == pytest.approx((1, 1))
    assert result.interval == pytest.approx((1, 1))
    assert result.mean_squared_error == 0
    assert result.pieces == 20


def test_constant_predictions():
    result = agreement(np.zeros(20, np.float32), A - A.mean(), [str(i) for i in range(20)])
    assert result.rank_correlation == result.correlation == 0 and result.interval == (0, 0)
    assert result.mean_squared_error == pytest.approx(A.var())


def test_the_interval_is_that_of_a_cluster_bootstrap():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=400)
    predictions = targets + rng.normal(size=400)
    single = agreement(predictions, targets, [str(i) for i in range(400)])
    low, high = single.interval
    assert low < single.rank_correlation < high
    assert 0.05 < high - low < 0.2  # about 4 * (1 - r^2) / sqrt(n)
    # Ten copies of each piece add no information: the interval is as wide as for forty pieces.
    few, copies = slice(0, 40), np.repeat(np.arange(40), 10)
    clustered = agreement(predictions[copies], targets[copies], [str(i) for i in copies])
    once = agreement(predictions[few], targets[few], [str(i) for i in range(40)])
    assert np.diff(clustered.interval) == pytest.approx(np.diff(once.interval), rel=0.25)
    unclustered = agreement(predictions[copies], targets[copies], [str(i) for i in range(400)])
    assert np.diff(clustered.interval) > 2 * np.diff(unclustered.interval)


def test_a_single_group():
    assert agreement(A, A, ["a"] * 20).interval == pytest.approx((1, 1))
    assert agreement(A[:1], A[:1], ["a"]).rank_correlation == 0


def test_equal_seeds_give_equal_intervals():
    noisy = A + np.random.default_rng(0).normal(0, 5, 20)
    groups = [str(i) for i in range(20)]
    assert agreement(noisy, A, groups, 3) == agreement(noisy, A, groups, 3)


def test_ridge_fits_a_linear_function():
    x = np.random.default_rng(0).normal(size=(400, 2))
    np.testing.assert_allclose(ridge(x, x @ [1, 2] + 3, np.array([[1.0, 1.0], [0.0, 0.0]])), [6, 3], atol=0.2)
    constant = np.column_stack([x, np.ones(400)])
    assert np.isfinite(ridge(constant, x[:, 0], constant)).all()


# Calibration


def test_calibration_by_deciles():
    predicted = np.random.default_rng(0).permutation(100) / 100
    rows = calibration(predicted, 2 * predicted)
    assert [row["pieces"] for row in rows] == [10] * 10
    np.testing.assert_allclose([row["predicted"] for row in rows], np.arange(0.045, 1, 0.1))
    np.testing.assert_allclose([row["observed"] for row in rows], 2 * np.arange(0.045, 1, 0.1))


@pytest.mark.parametrize("pieces", [1, 3, 9, 10, 11, 25])
def test_calibration_of_few_pieces(pieces):
    rows = calibration(np.arange(pieces)[::-1], np.arange(pieces))
    assert len(rows) == min(10, pieces) and sum(row["pieces"] for row in rows) == pieces
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert rows[0]["observed"] >= rows[-1]["observed"]


# Noise ceiling


def test_large_counts_have_a_high_ceiling():
    rng = np.random.default_rng(0)
    plays = np.full(200, 1_000_000)
    likes = (plays * rng.uniform(0.01, 0.1, 200)).astype(int)
    assert noise_ceiling(preferences(likes, plays)) > 0.99


def test_counts_of_equal_like_rates_have_a_low_ceiling():
    rng = np.random.default_rng(0)
    plays = np.full(2_000, 100)
    equal = noise_ceiling(preferences(rng.binomial(100, 0.1, 2_000), plays))
    assert 0.5 < equal < 0.8  # not 0, because new counts have the observed rates, not the true ones
    assert noise_ceiling(preferences(rng.binomial(100, rng.uniform(0.01, 0.4, 2_000)), plays)) > equal + 0.1


def test_the_ceiling_of_counts_without_likes():
    sessions = np.random.default_rng(0).geometric(0.02, 500)
    assert 0.9 < noise_ceiling(preferences(sessions, sessions)) < 1


def test_the_ceiling_is_finite_for_extreme_counts():
    assert -1 <= noise_ceiling(preferences([0, 0.5, 1, 7], [0.5, 0.5, 1, 1e9])) <= 1
    assert noise_ceiling(preferences([0, 0, 0], [1, 2, 3])) == 0
