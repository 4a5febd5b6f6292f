"""Fitting members to what people liked: augmented_mels, what is heard of them, and worlds whose rule must be found."""

import numpy as np
import pytest
import torch

from toccata.music.score import Score
from toccata.music.sound.spectrogram import HOP, SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import (
    WINDOW_FRAMES,
    audio_window_mels,
    score_window_mels,
    score_windows,
)
from toccata.reward_models.rating.fitting import features, heads
from toccata.reward_models.rating.fitting.features import MOST_WINDOWS, PieceFeatures, augmented_mels, extract_features
from toccata.reward_models.rating.fitting.heads import NEGATIVE_RATING, fit_ensemble, fit_head
from toccata.reward_models.rating.fitting.note_features import FEATURES, note_features
from toccata.reward_models.rating.fitting.sanity_probes import melody
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.fitting.transcription import key_targets
from toccata.reward_models.rating.melody_statistics import STATISTICS, statistics
from toccata.reward_models.rating.network import COARSE, RatingConfig, RatingMember
from toccata.stats import spearman

STEPS = WINDOW_FRAMES // COARSE


def standardised(values):
    return torch.from_numpy(((values - values.mean()) / values.std()).astype(np.float32))


def known(melody=None, coarse=None, mels=128):
    """PieceFeatures pieces of one window and one rendition each."""
    n = len(melody if melody is not None else coarse)
    return PieceFeatures(
        (melody if melody is not None else torch.zeros(n, STATISTICS))[None],
        coarse if coarse is not None else torch.zeros(n, mels, STEPS, dtype=torch.float16),
        torch.full((n,), WINDOW_FRAMES),
        np.arange(n)[:, None],
        np.ones((n, 1), np.int64),
    )


# Renditions


def test_the_first_rendition_is_the_plain_one():
    score = melody("C4 E4 G4 C5")
    plain, *others = augmented_mels(score, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(plain[0], score_window_mels(score_windows(score))[0])
    assert len(others) == 3 and len({float(mels.sum()) for mels, _ in (plain, *others)}) == 4
    audio = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    plain, *others = augmented_mels(audio, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(plain[0], audio_window_mels(audio)[0])
    assert len(others) == 3 and len({float(mels.sum()) for mels, _ in (plain, *others)}) == 4


@pytest.mark.parametrize("piece", [Score(), Score(length_ticks=96), np.zeros(1, np.float32), np.zeros(99, np.float32)])
def test_anything_has_renditions(piece):
    for mels, valid in augmented_mels(piece, 5, np.random.default_rng(0)):
        assert len(mels) == len(valid) >= 1 and np.isfinite(mels).all() and (valid >= 1).all()


def test_of_long_pieces_the_middle_is_taken():
    score = random_melody(np.random.default_rng(0), bars=60)
    mels, valid = augmented_mels(score, 0, np.random.default_rng(0))[0]
    everything, _ = score_window_mels(score_windows(score))
    assert len(mels) == len(valid) == MOST_WINDOWS
    begin = (len(everything) - MOST_WINDOWS) // 2
    np.testing.assert_array_equal(mels, everything[begin : begin + MOST_WINDOWS])
    audio = np.zeros(130 * SAMPLE_RATE, np.float32)
    assert {len(valid) for _, valid in augmented_mels(audio, 2, np.random.default_rng(0))} == {MOST_WINDOWS}


def test_recordings_are_stretched_and_shifted():
    audio = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    frames = {int(valid[0]) for _, valid in augmented_mels(audio, 40, np.random.default_rng(0))}
    assert frames <= {1 + len(audio) // round(HOP * ratio) for ratio in features.TEMPO_RATIOS} and len(frames) > 2


# What is heard


@pytest.fixture
def heard_tunes(small_member):
    members = [small_member(0), small_member(1)]
    pieces = [random_melody(np.random.default_rng(seed), bars) for seed, bars in enumerate((2, 7, 1, 4, 2))]
    sounds = [augmented_mels(piece, 2, np.random.default_rng(seed)) for seed, piece in enumerate(pieces)]
    return members, sounds, extract_features(members, iter(sounds))


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_every_window_is_found_again(heard_tunes, monkeypatch, at_once):
    members, sounds, _ = heard_tunes
    monkeypatch.setattr(features, "WINDOWS_PER_PASS", at_once)
    heard = extract_features(members, iter(sounds))
    assert heard.first.shape == heard.count.shape == (5, 3)
    assert heard.melody.shape == (2, int(heard.count.sum()), STATISTICS)
    for piece, rendition in ((0, 0), (1, 2), (4, 1)):
        mels, valid = sounds[piece][rendition]
        window = slice(heard.first[piece, rendition], heard.first[piece, rendition] + heard.count[piece, rendition])
        for index, member in enumerate(members):
            with torch.no_grad():
                statistics_alone, coarse = member.extract(torch.from_numpy(mels), torch.from_numpy(valid))
            np.testing.assert_allclose(heard.melody[index, window], statistics_alone, atol=1e-4)
            np.testing.assert_allclose(heard.coarse[window].float(), coarse, atol=2e-2)
        np.testing.assert_array_equal(heard.valid[window], valid)


def test_samples_are_windows_of_the_pieces_asked_for(heard_tunes):
    _, _, heard = heard_tunes
    owner = np.repeat(np.arange(5), heard.count.sum(1))
    rng = np.random.default_rng(0)
    drawn = np.array([heard.sample(np.arange(5), rng) for _ in range(500)])
    assert (owner[drawn] == np.arange(5)).all()
    assert set(drawn.ravel().tolist()) == set(range(int(heard.count.sum())))  # all of them, sooner or later


def test_a_piece_is_rated_by_the_mean_of_its_plain_windows(heard_tunes, monkeypatch):
    members, sounds, heard = heard_tunes
    for at_once in (2, 64):
        monkeypatch.setattr(features, "WINDOWS_PER_PASS", at_once)
        rated = heard.piece_ratings(members[1], 1, np.array([1, 3, 0]))
        for rating, piece in zip(rated, (1, 3, 0), strict=True):
            mels, valid = sounds[piece][0]
            with torch.no_grad():
                judged = members[1](torch.from_numpy(mels), torch.from_numpy(valid))
            assert rating == pytest.approx(float(judged.mean()), abs=2e-3)  # sounds are kept in half precision
    assert heard.piece_ratings(members[0], 0, np.arange(0)).shape == (0,)


# Worlds with a known rule

TASTE = RatingConfig(bins=8, channels=4, sound_channels=8, hidden=32)
TRAIN, VALID, TEST = np.arange(200), np.arange(200, 230), np.arange(230, 300)


def test_a_rule_of_the_melody_is_found():
    """Popularity is the share of repeated notes: heard through exact keys, by melodies not fitted on."""
    rng = np.random.default_rng(0)
    tunes = [random_melody(rng) for _ in range(300)]
    rule = np.array([note_features(tune)[FEATURES.index("share_of_repeats")] for tune in tunes])
    heard = known(melody=statistics(torch.from_numpy(key_targets([score_windows(tune)[0] for tune in tunes]))))
    negatives = known(melody=torch.zeros(5, STATISTICS))
    member, curve = fit_head(
        RatingMember(TASTE), 0, heard, negatives, standardised(rule), TRAIN, VALID, epochs=15, seed=0
    )
    assert spearman(heard.piece_ratings(member, 0, TEST), rule[TEST]) > 0.8
    assert heard.piece_ratings(member, 0, TRAIN).mean() > negatives.piece_ratings(member, 0, np.arange(5)).mean() + 0.5
    assert curve[-1]["train_mse"] < curve[0]["train_mse"]


@pytest.mark.parametrize("rule_of", ["loudness", "brightness", "rhythm"])
def test_a_rule_of_the_sound_is_found(rule_of):
    """Popularity is how loud or bright a recording is, or whether it pulses."""
    rng = np.random.default_rng(0)
    rule = rng.random(300).astype(np.float32)
    coarse = rng.normal(0, 0.3, (300, 128, STEPS)).astype(np.float32)
    if rule_of == "loudness":
        coarse += rule[:, None, None]
    elif rule_of == "brightness":
        coarse += (rule[:, None] * np.linspace(-1, 1, 128))[:, :, None]
    else:
        coarse += rule[:, None, None] * np.where(np.arange(STEPS) % 4 < 2, 1, -1)
    heard = known(coarse=torch.from_numpy(coarse).half())
    negatives = known(coarse=torch.full((5, 128, STEPS), -4.0, dtype=torch.float16))
    member, _ = fit_head(RatingMember(TASTE), 0, heard, negatives, standardised(rule), TRAIN, VALID, epochs=15, seed=0)
    assert spearman(heard.piece_ratings(member, 0, TEST), rule[TEST]) > 0.8


# The fit


def noise_world(n=60, seed=0):
    """Pieces whose popularity is chance: what is learnt is learnt by heart."""
    rng = np.random.default_rng(seed)
    heard = known(melody=torch.from_numpy(rng.random((n, STATISTICS)).astype(np.float32)))
    return heard, known(melody=torch.zeros(3, STATISTICS)), standardised(rng.normal(size=n))


TINY = RatingConfig(bins=2, channels=2, sound_channels=2, hidden=8, members=3)


def test_the_best_epoch_is_kept_and_hearing_stays():
    heard, negatives, targets = noise_world()
    transcribing = RatingMember(TINY)
    with torch.no_grad():
        transcribing.mel_mean.fill_(-7)
    before = {name: value.clone() for name, value in transcribing.state_dict().items()}
    train, valid = np.arange(40), np.arange(40, 60)
    member, curve = fit_head(transcribing, 0, heard, negatives, targets, train, valid, epochs=12, seed=3)
    mse = float(np.mean((heard.piece_ratings(member, 0, valid) - targets[valid].numpy()) ** 2))
    assert len(curve) == 12
    assert mse == pytest.approx(min(epoch["valid_mse"] for epoch in curve), abs=1e-6)
    assert mse < curve[-1]["valid_mse"]  # what is learnt by heart is of no use
    assert not member.training
    for name, value in transcribing.state_dict().items():
        assert torch.equal(value, before[name])
    for name, value in member.transcriber_state().items():
        assert torch.equal(value, before[name])


def test_edges_are_quantiles_of_what_is_fitted_on():
    heard, negatives, targets = noise_world()
    heard.melody[0, 40:] = 99  # not to be seen
    member, _ = fit_head(RatingMember(TINY), 0, heard, negatives, targets, np.arange(40), np.arange(40, 60), 1, 0)
    edges = member.head.edges
    assert edges.max() <= 1
    assert (edges.diff(dim=1) >= 0).all()
    np.testing.assert_allclose(edges[:, 0], heard.melody[0, :40].amin(0), atol=0.1)


def test_equal_seeds_give_equal_members():
    heard, negatives, targets = noise_world()

    def fitted(seed):
        member, curve = fit_head(
            RatingMember(TINY), 0, heard, negatives, targets, np.arange(40), np.arange(40, 60), 2, seed
        )
        return torch.cat([value.flatten() for value in member.head.state_dict().values()]), curve

    assert torch.equal(fitted(0)[0], fitted(0)[0]) and fitted(0)[1] == fitted(0)[1]
    assert not torch.equal(fitted(0)[0], fitted(1)[0])


def test_negatives_are_rated_low():
    heard, negatives, targets = noise_world()
    heard.melody[0] += 1
    member, _ = fit_head(RatingMember(TASTE), 0, heard, negatives, targets, np.arange(60), np.arange(60), 20, 0)
    rated = negatives.piece_ratings(member, 0, np.arange(3))
    assert rated.max() < heard.piece_ratings(member, 0, np.arange(60)).mean() - 1
    assert rated.min() > NEGATIVE_RATING - 1


@pytest.fixture
def fits(monkeypatch):
    """What `fit_ensemble` asks to be fitted: member, pieces to fit on, pieces to stop by, seed."""
    asked = []

    def fit(transcribing, index, heard, negatives, targets, train, valid, epochs, seed):
        asked.append((index, train, valid, seed))
        return transcribing, [{"train_mse": 1.0, "valid_mse": 1.0}]

    monkeypatch.setattr(heads, "fit_head", fit)
    return asked


def ensemble(groups, train, valid, members=3, seed=0):
    done = []
    transcribing = [RatingMember(TINY) for _ in range(members)]
    result = fit_ensemble(transcribing, None, None, groups, None, train, valid, 1, seed, lambda: done.append(1))
    assert len(done) == len(result[0]) == len(result[1]) == members


def test_each_member_leaves_out_other_groups(fits):
    groups = [f"group {index // 2}" for index in range(60)]
    ensemble(groups, np.arange(10, 60), np.arange(0))
    left_out = [set(valid.tolist()) for _, _, valid, _ in fits]
    assert [index for index, *_ in fits] == [0, 1, 2] and len({seed for *_, seed in fits}) == 3
    assert not left_out[0] & left_out[1] and not left_out[1] & left_out[2] and not left_out[0] & left_out[2]
    for _, train, valid, _ in fits:
        assert sorted([*train, *valid]) == list(range(10, 60)) and 4 <= len(valid) <= 6
        assert not {groups[i] for i in train} & {groups[i] for i in valid}


def test_pieces_set_aside_choose_the_epoch(fits):
    ensemble([str(index) for index in range(40)], np.arange(30), np.arange(30, 35))
    for _, train, valid, _ in fits:
        np.testing.assert_array_equal(train, np.arange(30))
        np.testing.assert_array_equal(valid, np.arange(30, 35))


def test_a_single_group_is_all_there_is(fits):
    ensemble(["one"] * 12, np.arange(12), np.arange(0))
    for _, train, valid, _ in fits:
        assert len(train) == len(valid) == 12
