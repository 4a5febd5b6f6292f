"""Weights on disk: safetensors files and a config.json with their SHA-256. Nothing is unpickled, all is verified.

    FOLDER/NAME.safetensors ...
    FOLDER/config.json           what rebuilds the network, and {"sha256": {"NAME.safetensors": ...}}

`sha256sum FOLDER/NAME.safetensors` prints the same digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from toccata.errors import ToccataError, one_line
from toccata.files import FileError, read_bytes, read_json, write_atomically

CONFIG_FILE = "config.json"
SUFFIX = ".safetensors"
MAX_WEIGHTS_BYTES = 4 * 2**30  # a billion numbers
MAX_CONFIG_BYTES = 16 * 2**20
BROKEN = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError)  # what a wrong config raises
# What needs no values to be known; the last three, mv and vdot are of spectral norms
LEFT_OUT = (Tensor.normal_, Tensor.uniform_, nn.functional.normalize, Tensor.div, Tensor.__truediv__)

Network = TypeVar("Network", bound=nn.Module)


class WeightsError(ToccataError, ValueError):
    """Weights that are missing, damaged, of another network, or not those they should be; names file and reason."""


def serialized(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file; equal tensors give equal bytes."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())})


def sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the safetensors file that `tensors` would be written to, 64 hexadecimal digits."""
    return hashlib.sha256(serialized(tensors)).hexdigest()


def save_weights(
    folder: str | PathLike[str], files: Mapping[str, Mapping[str, Tensor]], config: Mapping[str, Any]
) -> None:
    """Write tensors and configuration into `folder`, which is made if it is missing.

    Args:
        folder: its other safetensors files are deleted, as config.json would not know them.
        files: tensors by name, for each file's name without suffix.
        config: JSON values; `sha256` is added.

    Raises:
        WeightsError: naming the file, for a number that is not finite; nothing is written then.
        OSError: naming the file, when it cannot be written.
    """
    folder = Path(folder)
    for name, tensors in files.items():
        if not all_finite(tensors.values()):
            raise WeightsError(f"{folder / name}{SUFFIX}: would hold numbers that are not finite; it is not written")
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, tensors in files.items():
        data = serialized(tensors)
        write_atomically(folder / f"{name}{SUFFIX}", data)
        digests[f"{name}{SUFFIX}"] = hashlib.sha256(data).hexdigest()
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name not in digests:
            path.unlink()
    text = json.dumps({**config, "sha256": digests}, indent=2)
    write_atomically(folder / CONFIG_FILE, (text + "\n").encode())


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no tensor holds NaN or an infinity."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def count_numbers(build: Callable[[], nn.Module]) -> int:
    """How many numbers the weights of a network have; no memory is taken for them.

    A configuration is read before it is known to be that of the weights, and could ask for any amount of memory.
    """
    with _WithoutWeights():
        return sum(tensor.numel() for tensor in build().state_dict().values())


class _WithoutWeights(TorchFunctionMode):
    """Weights of networks take no memory and are not initialised.

    Only they: what else is computed of tensors without memory torch computes in Python, and compiles for seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:  # what layers make their weights with
            kwargs["device"] = "meta"
        elif getattr(func, "__module__", None) == "torch.nn.init" or func in LEFT_OUT:
            return args[0] if args else next(iter(kwargs.values()))
        elif func in (torch.mv, torch.vdot):
            return args[0].new_empty(args[0].shape[:-1])
        return func(*args, **kwargs)


def read_config(folder: str | PathLike[str]) -> dict[str, Any]:
    """The configuration in `folder`.

    Raises:
        WeightsError: when config.json is missing, unreadable, or has no digests.
    """
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        raise WeightsError(f"{folder}: no weights here, {CONFIG_FILE} is missing")
    try:
        config = read_json(path, MAX_CONFIG_BYTES)
    except FileError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise WeightsError(f"{path}: not a configuration of weights: {reason}") from error
    if not isinstance(config, dict) or not isinstance(config.get("sha256"), dict):
        raise WeightsError(f"{path}: not a configuration of weights: it has no sha256 of the weights")
    return config


def read_tensors(folder: str | PathLike[str], name: str) -> dict[str, Tensor]:
    """The tensors of NAME.safetensors in `folder`, on the CPU.

    Raises:
        WeightsError: when the file is missing or damaged, has another SHA-256 than config.json says, or holds a number
            that is not finite.
    """
    config, path = read_config(folder), Path(folder) / f"{name}{SUFFIX}"
    if not path.is_file():
        raise WeightsError(f"{folder}: no weights here, {path.name} is missing")
    try:
        data = read_bytes(path, MAX_WEIGHTS_BYTES)
        tensors = load(data)
    except FileError as error:
        raise WeightsError(str(error)) from error
    except (SafetensorError, *BROKEN) as error:
        raise WeightsError(f"{path}: not a safetensors file: {one_line(error)}") from error
    if not all_finite(tensors.values()):
        raise WeightsError(f"{path}: holds numbers that are not finite")
    if hashlib.sha256(data).hexdigest() != config["sha256"].get(path.name):
        raise WeightsError(f"{path}: its SHA-256 is not the one in {CONFIG_FILE}: the file was damaged or exchanged")
    return tensors


def load_weights(
    folder: str | PathLike[str], name: str, build: Callable[[dict[str, Any]], Network]
) -> tuple[Network, dict[str, Any]]:
    """A network with the weights of NAME.safetensors in `folder`, and its configuration.

    Args:
        folder: what `save_weights` wrote.
        name: of the file, without its suffix.
        build: makes the network of a configuration; whatever is wrong with that it may raise as `ValueError`.

    Raises:
        WeightsError: as `read_tensors`, for a configuration that `build` refuses, and for weights of another network.
    """
    config, path = read_config(folder), Path(folder) / f"{name}{SUFFIX}"
    if not path.is_file():
        raise WeightsError(f"{folder}: no weights here, {path.name} is missing")
    try:
        needed = count_numbers(lambda: build(config))
    except BROKEN as error:
        raise WeightsError(
            f"{Path(folder) / CONFIG_FILE}: not the configuration of {name}: {one_line(error)}"
        ) from error
    tensors = read_tensors(folder, name)
    given = sum(tensor.numel() for tensor in tensors.values())
    if needed > given:
        raise WeightsError(f"{path}: not the weights of this network, which has {needed:,} numbers, not {given:,}")
    network = build(config)
    try:
        network.load_state_dict(tensors)
    except BROKEN as error:
        raise WeightsError(f"{path}: not the weights of this network: {one_line(error)}") from error
    if not all_finite(network.state_dict().values()):  # of a wider type, whose numbers the network's cannot hold
        raise WeightsError(f"{path}: holds numbers that are too large for this network")
    return network, config
