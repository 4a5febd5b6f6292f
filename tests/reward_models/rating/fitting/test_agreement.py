"""Agreement of predictions with targets and note features on known cases."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from toccata.music.score import Score
from toccata.reward_models.preferences import Preference
from toccata.reward_models.rating.fitting.agreement import (
    FEATURES,
    agreement,
    calibration,
    noise_ceiling,
    note_features,
    ridge,
)
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody, superpose
from toccata.reward_models.rating.fitting.synthetic import NEGATIVES, random_melody
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


# Note features


def named(score):
    return dict(zip(FEATURES, note_features(score), strict=True))


def test_features_of_a_known_melody():
    features = named(parse_melody("C4 C4 D4 F4 C5 C4:3"))
    assert features["log_notes"] == pytest.approx(math.log(6))
    assert features["mean_interval"] == pytest.approx((0 + 2 + 3 + 7 + 12) / 5)
    assert features["greatest_interval"] == 12
    assert features["share_of_steps"] == pytest.approx(2 / 5)
    assert features["share_of_leaps"] == pytest.approx(1 / 5)
    assert features["share_of_repeats"] == pytest.approx(1 / 5)
    assert features["scale_fit"] == pytest.approx(1)
    assert features["mean_duration"] == pytest.approx(4 * 8 / 6)
    assert features["share_of_rests"] == 0
    assert features["range"] == 12
    assert features["share_of_new_pitches"] == pytest.approx(4 / 6)
    assert features["net_rise"] == 0
    assert features["share_of_turns"] == pytest.approx(2 / 4)  # repeat to rise, rise to fall
    assert features["share_on_beat"] == 1
    assert features["last_onset"] == pytest.approx(5 / 8)


def test_entropies_of_known_melodies():
    assert named(parse_melody("C4 C4 C4 C4"))["pitch_class_entropy"] == 0
    assert named(parse_melody("C4 C5 C4 C5"))["pitch_class_entropy"] == 0
    assert named(parse_melody("C4 D4 E4 F4"))["pitch_class_entropy"] == pytest.approx(2)
    assert named(parse_melody("C4 D4 E4 F4"))["rhythm_entropy"] == 0
    assert named(parse_melody("C4:2 D4 E4:2 F4 G4"))["rhythm_entropy"] == pytest.approx(
        1
    )  # gaps of 8, 4, 8, 4 sixteenths


def test_rests_between_notes():
    tune = Score([(0, 24, 60, 80), (96, 24, 62, 80)], length_ticks=192)
    assert named(tune)["share_of_rests"] == pytest.approx(1 - 48 / 192)
    assert named(tune)["last_onset"] == pytest.approx(0.5)


def test_the_melody_is_the_highest_note_of_each_onset():
    tune = parse_melody("C5 D5 E5 C5")
    np.testing.assert_allclose(note_features(superpose(tune, parse_melody("C3 G3 C3 G3"))), note_features(tune))


@given(st.integers(0, 10_000), st.integers(-6, 6), st.floats(40, 300))
def test_features_are_invariant_to_key_and_tempo(seed, semitones, tempo_bpm):
    tune = random_melody(np.random.default_rng(seed))
    changed = replace(tune.transpose(semitones), tempo_bpm=tempo_bpm)
    np.testing.assert_allclose(note_features(changed), note_features(tune), atol=1e-9)


@pytest.mark.parametrize(
    "score",
    [
        Score(),
        Score(length_ticks=9),
        parse_melody("C4"),
        Score([(0, 1, 0, 1), (0, 1, 127, 127)]),
        *(make(np.random.default_rng(0)) for make in NEGATIVES),
    ],
)
def test_features_are_finite_for_degenerate_scores(score):
    features = note_features(score)
    assert features.shape == (len(FEATURES),) and np.isfinite(features).all()
    assert len(score) or not features.any()
