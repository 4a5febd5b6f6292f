"""The rating model: scores, member ratings, sibling rating, errors, and frozen weights."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.music.score import Score
from toccata.music.skyline import skyline
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import N_MELS, SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import score_window_mels, score_windows
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.model import RATING_LIMIT, RatingModel, abstaining
from toccata.reward_models.rating.network import NOISE_RATING

TUNE = parse_melody("C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2")


def tunes(count, seed=0, bars=2):
    rng = np.random.default_rng(seed)
    return [random_melody(rng, bars) for _ in range(count)]


def constant(model, *outputs):
    """The model with members whose ratings are these constants."""
    with torch.no_grad():
        for member, output in zip(model.network, outputs, strict=True):
            member.head.layers[-1].weight.fill_(0)
            member.head.layers[-1].bias.fill_(output)
    return model


# Scores


def test_score_is_mean_less_pessimism_times_std(small_rating):
    model = constant(small_rating(pessimism=0.5), 1.0, 2.0, 100.0)
    diagnostics = model.diagnostics(Pieces([TUNE, Score()]))
    np.testing.assert_allclose(diagnostics["mean"], 1.5)
    np.testing.assert_allclose(diagnostics["std"], 0.5)
    score = model.score(Pieces([TUNE, Score()]))
    np.testing.assert_allclose(score, 1.25)
    assert score.dtype == np.float32


@pytest.mark.parametrize(("outputs", "limit"), [((90.0, 100.0, 0.0), 4.0), ((-90.0, -100.0, 0.0), -4.0)])
def test_score_and_sibling_are_clipped(small_rating, outputs, limit):
    model = constant(small_rating(), *outputs)
    assert limit in (RATING_LIMIT, -RATING_LIMIT)
    assert model.score(Pieces([TUNE])) == limit
    assert model.score_audio(note_bank().render_one(TUNE)) == limit
    assert abs(model.diagnostics(Pieces([TUNE]))["mean"][0]) == 95  # diagnostics are not clipped
    assert constant(model, 0, 0, outputs[0]).sibling(Pieces([Score()])) == limit


def test_the_sibling_member_has_no_influence_on_the_score(small_rating):
    model = small_rating()
    pieces = Pieces(tunes(3))
    ratings, sibling = model.member_ratings(pieces), model.sibling(pieces)
    assert ratings.shape == (3, 2) and sibling.shape == (3,) and sibling.dtype == np.float32
    assert not np.isclose(ratings, sibling[:, None], atol=1e-4).any()
    score = model.score(pieces)
    torch.manual_seed(99)
    for parameter in model.network[-1].parameters():
        parameter.copy_(torch.randn_like(parameter))
    changed = RatingModel(model.network, model.config)
    np.testing.assert_array_equal(changed.member_ratings(pieces), ratings)
    np.testing.assert_array_equal(changed.score(pieces), score)
    assert (changed.sibling(pieces) != sibling).all()


@pytest.mark.parametrize("members", [1, 2])
def test_fewer_than_three_members_have_no_sibling_member(small_rating, members):
    model = small_rating(members=members)
    assert model.member_ratings(Pieces([TUNE])).shape == (1, members)
    with pytest.raises(RewardModelError, match=f"at least 3 members, got {members}"):
        model.sibling(Pieces([TUNE]))


def test_a_single_member_has_no_disagreement(small_rating):
    model = small_rating(members=1)
    np.testing.assert_array_equal(model.score(Pieces([TUNE])), model.diagnostics(Pieces([TUNE]))["mean"])
    assert model.diagnostics(Pieces([TUNE]))["std"] == 0


def test_a_member_rating_is_the_mean_over_windows(small_rating):
    model = small_rating()
    score = tunes(1, bars=9)[0]
    ratings = model.rate_windows(*score_window_mels(score_windows(score)))
    assert len(ratings) >= 4 and ratings.shape[1] == 3
    rounding = float32_rounding(8 * len(ratings))
    np.testing.assert_allclose(model.member_ratings(Pieces([score]))[0], ratings.mean(0)[:2], rtol=0, atol=rounding)
    np.testing.assert_allclose(model.sibling(Pieces([score]))[0], ratings.mean(0)[2], rtol=0, atol=rounding)


def test_no_pieces_have_no_scores(small_rating):
    model = small_rating()
    assert model.score(Pieces([])).shape == (0,) and model.sibling(Pieces([])).shape == (0,)
    assert model.member_ratings(Pieces([])).shape == (0, 2)


@pytest.mark.parametrize("bars", [1, 2, 5, 12])
def test_a_recording_of_a_piece_has_its_score(small_rating, bars):
    model = small_rating()
    for score in tunes(2, bars, bars):
        expected = model.score(Pieces([score]))[0]
        tolerance = 1e-4 if bars <= 2 else 5e-3  # windows of a recording are not released at their end
        assert model.score_audio(note_bank().render_one(score)) == pytest.approx(expected, abs=tolerance)


# Input


@pytest.mark.parametrize("audio", [np.zeros((2, 100)), np.zeros(()), np.array([0.0, np.nan]), np.array([np.inf])])
def test_audio_that_is_not_finite_or_one_dimensional_is_an_error(small_rating, audio):
    with pytest.raises(ValueError, match=r"\(samples,\)|finite"):
        small_rating().score_audio(audio)


@pytest.mark.parametrize("samples", [0, 1, 100, 16_000])
def test_recordings_of_any_length_have_a_score(small_rating, samples):
    assert np.isfinite(small_rating().score_audio(np.full(samples, 0.1)))


@pytest.mark.parametrize("shape", [(1, 64, 160), (N_MELS, 160), (1, 160, N_MELS)])
def test_another_number_of_mels_is_an_error(small_rating, shape):
    with pytest.raises(ValueError, match=rf"\(n, {N_MELS}, frames\)"):
        small_rating().rate_windows(np.zeros(shape, np.float32), np.array([10]))


@pytest.mark.parametrize("valid", [0, -1, 11, 161])
def test_valid_frames_out_of_range_are_an_error(small_rating, valid):
    frames = 10 if valid == 11 else 320
    with pytest.raises(ValueError, match=f"valid must be in 1..{min(frames, 160)}"):
        small_rating().rate_windows(np.zeros((1, N_MELS, frames), np.float32), np.array([valid]))


# Frozen weights


def test_the_network_is_frozen(small_rating):
    torch.manual_seed(0)
    model = small_rating()
    model.network.train().requires_grad_(True)
    model = RatingModel(model.network, model.config)
    before = model.weights_hash()
    model.score(Pieces([TUNE]))
    model.sibling(Pieces([TUNE]))
    assert model.weights_hash() == before
    assert not any(module.training for module in model.network.modules())
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_training_an_agent_changes_no_weight(small_rating):
    from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
    from toccata.agents.ppo.composer_ppo import ComposerPPO
    from toccata.agents.vec_env import PianoVecEnv

    model = small_rating()
    before = model.weights_hash()
    env = PianoVecEnv(2, bars=1, max_steps=12)
    agent = ComposerPPO(FeedforwardPolicy, env, reward_model=model, n_steps=24, batch_size=16, n_epochs=1, device="cpu")
    policy = [parameter.clone() for parameter in agent.policy.parameters()]
    agent.learn(48)
    assert any(not torch.equal(a, b) for a, b in zip(policy, agent.policy.parameters(), strict=True))
    assert len(model._cache[range(2)]) > 0
    assert model.weights_hash() == before
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_other_weights_have_another_hash(small_rating):
    assert small_rating(0).weights_hash() == small_rating(0).weights_hash()
    assert small_rating(0).weights_hash() != small_rating(1).weights_hash()
    model, before = small_rating(0), small_rating(0).weights_hash()
    with torch.no_grad():
        model.network[2].mel_scale[5] += 1e-3
    assert model.weights_hash() != before


def test_members_abstain_from_long_pieces_only(small_rating: Callable) -> None:
    model = small_rating(members=1, support=True)
    member = model.network[0]
    member.support.layers[-1].bias.data.fill_(-20.0)  # nothing is like music
    member.head.layers[-1].bias.data.fill_(1.0)
    short, between, long = TUNE.slice(0, 192), TUNE.slice(0, 312), TUNE
    slow = replace(short, tempo_bpm=100.0)  # in two windows
    supports = model.diagnostics(Pieces([short, slow, between, long]))["support"]
    np.testing.assert_allclose(supports, [1, 1, 0.5, 0], rtol=0, atol=1e-6)
    plain = small_rating(members=1)
    plain.network[0].load_state_dict(member.state_dict(), strict=False)
    np.testing.assert_allclose(model.score(Pieces([short])), plain.score(Pieces([short])), rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.score(Pieces([long])), NOISE_RATING, rtol=0, atol=1e-6)
    assert plain.score(Pieces([long]))[0] > NOISE_RATING + 0.5
    audio = note_bank(SAMPLE_RATE).render_one(long)
    assert model.score_audio(audio) == pytest.approx(NOISE_RATING, abs=1e-6)


def test_abstaining_lowers_ratings_to_that_of_noise_and_never_raises_them() -> None:
    popularity = np.array([1.5, 1.5, 1.5, -3.0])
    support = np.array([1.0, 0.0, 0.5, 0.0])
    np.testing.assert_allclose(abstaining(popularity, support), [1.5, NOISE_RATING, -0.5, -3.0])


def test_the_popularity_of_a_score_is_that_of_its_skyline(small_rating: Callable) -> None:
    melody = TUNE
    low = [(onset, 48, 30, 80) for onset in range(0, 4 * 96, 48)]
    accompanied = Score([*melody.notes.tolist(), *low], length_ticks=melody.length_ticks)
    hears_all = small_rating(members=1)
    hears_skyline = RatingModel(hears_all.network, replace(hears_all.config, skyline=True))
    pieces, alone = Pieces([accompanied]), Pieces([skyline(accompanied)])
    assert hears_all.score(pieces) != hears_all.score(alone)
    assert hears_skyline.score(pieces) == hears_all.score(alone) == hears_skyline.score(alone)
