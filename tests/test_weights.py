"""Weights on disk: what is saved is loaded, and whatever was changed in between is refused by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from toccata.weights import WeightsError, load_weights, read_tensors, save_weights, serialized, sha256


def linear(config: dict[str, Any]) -> nn.Linear:
    return nn.Linear(config["inputs"], 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_weights(tmp_path / "net", {"net": nn.Linear(3, 2).state_dict()}, {"inputs": 3, "fit": {"steps": 5}})
    return tmp_path / "net"


def test_saved_weights_are_loaded(folder: Path) -> None:
    network, config = load_weights(folder, "net", linear)
    torch.manual_seed(0)
    expected = nn.Linear(3, 2).state_dict()
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in expected.items())
    assert (config["inputs"], config["fit"]) == (3, {"steps": 5})
    save_weights(folder.parent / "again", {"net": network.state_dict()}, {"inputs": 3, "fit": {"steps": 5}})
    for name in ("net.safetensors", "config.json"):
        assert (folder.parent / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_the_hash_is_that_of_the_file(folder: Path) -> None:
    network, config = load_weights(folder, "net", linear)
    of_file = hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest()
    assert config["sha256"] == {"net.safetensors": of_file}
    assert sha256(network.state_dict()) == of_file
    with torch.no_grad():
        network.bias[0] += 1
    assert sha256(network.state_dict()) != of_file


def test_the_hash_does_not_depend_on_order_or_layout() -> None:
    a, b = torch.arange(6.0).view(2, 3), torch.ones(2)
    assert sha256({"a": a, "b": b}) == sha256({"b": b, "a": a.T.contiguous().T})
    assert sha256({"a": a}) != sha256({"b": a})


@pytest.mark.parametrize("place", [0, 8, 60, -1])
def test_a_flipped_bit_is_refused(folder: Path, place: int) -> None:
    path = folder / "net.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        WeightsError, match=f"{path}: (its SHA-256 is not|not a safetensors file|holds numbers)"
    ) as error:
        load_weights(folder, "net", linear)
    assert "\n" not in str(error.value)


def test_files_that_are_missing_are_named(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights here, other\.safetensors is missing"):
        load_weights(folder, "other", linear)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=f"{folder}: no weights here, config.json is missing"):
        load_weights(folder, "net", linear)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"sha256": []}', "[" * 100_000])
def test_a_broken_configuration_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=f"{folder / 'config.json'}: not a configuration of weights"):
        load_weights(folder, "net", linear)


@pytest.mark.parametrize("inputs", [None, "3", -1])
def test_a_configuration_of_no_network_is_named(folder: Path, inputs: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "inputs": inputs}))
    with pytest.raises(WeightsError, match="not the configuration of net"):
        load_weights(folder, "net", linear)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "inputs": 4}))
    with pytest.raises(WeightsError, match=r"net\.safetensors: not the weights of this network") as error:
        load_weights(folder, "net", linear)
    assert len(str(error.value)) < 600


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    tensors = {"weight": torch.tensor([1.0, torch.nan])}
    with pytest.raises(WeightsError, match=r"net\.safetensors: would hold numbers that are not finite"):
        save_weights(tmp_path, {"net": tensors}, {})
    assert not list(tmp_path.iterdir())
    save_weights(tmp_path, {"net": {"weight": torch.zeros(2)}}, {})
    (tmp_path / "net.safetensors").write_bytes(serialized(tensors))
    with pytest.raises(WeightsError, match="holds numbers that are not finite"):
        read_tensors(tmp_path, "net")


def test_saving_again_leaves_no_file_that_the_configuration_does_not_know(folder: Path) -> None:
    save_weights(folder, {"other": {"a": torch.ones(1)}}, {})
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "other.safetensors"]


def test_several_files_are_verified_one_by_one(tmp_path: Path) -> None:
    save_weights(tmp_path, {"a": {"x": torch.ones(2)}, "b": {"y": torch.zeros(3)}}, {})
    assert torch.equal(read_tensors(tmp_path, "b")["y"], torch.zeros(3))
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "b.safetensors").read_bytes())
    assert read_tensors(tmp_path, "b")
    with pytest.raises(WeightsError, match=r"a\.safetensors: its SHA-256"):
        read_tensors(tmp_path, "a")
