"""Files of priors: saving and loading are inverses, and broken files are errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork, with_genres
from toccata.agents.prior.prior import Prior, PriorError, frozen
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.settings.genres import GENRES
from toccata.weights import CONFIG_FILE, WeightsError

SMALL = Piano(lowest=48, highest=72, chords=("maj",), values=(6, 12, 24))
ABOUT = {"data": ["bach"], "seed": 3}


def prior_of(backbone: str = "transformer") -> Prior:
    torch.manual_seed(0)
    network = SequenceNetwork(SMALL, NetworkConfig(backbone, width=16, layers=1, heads=2))
    torch.nn.init.normal_(network.actor.weight, std=0.5)
    return Prior(frozen(network), SMALL, ABOUT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prior_of().save(tmp_path / "prior")
    return tmp_path / "prior"


@pytest.fixture(scope="module")
def trajectories() -> Trajectories:
    tune = [(12 * i, 12, 60 + step, 80) for i, step in enumerate((0, 4, 7, 12, 11, 7, 5, 2))]
    scores = [Score(tune, length_ticks=96), Score(tune[:3], length_ticks=96), Score(tune, length_ticks=192)]
    return record_trajectories(
        [Piece(score, genre) for score, genre in zip(scores, ("folk", None, "jazz"), strict=True)], SMALL
    )


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_saving_and_loading_are_inverses(backbone: str, tmp_path: Path, trajectories: Trajectories) -> None:
    prior = prior_of(backbone)
    prior.save(tmp_path / "new" / "prior")
    assert sorted(path.name for path in (tmp_path / "new" / "prior").iterdir()) == [CONFIG_FILE, "prior.safetensors"]
    loaded = Prior.load(tmp_path / "new" / "prior")
    assert (loaded.piano, loaded.about, loaded.network.config) == (SMALL, ABOUT, prior.network.config)
    before, after = prior.network.state_dict(), loaded.network.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor.half().float(), after[name]), name
        assert after[name].dtype == torch.float32
    assert not loaded.network.training
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    for ours, theirs in zip(prior.log_prob(trajectories), loaded.log_prob(trajectories), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.02)

    loaded.save(tmp_path / "again")
    for file in (CONFIG_FILE, "prior.safetensors"):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "new" / "prior" / file).read_bytes()


def test_genres_are_saved_and_files_without_them_have_the_six(tmp_path: Path, folder: Path) -> None:
    prior = Prior.load(folder)
    assert prior.genres == GENRES
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert config["network"].pop("genres") == list(GENRES)
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    assert torch.equal(Prior.load(folder).network.genre.weight, prior.network.genre.weight)

    more = Prior(with_genres(prior.network, (*GENRES, "ragtime")), SMALL, ABOUT)
    more.save(tmp_path / "more")
    loaded = Prior.load(tmp_path / "more")
    assert loaded.genres == (*GENRES, "ragtime")
    tune = Piece(Score([(0, 24, 60, 80)], length_ticks=96), "ragtime")
    ragtime = record_trajectories([tune], SMALL, loaded.genres)
    assert not np.array_equal(loaded.log_prob(ragtime)[0], prior.log_prob(ragtime)[0]), (
        "a prior without the genre is unconditional"
    )
    assert np.array_equal(prior.log_prob(ragtime)[0], prior.log_prob(ragtime.with_genres(()))[0])


def test_unknown_names_are_errors(tmp_path: Path) -> None:
    with pytest.raises(
        PriorError, match="unknown prior 'tranformer': it must be transformer, lstm, wavenet, or a folder"
    ):
        Prior.load("tranformer")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PriorError, match="unknown prior"):
        Prior.load(tmp_path / "file")


@pytest.mark.parametrize("file", [CONFIG_FILE, "prior.safetensors"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(WeightsError, match=f"{folder}: no weights here, {file} is missing"):
        Prior.load(folder)


def test_weights_of_another_fit_are_errors(folder: Path, tmp_path: Path) -> None:
    prior = prior_of()
    prior.network.actor.weight[0, 0] += 1
    prior.save(tmp_path / "other")
    (tmp_path / "other" / "prior.safetensors").rename(folder / "prior.safetensors")
    with pytest.raises(
        WeightsError, match=f"{folder / 'prior.safetensors'}: its SHA-256 is not the one in config.json"
    ):
        Prior.load(folder)


def test_weights_of_another_network_are_errors(folder: Path, tmp_path: Path) -> None:
    prior_of("lstm").save(tmp_path / "other")
    (tmp_path / "other" / "prior.safetensors").rename(folder / "prior.safetensors")
    ours, theirs = (json.loads((each / CONFIG_FILE).read_text()) for each in (folder, tmp_path / "other"))
    (folder / CONFIG_FILE).write_text(json.dumps({**ours, "sha256": theirs["sha256"]}))
    with pytest.raises(WeightsError, match=f"{folder / 'prior.safetensors'}: not the weights of this network") as error:
        Prior.load(folder)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_weights_that_are_not_finite_are_errors(tmp_path: Path) -> None:
    prior = prior_of()
    prior.network.actor.weight[0, 0] = 1e6  # infinite in float16
    with pytest.raises(WeightsError, match="not finite; it is not written"):
        prior.save(tmp_path)


def without(*keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(config: dict[str, Any]) -> Any:
        inner = config
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        return config

    return change


def replaced(value: object, *keys: str) -> Callable[[dict[str, Any]], Any]:
    def change(config: dict[str, Any]) -> Any:
        inner = config
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        return config

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(without(key) for key in ("network", "piano", "sha256", "fit")),
        *(replaced(value, key) for key in ("network", "piano", "fit") for value in (None, 3, "x", [1])),
        *(replaced(value, "network", "width") for value in (None, 0, -8, 2.5, "16", 18, [16], True)),
        *(replaced(value, "network", "layers") for value in (None, 0, 1.0, "1")),
        *(replaced(value, "network", "heads") for value in (None, 0, 3, 1.5)),
        replaced("rnn", "network", "backbone"),
        replaced(["lstm"], "network", "backbone"),
        replaced(1, "network", "depth"),
        *(replaced(value, "piano", "lowest") for value in (None, -1, 200, "48", 48.5)),
        *(replaced(value, "piano", "values") for value in (None, [], [12, 6], ["6"], 6)),
        *(replaced(value, "piano", "chords") for value in (["major"], None, 3)),
        replaced({"prior.safetensors": "0" * 64}, "sha256"),
        replaced(None, "sha256"),
        lambda config: [],
        lambda config: None,
        lambda config: [config],
    ],
)
def test_an_invalid_configuration_is_an_error_of_one_line(
    folder: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(change(config)))
    with pytest.raises(WeightsError, match=str(folder)) as error:
        Prior.load(folder)
    assert "\n" not in str(error.value)


def test_a_configuration_nested_too_deep_is_an_error(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text("[" * 100_000)
    with pytest.raises(WeightsError, match=CONFIG_FILE):
        Prior.load(folder)


@pytest.mark.parametrize("file", [CONFIG_FILE, "prior.safetensors"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_an_error_that_names_it(folder: Path, file: str, data: st.DataObject) -> None:
    """Truncated, or with one byte changed; some changes of the configuration are harmless."""
    path = folder / file
    original = path.read_bytes()
    head = min(len(original), 3000)  # names and shapes of the tensors; their values follow
    position = data.draw(st.integers(0, head - 1) | st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = original[:position] + bytes([byte]) + original[position + 1 :]
    if data.draw(st.booleans()):
        changed = original[:position]
    if changed == original:
        return
    try:
        path.write_bytes(changed)
        Prior.load(folder)
        assert file == CONFIG_FILE, "changed weights have another hash"
    except WeightsError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
    finally:
        path.write_bytes(original)
