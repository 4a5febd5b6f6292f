"""The rating model: masked pooling, frozen weights, files, extremes, and the weights that are shipped."""

import json

import numpy as np
import pytest
import torch

from toccata.envs.rewards import Pieces, RewardModel, checked
from toccata.music.score import Score
from toccata.reward_models.melody_line import STATISTICS
from toccata.reward_models.rating import (
    CONFIG_FILE,
    HOP_FRAMES,
    RATING_LIMIT,
    WEIGHTS_FILE,
    WINDOW_FRAMES,
    RatingConfig,
    RatingError,
    RatingModel,
    RatingNetwork,
    window_starts,
)
from toccata.reward_models.rating_report import extremes, melody, together


def small_model(seed=0):
    torch.manual_seed(seed)
    network = RatingNetwork(RatingConfig(bins=4, channels=8, hidden=8))
    for taster in network.tasters:
        taster.edges.copy_(torch.linspace(-0.1, 1.1, 5).repeat(STATISTICS, 1))
    return RatingModel(network)


def mels(lengths, seed=0):
    rng = np.random.default_rng(seed)
    batch = np.zeros((len(lengths), 64, max(lengths)), np.float32)
    for row, length in zip(batch, lengths, strict=True):
        row[:, :length] = rng.normal(-8, 3, (64, length))
    return batch, np.array(lengths)


@pytest.mark.parametrize("length", [1, 2, 79, 160, 161, 333])
@pytest.mark.parametrize("padding", [1, 2, 7, 200])
def test_padding_does_not_change_the_score(length, padding):
    model = small_model()
    log_mel, frames = mels([length])
    alone = model.members_of_mel(log_mel, frames)
    junk = np.full((1, 64, padding), 123.0, np.float32)
    longer, _ = mels([length + padding], seed=1)
    batch = np.concatenate([np.concatenate([log_mel, junk], 2), longer])
    among_others = model.members_of_mel(batch, np.array([length, length + padding]))
    np.testing.assert_allclose(among_others[:1], alone, atol=1e-5)


def test_padding_does_not_change_the_score_of_music():
    model = RatingModel.load()
    short, long = melody("C4 E4 G4 C5"), melody("C4 D4 E4 F4 G4 A4 B4 C5 " * 4)
    alone = model.score(Pieces([short]))
    np.testing.assert_allclose(model.score(Pieces([short, long]))[:1], alone, atol=1e-5)


@pytest.mark.parametrize("steps", [1, WINDOW_FRAMES - 1, WINDOW_FRAMES, WINDOW_FRAMES + 1, 200, 1001])
def test_windows_cover_the_piece_evenly(steps):
    starts = window_starts(steps)
    assert starts[0] == 0
    assert starts[-1] == max(0, steps - WINDOW_FRAMES)
    assert all(0 < gap <= HOP_FRAMES for gap in np.diff(starts))


def test_score_is_mean_less_std_within_the_limit():
    model = small_model()
    log_mel, frames = mels([50, 300])

    class Mels(list):
        pass

    pieces = Mels([0, 0])
    pieces.log_mel, pieces.mel_frames = log_mel, frames
    members = model.members(pieces)
    terms = model.terms(pieces)
    np.testing.assert_allclose(terms["mean"], members.mean(1))
    np.testing.assert_allclose(model.score(pieces), members.mean(1) - members.std(1), atol=1e-6)
    with torch.no_grad():
        for taster, bias in zip(model.network.tasters, (90, 100, 110), strict=True):
            taster.layers[-1].bias.fill_(bias)
    assert (model.score(pieces) == RATING_LIMIT).all()


def test_no_pieces_have_no_scores():
    assert small_model().score(Pieces([])).shape == (0,)


def test_the_network_is_frozen():
    model = small_model()
    before = model.weights_hash()
    model.score(Pieces([melody("C4 E4 G4 C5")]))
    assert model.weights_hash() == before
    assert not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())


def test_another_weight_is_another_hash():
    assert small_model(0).weights_hash() == small_model(0).weights_hash()
    assert small_model(0).weights_hash() != small_model(1).weights_hash()


def test_saved_and_loaded_are_equal(tmp_path):
    model = small_model()
    model.save(tmp_path, {"melodies": 3})
    again = RatingModel.load(tmp_path)
    assert again.weights_hash() == model.weights_hash()
    assert again.network.config == model.network.config
    log_mel, frames = mels([70, 200])
    np.testing.assert_array_equal(again.members_of_mel(log_mel, frames), model.members_of_mel(log_mel, frames))
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["fit"] == {"melodies": 3}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG_FILE, None),
        (WEIGHTS_FILE, None),
        (CONFIG_FILE, b"{"),
        (CONFIG_FILE, b"[]"),
        (CONFIG_FILE, b'{"network": {"depth": 3}}'),
        (CONFIG_FILE, b'{"network": {"hidden": 0}}'),
        (CONFIG_FILE, b'{"network": {"hidden": "8"}}'),
        (CONFIG_FILE, b'{"network": {"hidden": 9}}'),
        (WEIGHTS_FILE, b"not weights"),
        (WEIGHTS_FILE, b""),
    ],
)
def test_a_broken_folder_is_one_clear_error(tmp_path, name, content):
    small_model().save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RatingError, match=str(tmp_path)) as error:
        RatingModel.load(tmp_path)
    assert "\n" not in str(error.value)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = small_model()
    with torch.no_grad():
        model.network.listener.hear.bias[0] = float("nan")
    model.save(tmp_path)
    with pytest.raises(RatingError, match="not finite"):
        RatingModel.load(tmp_path)


def test_another_number_of_mels_is_an_error():
    with pytest.raises(ValueError, match=r"\(n, 64, frames\)"):
        small_model().members_of_mel(np.zeros((1, 32, 10), np.float32), np.array([10]))


# The shipped weights


@pytest.fixture(scope="module")
def shipped():
    return RatingModel.load()


@pytest.fixture(scope="module")
def ratings(shipped):
    pieces = extremes()
    return dict(zip(pieces, checked(shipped, Pieces(pieces.values())), strict=True))


def test_shipped_weights_are_those_of_their_config(shipped):
    config = json.loads((shipped_folder() / CONFIG_FILE).read_text())
    assert shipped.weights_hash() == config["weights_sha256"]
    assert isinstance(shipped, RewardModel)
    assert shipped.name == "rating"


def shipped_folder():
    from toccata.reward_models.rating import SHIPPED

    return SHIPPED


def test_shipped_weights_are_small():
    assert (shipped_folder() / WEIGHTS_FILE).stat().st_size < 3.2e6


@pytest.mark.parametrize(
    "score", [Score(), Score(length_ticks=96), Score([(0, 1, 21, 1)]), Score([(0, 9999, 127, 127)])]
)
def test_degenerate_pieces_have_finite_scores(shipped, score):
    assert np.abs(checked(shipped, Pieces([score]))).max() <= RATING_LIMIT


@pytest.mark.parametrize("real", ["Twinkle Twinkle, melody", "Ode to Joy, melody", "chorale in four parts"])
def test_noise_and_walls_do_not_outrank_music(ratings, real):
    for name in (
        "random keys, 400 notes",
        "random keys, 2000 notes (noise)",
        "wall of all 88 keys",
        "one note, repeated",
        "one note",
        "silence",
    ):
        assert ratings[name] < ratings[real] - 0.5, name


def test_an_accompaniment_keeps_a_melody_above_noise(shipped, ratings):
    tune = melody("C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2")
    bass = melody("C3:4 F2:2 C3:2 F2:2 C3:2 G2:2 C3:2")
    score = shipped.score(Pieces([together(tune, bass)]))[0]
    assert score > ratings["random keys, 400 notes"] + 0.5
