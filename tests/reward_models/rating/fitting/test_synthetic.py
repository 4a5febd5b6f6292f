"""Synthetic music: random melodies, negatives and noise are in range, of the named kinds, and reproducible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.fitting.augmentation import HIGHEST, LOWEST
from toccata.reward_models.rating.fitting.synthetic import (
    NEGATIVES,
    TEMPI_BPM,
    TWO_BARS,
    _cluster,
    _one_key,
    _silence,
    noise_audio,
    random_melody,
    random_texture,
    synthetic_negative,
)

SEEDS = st.integers(0, 10_000)


def in_range(score):
    return not len(score) or LOWEST <= score.notes["pitch"].min() <= score.notes["pitch"].max() <= HIGHEST


@given(SEEDS, st.integers(1, 9))
def test_a_random_melody_is_a_single_line_in_range(seed, bars):
    tune = random_melody(np.random.default_rng(seed), bars)
    assert in_range(tune)
    assert tune.length_ticks == 96 * bars
    assert (tune.offset_ticks[:-1] <= tune.notes["onset_tick"][1:]).all()
    assert (tune.notes["onset_tick"] % 6 == 0).all()


def test_random_melodies_are_diverse():
    rng = np.random.default_rng(0)
    tunes = [random_melody(rng) for _ in range(200)]
    assert len(set(tunes)) == 200
    counts = [len(tune) for tune in tunes]
    assert np.percentile(counts, 10) < 8 < 16 < np.percentile(counts, 90)


@settings(max_examples=50)
@given(SEEDS)
def test_negatives_are_two_bars_in_range(seed):
    rng = np.random.default_rng(seed)
    for make in NEGATIVES:
        score = make(rng)
        assert in_range(score) and score.length_ticks == TWO_BARS
    score = synthetic_negative(rng)
    assert in_range(score) and score.length_ticks in (TWO_BARS, 2 * TWO_BARS) and score.tempo_bpm in TEMPI_BPM


def test_each_kind_of_negative():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert not len(_silence(rng))
        assert len(set(_one_key(rng).notes["pitch"].tolist())) == 1
        cluster = _cluster(rng)
        assert np.count_nonzero(cluster.notes["onset_tick"] == 0) >= 12
        assert 1 <= len(random_texture(rng)) <= 300


@pytest.mark.parametrize("seed", range(24))
def test_noise_is_finite_and_in_range(seed):
    sound = noise_audio(np.random.default_rng(seed))
    assert sound.shape == (5 * SAMPLE_RATE,) and sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 1
    assert not sound.any() or np.abs(sound).max() >= 0.0099


def test_equal_seeds_give_equal_pieces():
    for make in (random_melody, synthetic_negative, noise_audio):
        first, second = (make(np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(getattr(first, "notes", first), getattr(second, "notes", second))
