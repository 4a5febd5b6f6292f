"""Files of a rating model: round trip, and one clear error for a broken folder."""

import json

import numpy as np
import pytest
import torch

from toccata.envs.pieces import Pieces
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.model import INPUT, RatingModel
from toccata.weights import CONFIG_FILE, WeightsError


def test_saved_and_loaded_are_equal(small_rating, tmp_path):
    model = small_rating(members=4, pessimism=0.25)
    folder = tmp_path / "a" / "b"
    model.save(folder, {"pieces": 3})
    loaded = RatingModel.load(str(folder))
    assert loaded.weights_hash() == model.weights_hash()
    assert loaded.config == model.config
    rng = np.random.default_rng(0)
    pieces = Pieces([random_melody(rng) for _ in range(3)])
    np.testing.assert_array_equal(loaded.score(pieces), model.score(pieces))
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert config["fit"] == {"pieces": 3}
    assert config["sha256"] == {"rating.safetensors": model.weights_hash()}


def config_file(**changes):
    """The content of a config.json with the hash of other weights."""
    network = {"bins": 4, "channels": 8, "sound_channels": 4, "hidden": 8, **changes}
    return json.dumps({"input": INPUT, "network": network, "sha256": {"rating.safetensors": 64 * "0"}}).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(CONFIG_FILE, None, id="no config"),
        pytest.param("rating.safetensors", None, id="no weights"),
        pytest.param(CONFIG_FILE, b"{", id="no json"),
        pytest.param(CONFIG_FILE, b"[]", id="a list"),
        pytest.param(CONFIG_FILE, b"[" * 100_000, id="too deep"),
        pytest.param(CONFIG_FILE, b"\xff\xfe", id="no text"),
        pytest.param(CONFIG_FILE, b'{"network": null, "sha256": {}}', id="null"),
        pytest.param(CONFIG_FILE, b'{"network": {}}', id="no hashes"),
        pytest.param(CONFIG_FILE, config_file(depth=3), id="an unknown field"),
        pytest.param(CONFIG_FILE, config_file(hidden=0), id="zero"),
        pytest.param(CONFIG_FILE, config_file(hidden="8"), id="text"),
        pytest.param(CONFIG_FILE, config_file(hidden=8.5), id="no whole number"),
        pytest.param(CONFIG_FILE, config_file(pessimism="much"), id="no number"),
        pytest.param(CONFIG_FILE, config_file(hidden=9), id="another shape"),
        pytest.param(CONFIG_FILE, config_file(members=2), id="another number of members"),
        pytest.param(CONFIG_FILE, config_file(mels=64), id="other spectrograms"),
        pytest.param(CONFIG_FILE, config_file(), id="the hash of other weights"),
        pytest.param("rating.safetensors", b"not weights", id="no weights in the file"),
        pytest.param("rating.safetensors", b"", id="an empty file"),
    ],
)
def test_a_broken_folder_is_one_clear_error(small_rating, tmp_path, name, content):
    small_rating().save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=str(tmp_path)) as error:
        RatingModel.load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_network_for_another_input_is_refused(small_rating, tmp_path):
    small_rating().save(tmp_path)
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    assert config.pop("input") == INPUT
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=f"{tmp_path}.*fitted to another input than {INPUT}; fit it again"):
        RatingModel.load(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_an_error(small_rating, tmp_path, value):
    model = small_rating()
    with torch.no_grad():
        model.network[1].transcriber.first.bias[0] = value
    with pytest.raises(WeightsError, match="not finite; it is not written"):
        model.save(tmp_path)
