"""Note features: known values, invariances, and finiteness."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.score import Score
from toccata.reward_models.rating.fitting.note_features import FEATURES, note_features
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody, superpose
from toccata.reward_models.rating.fitting.synthetic import NEGATIVES, random_melody


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
