"""The rating network: sizes, no influence of padding, the encoding of statistics, and the parts of a member."""

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.music.sound.spectrogram import FLOOR, N_MELS, SAMPLE_RATE, log_mel
from toccata.reward_models.rating.melody_statistics import KEYS, N_STATISTICS
from toccata.reward_models.rating.network import (
    LOUDNESS,
    MAX_GAIN,
    POOL_FRAMES,
    AudioEncoder,
    PopularityHead,
    RatingConfig,
    RatingMember,
    Transcriber,
    equal_loudness,
    frame_mask,
)

LENGTHS = [1, 2, 3, 4, 5, 7, 31, 79, 156, 157, 159, 160]
PADDINGS = [1, 2, 3, 7, 64]
SMALL = RatingConfig(bins=4, channels=8, sound_channels=4, hidden=8)
# Ratings of these members are about 0.1; a frame of padding that is not masked changes them by more than 1e-5
RATING_ROUNDING = float32_rounding(N_MELS, 0.2)


def random_mels(lengths, width, padding=123.0, seed=0):
    """(n, mels, width) random spectrograms, equal for equal lengths and seeds, then `padding`."""
    mels = np.full((len(lengths), N_MELS, width), padding, np.float32)
    for row, length in zip(mels, lengths, strict=True):
        row[:, :length] = np.random.default_rng([seed, length]).normal(-8, 3, (length, N_MELS)).T
    return torch.from_numpy(mels)


def valid_frames(length):
    return torch.tensor([length])


# Configuration


@pytest.mark.parametrize(("members", "reward_members"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 6)])
def test_of_three_or_more_members_the_last_is_no_reward_member(members, reward_members):
    assert RatingConfig(members=members).reward_members == reward_members


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mels", 0),
        ("bins", 2.5),
        ("hidden", "8"),
        ("bins", -1),
        ("channels", 5_000),
        ("sound_channels", 0),
        ("hidden", 0),
        ("members", 0),
        ("pessimism", -0.1),
        ("pessimism", 11),
        ("pessimism", float("nan")),
    ],
)
def test_sizes_out_of_range_are_errors(name, value):
    with pytest.raises(ValueError, match=f"{name} must be "):
        RatingConfig(**{name: value})


# Loudness


def mels_of(sound):
    """(1, mels, frames) of one second of sound, and its mask."""
    mels = torch.from_numpy(log_mel(np.asarray(sound, np.float32)[None]))
    return mels, torch.ones(1, 1, mels.shape[2])


@pytest.mark.parametrize("decibels", [-24, -12, 0, 12, 24])
def test_the_gain_of_a_sound_changes_nothing(decibels):
    sound = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE) * np.linspace(0, 1, SAMPLE_RATE)
    expected = equal_loudness(*mels_of(sound))
    assert float((expected.exp() - FLOOR).sum(1).max()) == pytest.approx(LOUDNESS, rel=1e-3)
    louder = equal_loudness(*mels_of(sound * 10 ** (decibels / 20)))
    np.testing.assert_allclose(louder, expected, atol=0.01)


def test_silence_and_noise_floors_are_not_made_loud():
    silence = equal_loudness(*mels_of(np.zeros(SAMPLE_RATE)))
    np.testing.assert_allclose(silence, np.log(FLOOR), atol=0.01)  # the rounding of a logarithm, amplified
    rounding = np.random.default_rng(0).integers(-1, 2, SAMPLE_RATE) / 2**15  # the noise of 16-bit sound
    amplified = equal_loudness(*mels_of(rounding))
    assert float(amplified.exp().sum(1).max()) < 0.01 * LOUDNESS
    power, expected = mels_of(rounding)[0].exp() - FLOOR, amplified.exp() - FLOOR
    assert float(expected.sum() / power.sum()) == pytest.approx(MAX_GAIN, rel=0.01)


def test_loud_padding_does_not_count():
    sound = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE)
    mels, mask = mels_of(sound)
    mask[:, :, 20:] = 0
    padded = mels.clone()
    padded[:, :, 20:] = 123.0
    np.testing.assert_array_equal(equal_loudness(padded, mask)[:, :, :20], equal_loudness(mels, mask)[:, :, :20])
    np.testing.assert_allclose(equal_loudness(padded, mask)[:, :, 20:], np.log(FLOOR), atol=1e-5)


# Padding


def test_a_mask_is_one_up_to_the_valid_frames():
    assert frame_mask(4, torch.tensor([1, 3, 4])).tolist() == [[[1, 0, 0, 0]], [[1, 1, 1, 0]], [[1, 1, 1, 1]]]
    assert frame_mask(4, torch.tensor([9])).tolist() == [[[1, 1, 1, 1]]]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_padding_does_not_change_the_transcription(length, padding):
    torch.manual_seed(0)
    transcriber = Transcriber(SMALL).eval()
    plain = random_mels([length], length)
    padded_mask = frame_mask(length + padding, valid_frames(length))
    with torch.no_grad():
        logits = transcriber(plain, torch.ones(1, 1, length))
        padded_logits = transcriber(random_mels([length], length + padding) * padded_mask, padded_mask)
    rounding = float32_rounding(2 * N_MELS, float(logits.abs().max()))
    np.testing.assert_allclose(padded_logits[:, :, :length], logits, rtol=0, atol=rounding)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 20, 39, 40])
def test_padding_does_not_change_the_audio_embedding(steps, padding):
    torch.manual_seed(0)
    encoder = AudioEncoder(SMALL).eval()
    padded_mask = frame_mask(steps + padding, valid_frames(steps))
    with torch.no_grad():
        embedding = encoder(random_mels([steps], steps), torch.ones(1, 1, steps))
        padded_embedding = encoder(random_mels([steps], steps + padding) * padded_mask, padded_mask)
    assert embedding.shape == (1, 2 * SMALL.sound_channels)
    rounding = float32_rounding(2 * N_MELS, float(embedding.abs().max()))
    np.testing.assert_allclose(padded_embedding, embedding, rtol=0, atol=rounding)


@pytest.mark.parametrize("padding", [0.0, 123.0, -1e4])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_values_of_the_padding_do_not_change_the_rating(small_member, length, padding):
    member = small_member()
    with torch.no_grad():
        expected = member(random_mels([length], 160, 1.0), valid_frames(length))
        np.testing.assert_allclose(
            member(random_mels([length], 160, padding), valid_frames(length)), expected, rtol=0, atol=RATING_ROUNDING
        )


def test_the_length_of_the_padding_does_not_change_the_rating(small_member):
    member = small_member()
    for length in LENGTHS:
        for padding in PADDINGS:
            with torch.no_grad():
                rating = member(random_mels([length], length), valid_frames(length))
                padded_rating = member(random_mels([length], length + padding), valid_frames(length))
            np.testing.assert_allclose(padded_rating, rating, rtol=0, atol=RATING_ROUNDING)


def test_a_rating_does_not_depend_on_the_batch(small_member):
    member = small_member()
    batch = random_mels(LENGTHS, 160)
    with torch.no_grad():
        ratings = member(batch, torch.tensor(LENGTHS))
        assert ratings.shape == (len(LENGTHS), 2) and ratings[:, 0].std() > 1e-4
        assert (ratings[:, 1] == 1).all()  # no support: never abstains
        for row, length in enumerate(LENGTHS):
            np.testing.assert_allclose(
                ratings[row : row + 1], member(batch[row : row + 1], valid_frames(length)), rtol=0, atol=RATING_ROUNDING
            )


def test_features_are_statistics_and_the_pooled_spectrogram(small_member):
    member = small_member()
    plain = equal_loudness(random_mels([158], 160), frame_mask(160, valid_frames(158)))  # its features are the same
    with torch.no_grad():
        melody, pooled = member.extract(plain, valid_frames(158))
    assert melody.shape == (1, N_STATISTICS) and pooled.shape == (1, N_MELS, 160 // POOL_FRAMES)
    first = ((plain[:, :, :POOL_FRAMES] + 8) / 3).mean(2)  # standardised by mean -8, standard deviation 3
    np.testing.assert_allclose(pooled[:, :, 0], first, rtol=0, atol=float32_rounding(400 * POOL_FRAMES, 4.0))
    last = ((plain[:, :, 156:158] + 8) / 3).sum(2) / POOL_FRAMES  # the padding is 0
    np.testing.assert_allclose(pooled[:, :, -1], last, rtol=0, atol=float32_rounding(400 * POOL_FRAMES, 4.0))


@pytest.mark.parametrize("level", [-11.5, 0.0, 30.0, -1e6, 1e6])
def test_ratings_are_finite_for_any_level(small_member, level):
    with torch.no_grad():
        ratings = small_member()(torch.full((2, N_MELS, 160), level), torch.tensor([1, 160]))
    assert torch.isfinite(ratings).all()


# Head


def test_the_encoding_is_constant_outside_the_outermost_edges():
    torch.manual_seed(0)
    head = PopularityHead(SMALL).eval()
    head.edges.copy_(torch.linspace(0, 1, SMALL.bins + 1).repeat(N_STATISTICS, 1))
    sound = torch.zeros(1, 2 * SMALL.sound_channels)
    with torch.no_grad():
        low, lower, high, higher, middle = (
            head(torch.full((1, N_STATISTICS), value), sound) for value in (0.0, -50.0, 1.0, 50.0, 0.5)
        )
    assert low == lower and high == higher and len({float(low), float(high), float(middle)}) == 3


def test_statistics_have_a_piecewise_linear_encoding():
    head = PopularityHead(RatingConfig(bins=2, sound_channels=1, hidden=1))
    head.edges.copy_(torch.tensor([0.0, 1.0, 3.0]).repeat(N_STATISTICS, 1))
    inputs = []
    head.layers = torch.nn.Sequential()
    head.layers.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    melody = torch.zeros(1, N_STATISTICS)
    melody[0, :4] = torch.tensor([-1.0, 0.25, 2.0, 9.0])
    head(melody, torch.tensor([[7.0, 8.0]]))
    encoding = inputs[0][0, : 2 * 4].view(4, 2) + 0.5
    np.testing.assert_allclose(encoding, [[0, 0], [0.25, 0], [1, 0.5], [1, 1]])
    assert inputs[0][0, -2:].tolist() == [7, 8]


def test_equal_edges_give_finite_ratings():
    torch.manual_seed(0)
    head = PopularityHead(SMALL)  # all edges 0
    assert torch.isfinite(head(torch.rand(3, N_STATISTICS), torch.rand(3, 2 * SMALL.sound_channels))).all()


# Members


def test_features_depend_on_the_transcriber_state_only(small_member):
    member, other = small_member(0), small_member(1)
    state = member.transcriber_state()
    assert {name.split(".")[0] for name in state} == {"transcriber", "mel_mean", "mel_scale"}
    other.load_state_dict(state, strict=False)
    mels, valid = random_mels([100, 160], 160), torch.tensor([100, 160])
    with torch.no_grad():
        for features, other_features in zip(member.extract(mels, valid), other.extract(mels, valid), strict=True):
            np.testing.assert_array_equal(features, other_features)
        assert not torch.equal(member(mels, valid), other(mels, valid))


def test_a_randomly_initialised_transcriber_predicts_silence():
    member = RatingMember(SMALL)
    probabilities = torch.sigmoid(member.transcriber(torch.zeros(1, N_MELS, 160), torch.ones(1, 1, 160)))
    assert probabilities.shape == (1, 2 * KEYS, 160) and probabilities.max() < 0.1


def test_dropout_is_active_in_training_mode_only(small_member):
    torch.manual_seed(0)
    member = RatingMember(SMALL, dropout=0.5)
    mels, valid = random_mels([160] * 3, 160), torch.full((3,), 160)
    assert not torch.equal(member(mels, valid), member(mels, valid))
    member.eval()
    assert torch.equal(member(mels, valid), member(mels, valid))
