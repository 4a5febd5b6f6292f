"""The fit of popularity heads: known functions, early stopping, reproducibility, and the splits of an ensemble."""

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, score_windows
from toccata.reward_models.rating.fitting import heads
from toccata.reward_models.rating.fitting.agreement import FEATURES, note_features
from toccata.reward_models.rating.fitting.features import PieceFeatures
from toccata.reward_models.rating.fitting.heads import fit_ensemble, fit_head
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.fitting.transcription import key_targets
from toccata.reward_models.rating.melody_statistics import N_STATISTICS, melody_statistics
from toccata.reward_models.rating.network import NOISE_RATING, POOL_FRAMES, RatingConfig, RatingMember
from toccata.stats import spearman

STEPS = WINDOW_FRAMES // POOL_FRAMES
CONFIG = RatingConfig(bins=8, channels=4, sound_channels=8, hidden=32)
TINY = RatingConfig(bins=2, channels=2, sound_channels=2, hidden=8, members=3)
TRAIN, VALID, TEST = np.arange(200), np.arange(200, 230), np.arange(230, 300)


def standardised(values):
    return torch.from_numpy(((values - values.mean()) / values.std()).astype(np.float32))


def one_window_features(melody=None, pooled=None, mels=128):
    """Features of pieces of one window, not augmented; zeros for what is not given."""
    n = len(melody if melody is not None else pooled)
    return PieceFeatures(
        (melody if melody is not None else torch.zeros(n, N_STATISTICS))[None],
        pooled if pooled is not None else torch.zeros(n, mels, STEPS, dtype=torch.float16),
        torch.full((n,), WINDOW_FRAMES),
        np.arange(n)[:, None],
        np.ones((n, 1), np.int64),
    )


# Known functions


def test_a_function_of_the_melody_is_fitted():
    """Popularity is the share of repeated notes, and the transcription is exact."""
    rng = np.random.default_rng(0)
    tunes = [random_melody(rng) for _ in range(300)]
    p = np.array([note_features(tune)[FEATURES.index("share_of_repeats")] for tune in tunes])
    keys = torch.from_numpy(key_targets([score_windows(tune)[0] for tune in tunes]))
    features = one_window_features(melody=melody_statistics(keys))
    negatives = one_window_features(melody=torch.zeros(5, N_STATISTICS))
    member, curve = fit_head(
        RatingMember(CONFIG), 0, features, negatives, standardised(p), TRAIN, VALID, epochs=15, seed=0
    )
    assert spearman(features.piece_ratings(member, 0, TEST), p[TEST]) > 0.8
    negative_ratings = negatives.piece_ratings(member, 0, np.arange(5))
    assert features.piece_ratings(member, 0, TRAIN).mean() > negative_ratings.mean() + 0.5
    assert curve[-1]["train_mse"] < curve[0]["train_mse"]


@pytest.mark.parametrize("function", ["loudness", "brightness", "rhythm"])
def test_a_function_of_the_sound_is_fitted(function):
    """Popularity is the loudness or brightness of a recording, or the depth of its modulation."""
    rng = np.random.default_rng(0)
    p = rng.random(300).astype(np.float32)
    pooled = rng.normal(0, 0.3, (300, 128, STEPS)).astype(np.float32)
    if function == "loudness":
        pooled += p[:, None, None]
    elif function == "brightness":
        pooled += (p[:, None] * np.linspace(-1, 1, 128))[:, :, None]
    else:
        pooled += p[:, None, None] * np.where(np.arange(STEPS) % 4 < 2, 1, -1)
    features = one_window_features(pooled=torch.from_numpy(pooled).half())
    negatives = one_window_features(pooled=torch.full((5, 128, STEPS), -4.0, dtype=torch.float16))
    member, _ = fit_head(RatingMember(CONFIG), 0, features, negatives, standardised(p), TRAIN, VALID, epochs=15, seed=0)
    assert spearman(features.piece_ratings(member, 0, TEST), p[TEST]) > 0.8


# Heads


def random_data(n=60, seed=0):
    """Features, features of negatives, and targets that do not depend on the features."""
    rng = np.random.default_rng(seed)
    features = one_window_features(melody=torch.from_numpy(rng.random((n, N_STATISTICS)).astype(np.float32)))
    return features, one_window_features(melody=torch.zeros(3, N_STATISTICS)), standardised(rng.normal(size=n))


def test_the_best_epoch_is_kept_and_the_transcriber_is_not_changed():
    features, negatives, targets = random_data()
    pretrained = RatingMember(TINY)
    with torch.no_grad():
        pretrained.mel_mean.fill_(-7)
    before = {name: value.clone() for name, value in pretrained.state_dict().items()}
    train, valid = np.arange(40), np.arange(40, 60)
    member, curve = fit_head(pretrained, 0, features, negatives, targets, train, valid, epochs=12, seed=3)
    mse = float(np.mean((features.piece_ratings(member, 0, valid) - targets[valid].numpy()) ** 2))
    assert len(curve) == 12
    assert mse == pytest.approx(min(epoch["valid_mse"] for epoch in curve), abs=float32_rounding(2 * len(valid)))
    assert mse < curve[-1]["valid_mse"]  # later epochs overfit
    assert not member.training
    for name, value in pretrained.state_dict().items():
        assert torch.equal(value, before[name])
    for name, value in member.transcriber_state().items():
        assert torch.equal(value, before[name])


def test_edges_are_quantiles_of_the_training_pieces():
    features, negatives, targets = random_data()
    features.melody[0, 40:] = 99  # validation pieces
    member, _ = fit_head(RatingMember(TINY), 0, features, negatives, targets, np.arange(40), np.arange(40, 60), 1, 0)
    edges = member.head.edges
    assert edges.max() <= 1
    assert (edges.diff(dim=1) >= 0).all()
    np.testing.assert_allclose(edges[:, 0], features.melody[0, :40].amin(0), atol=0.1)


def test_equal_seeds_give_equal_members():
    features, negatives, targets = random_data()

    def fitted(seed):
        member, curve = fit_head(
            RatingMember(TINY), 0, features, negatives, targets, np.arange(40), np.arange(40, 60), 2, seed
        )
        return torch.cat([value.flatten() for value in member.head.state_dict().values()]), curve

    assert torch.equal(fitted(0)[0], fitted(0)[0]) and fitted(0)[1] == fitted(0)[1]
    assert not torch.equal(fitted(0)[0], fitted(1)[0])


def test_negatives_have_low_ratings():
    features, negatives, targets = random_data()
    features.melody[0] += 1
    member, _ = fit_head(RatingMember(CONFIG), 0, features, negatives, targets, np.arange(60), np.arange(60), 20, 0)
    ratings = negatives.piece_ratings(member, 0, np.arange(3))
    assert ratings.max() < features.piece_ratings(member, 0, np.arange(60)).mean() - 1
    assert ratings.min() > NOISE_RATING - 1


# Ensemble


@pytest.fixture
def fits(monkeypatch):
    """(member index, training pieces, validation pieces, seed) of each call of `fit_head`, which is replaced."""
    calls = []

    def fit(pretrained, index, features, negatives, targets, train, valid, epochs, seed, votes=None, pair_weight=1.0):
        calls.append((index, train, valid, seed))
        return pretrained, [{"train_mse": 1.0, "valid_mse": 1.0}]

    monkeypatch.setattr(heads, "fit_head", fit)
    return calls


def fit_three_members(groups, train, valid):
    calls = []
    pretrained = [RatingMember(TINY) for _ in range(3)]
    result = fit_ensemble(pretrained, None, None, groups, None, train, valid, 1, 0, lambda: calls.append(1))
    assert len(calls) == len(result[0]) == len(result[1]) == 3


def test_members_have_disjoint_validation_groups(fits):
    groups = [f"group {index // 2}" for index in range(60)]
    fit_three_members(groups, np.arange(10, 60), np.arange(0))
    valids = [set(valid.tolist()) for _, _, valid, _ in fits]
    assert [index for index, *_ in fits] == [0, 1, 2] and len({seed for *_, seed in fits}) == 3
    assert not valids[0] & valids[1] and not valids[1] & valids[2] and not valids[0] & valids[2]
    for _, train, valid, _ in fits:
        assert sorted([*train, *valid]) == list(range(10, 60)) and 4 <= len(valid) <= 6
        assert not {groups[i] for i in train} & {groups[i] for i in valid}


def test_a_validation_split_is_used_by_all_members(fits):
    fit_three_members([str(index) for index in range(40)], np.arange(30), np.arange(30, 35))
    for _, train, valid, _ in fits:
        np.testing.assert_array_equal(train, np.arange(30))
        np.testing.assert_array_equal(valid, np.arange(30, 35))


def test_a_single_group_is_used_for_training_and_validation(fits):
    fit_three_members(["one"] * 12, np.arange(12), np.arange(0))
    for _, train, valid, _ in fits:
        assert len(train) == len(valid) == 12
