"""The layers of the rating network: what lies in the padding changes nothing, and what they are made of."""

import numpy as np
import pytest
import torch

from toccata.music.sound.spectrogram import N_MELS
from toccata.reward_models.rating.melody_statistics import KEYS, STATISTICS
from toccata.reward_models.rating.network import (
    COARSE,
    AudioEncoder,
    PopularityHead,
    RatingConfig,
    RatingMember,
    Transcriber,
    frame_mask,
)

LENGTHS = [1, 2, 3, 4, 5, 7, 31, 79, 156, 157, 159, 160]
PADDINGS = [1, 2, 3, 7, 64]
SMALL = RatingConfig(bins=4, channels=8, sound_channels=4, hidden=8)


def sounds(lengths, width, junk=123.0, seed=0):
    """(n, mels, width) spectrograms by chance, equal for equal lengths and seeds, followed by junk."""
    mels = np.full((len(lengths), N_MELS, width), junk, np.float32)
    for row, length in zip(mels, lengths, strict=True):
        row[:, :length] = np.random.default_rng([seed, length]).normal(-8, 3, (length, N_MELS)).T
    return torch.from_numpy(mels)


def of(length):
    return torch.tensor([length])


# Configuration


@pytest.mark.parametrize(("members", "reward_members"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 6)])
def test_of_three_or_more_members_the_last_rewards_nobody(members, reward_members):
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
def test_a_shape_that_cannot_be_is_an_error(name, value):
    with pytest.raises(ValueError, match=f"{name} must be "):
        RatingConfig(**{name: value})


# Padding


def test_a_mask_is_one_up_to_the_valid_frames():
    assert frame_mask(4, torch.tensor([1, 3, 4])).tolist() == [[[1, 0, 0, 0]], [[1, 1, 1, 0]], [[1, 1, 1, 1]]]
    assert frame_mask(4, torch.tensor([9])).tolist() == [[[1, 1, 1, 1]]]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_padding_changes_nothing_that_is_heard(length, padding):
    torch.manual_seed(0)
    transcriber = Transcriber(SMALL).eval()
    plain = sounds([length], length)
    padded_mask = frame_mask(length + padding, of(length))
    with torch.no_grad():
        heard = transcriber(plain, torch.ones(1, 1, length))
        heard_padded = transcriber(sounds([length], length + padding) * padded_mask, padded_mask)
    np.testing.assert_allclose(heard_padded[:, :, :length], heard, atol=1e-5)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 20, 39, 40])
def test_padding_changes_nothing_in_the_description_of_the_sound(steps, padding):
    torch.manual_seed(0)
    encoder = AudioEncoder(SMALL).eval()
    padded_mask = frame_mask(steps + padding, of(steps))
    with torch.no_grad():
        described = encoder(sounds([steps], steps), torch.ones(1, 1, steps))
        described_padded = encoder(sounds([steps], steps + padding) * padded_mask, padded_mask)
    assert described.shape == (1, 2 * SMALL.sound_channels)
    np.testing.assert_allclose(described_padded, described, atol=1e-5)


@pytest.mark.parametrize("junk", [0.0, 123.0, -1e4])
@pytest.mark.parametrize("length", LENGTHS)
def test_what_the_padding_holds_changes_nothing(small_member, length, junk):
    member = small_member()
    with torch.no_grad():
        plain = member(sounds([length], 160, junk=1.0), of(length))
        np.testing.assert_allclose(member(sounds([length], 160, junk), of(length)), plain, atol=1e-5)


def test_padding_does_not_change_the_judgement(small_member):
    member = small_member()
    for length in LENGTHS:
        for padding in PADDINGS:
            with torch.no_grad():
                alone = member(sounds([length], length), of(length))
                padded = member(sounds([length], length + padding), of(length))
            np.testing.assert_allclose(padded, alone, atol=1e-5)


def test_windows_judged_together_are_judged_as_alone(small_member):
    member = small_member()
    together = sounds(LENGTHS, 160)
    with torch.no_grad():
        judged = member(together, torch.tensor(LENGTHS))
        assert judged.shape == (len(LENGTHS),) and judged.std() > 1e-4
        for row, length in enumerate(LENGTHS):
            np.testing.assert_allclose(judged[row : row + 1], member(together[row : row + 1], of(length)), atol=1e-5)


def test_what_is_heard_is_coarser_in_time(small_member):
    member = small_member()
    plain = sounds([158], 160)
    with torch.no_grad():
        melody, coarse = member.extract(plain, of(158))
    assert melody.shape == (1, STATISTICS) and coarse.shape == (1, N_MELS, 160 // COARSE)
    first = ((plain[:, :, :COARSE] + 8) / 3).mean(2)  # standardised by mean -8, standard deviation 3
    np.testing.assert_allclose(coarse[:, :, 0], first, atol=1e-5)
    last = ((plain[:, :, 156:158] + 8) / 3).sum(2) / COARSE  # what lies behind the end is 0
    np.testing.assert_allclose(coarse[:, :, -1], last, atol=1e-5)


@pytest.mark.parametrize("level", [-11.5, 0.0, 30.0, -1e6, 1e6])
def test_any_sound_is_judged_finite(small_member, level):
    with torch.no_grad():
        judged = small_member()(torch.full((2, N_MELS, 160), level), torch.tensor([1, 160]))
    assert torch.isfinite(judged).all()


# Taste


def test_beyond_the_outermost_edges_nothing_changes():
    torch.manual_seed(0)
    head = PopularityHead(SMALL).eval()
    head.edges.copy_(torch.linspace(0, 1, SMALL.bins + 1).repeat(STATISTICS, 1))
    sound = torch.zeros(1, 2 * SMALL.sound_channels)
    with torch.no_grad():
        low, lower, high, higher, middle = (
            head(torch.full((1, STATISTICS), value), sound) for value in (0.0, -50.0, 1.0, 50.0, 0.5)
        )
    assert low == lower and high == higher and len({float(low), float(high), float(middle)}) == 3


def test_statistics_enter_as_ramps():
    head = PopularityHead(RatingConfig(bins=2, sound_channels=1, hidden=1))
    head.edges.copy_(torch.tensor([0.0, 1.0, 3.0]).repeat(STATISTICS, 1))
    entered = []
    head.layers = torch.nn.Sequential()
    head.layers.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    melody = torch.zeros(1, STATISTICS)
    melody[0, :4] = torch.tensor([-1.0, 0.25, 2.0, 9.0])
    head(melody, torch.tensor([[7.0, 8.0]]))
    ramps = entered[0][0, : 2 * 4].view(4, 2) + 0.5
    np.testing.assert_allclose(ramps, [[0, 0], [0.25, 0], [1, 0.5], [1, 1]])
    assert entered[0][0, -2:].tolist() == [7, 8]


def test_edges_may_coincide():
    torch.manual_seed(0)
    head = PopularityHead(SMALL)  # all edges 0
    assert torch.isfinite(head(torch.rand(3, STATISTICS), torch.rand(3, 2 * SMALL.sound_channels))).all()


# Members


def test_hearing_is_the_listener_and_the_scale_of_the_bands(small_member):
    member, other = small_member(0), small_member(1)
    hearing = member.transcriber_state()
    assert {name.split(".")[0] for name in hearing} == {"transcriber", "mel_mean", "mel_scale"}
    other.load_state_dict(hearing, strict=False)
    mels, valid = sounds([100, 160], 160), torch.tensor([100, 160])
    with torch.no_grad():
        for ours, theirs in zip(member.extract(mels, valid), other.extract(mels, valid), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert not torch.equal(member(mels, valid), other(mels, valid))


def test_a_new_listener_hears_silence():
    member = RatingMember(SMALL)
    heard = torch.sigmoid(member.transcriber(torch.zeros(1, N_MELS, 160), torch.ones(1, 1, 160)))
    assert heard.shape == (1, 2 * KEYS, 160) and heard.max() < 0.1


def test_dropout_is_for_fitting_alone(small_member):
    torch.manual_seed(0)
    member = RatingMember(SMALL, dropout=0.5)
    mels, valid = sounds([160] * 3, 160), torch.full((3,), 160)
    assert not torch.equal(member(mels, valid), member(mels, valid))
    member.eval()
    assert torch.equal(member(mels, valid), member(mels, valid))
