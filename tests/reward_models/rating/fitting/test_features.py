"""Features of pieces: augmented copies, windows, random samples, and ratings of whole pieces."""

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.music.score import Score
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import HOP, SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import audio_window_mels, score_window_mels, score_windows
from toccata.reward_models.rating.fitting import features
from toccata.reward_models.rating.fitting.features import MAX_WINDOWS, augmented_mels, extract_features
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.melody_statistics import KEYS, N_STATISTICS

BANK = note_bank(SAMPLE_RATE)

# Augmented copies


def test_the_first_copy_is_not_augmented():
    score = parse_melody("C4 E4 G4 C5")
    first, *others = augmented_mels(score, 3, [BANK], np.random.default_rng(0))
    np.testing.assert_array_equal(first[0], score_window_mels(score_windows(score))[0])
    assert len(others) == 3 and len({float(mels.sum()) for mels, _ in (first, *others)}) == 4
    audio = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    first, *others = augmented_mels(audio, 3, [BANK], np.random.default_rng(0))
    np.testing.assert_array_equal(first[0], audio_window_mels(audio)[0])
    assert len(others) == 3 and len({float(mels.sum()) for mels, _ in (first, *others)}) == 4


@pytest.mark.parametrize("piece", [Score(), Score(length_ticks=96), np.zeros(1, np.float32), np.zeros(99, np.float32)])
def test_degenerate_pieces_have_copies(piece):
    for mels, valid in augmented_mels(piece, 5, [BANK], np.random.default_rng(0)):
        assert len(mels) == len(valid) >= 1 and np.isfinite(mels).all() and (valid >= 1).all()


def test_long_pieces_are_cut_to_their_middle():
    score = random_melody(np.random.default_rng(0), bars=60)
    mels, valid = augmented_mels(score, 0, [BANK], np.random.default_rng(0))[0]
    all_mels, _ = score_window_mels(score_windows(score))
    assert len(mels) == len(valid) == MAX_WINDOWS
    start = (len(all_mels) - MAX_WINDOWS) // 2
    np.testing.assert_array_equal(mels, all_mels[start : start + MAX_WINDOWS])
    audio = np.zeros(130 * SAMPLE_RATE, np.float32)
    assert {len(valid) for _, valid in augmented_mels(audio, 2, [BANK], np.random.default_rng(0))} == {MAX_WINDOWS}


def test_recordings_are_stretched():
    audio = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    frames = {int(valid[0]) for _, valid in augmented_mels(audio, 40, [BANK], np.random.default_rng(0))}
    assert frames <= {1 + len(audio) // round(HOP * ratio) for ratio in features.TEMPO_RATIOS} and len(frames) > 2


# Features


@pytest.fixture
def extracted(small_member):
    """Two members, the copies of five pieces, and their features.

    The pieces are noise: in the equal frames of held notes networks that are not fitted have equal probabilities of an
    onset, and which of them is the local maximum is up to rounding.
    """
    members = [small_member(0), small_member(1)]
    noise = np.random.default_rng(0).normal(0, 0.1, 14 * SAMPLE_RATE).astype(np.float32)
    pieces = [noise[: seconds * SAMPLE_RATE] for seconds in (4, 14, 2, 8, 4)]
    copies = [augmented_mels(piece, 2, [BANK], np.random.default_rng(seed)) for seed, piece in enumerate(pieces)]
    return members, copies, extract_features(members, iter(copies))


@pytest.mark.parametrize("windows_per_pass", [1, 3, 64])
def test_features_of_every_window(extracted, monkeypatch, windows_per_pass):
    members, copies, _ = extracted
    monkeypatch.setattr(features, "WINDOWS_PER_PASS", windows_per_pass)
    result = extract_features(members, iter(copies))
    assert result.first.shape == result.count.shape == (5, 3)
    assert result.melody.shape == (2, int(result.count.sum()), N_STATISTICS)
    for piece, copy in ((0, 0), (1, 2), (4, 1)):
        mels, valid = copies[piece][copy]
        window = slice(result.first[piece, copy], result.first[piece, copy] + result.count[piece, copy])
        for index, member in enumerate(members):
            with torch.no_grad():
                melody, pooled = member.extract(torch.from_numpy(mels), torch.from_numpy(valid))
            rounding = float32_rounding(2 * KEYS, 16.0)  # of sums over the keys of logarithms
            np.testing.assert_allclose(result.melody[index, window], melody, rtol=0, atol=rounding)
            np.testing.assert_allclose(result.pooled[window].float(), pooled, atol=2e-2)
        np.testing.assert_array_equal(result.valid[window], valid)


def test_samples_are_windows_of_the_given_pieces(extracted):
    _, _, result = extracted
    piece_of_window = np.repeat(np.arange(5), result.count.sum(1))
    rng = np.random.default_rng(0)
    samples = np.array([result.sample(np.arange(5), rng) for _ in range(500)])
    assert (piece_of_window[samples] == np.arange(5)).all()
    assert set(samples.ravel().tolist()) == set(range(int(result.count.sum())))  # every window is sampled


def test_a_piece_rating_is_the_mean_over_the_windows_of_the_first_copy(extracted, monkeypatch):
    members, copies, result = extracted
    for windows_per_pass in (2, 64):
        monkeypatch.setattr(features, "WINDOWS_PER_PASS", windows_per_pass)
        ratings = result.piece_ratings(members[1], 1, np.array([1, 3, 0]))
        for rating, piece in zip(ratings, (1, 3, 0), strict=True):
            mels, valid = copies[piece][0]
            with torch.no_grad():
                expected = members[1](torch.from_numpy(mels), torch.from_numpy(valid))[:, 0]
            assert rating == pytest.approx(float(expected.mean()), abs=2e-3)  # spectrograms are kept in half precision
    assert result.piece_ratings(members[0], 0, np.arange(0)).shape == (0,)
