"""Reward models that learn along with the agent, and the state of reward models on disk.

A reward model learns when it has the method `update(pieces, real, rng)`; with `state_dict` and `load_state_dict` its
state is saved with a run, and restored when the run is resumed or evaluated:

    FOLDER/state.json            the structure of the state, and all values that are no arrays
    FOLDER/state.safetensors     its tensors and arrays

Nothing is unpickled.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors.torch import load

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError
from toccata.errors import ToccataError, one_line
from toccata.files import read_bytes, read_json, write_atomically
from toccata.settings.options import shown
from toccata.user_code import guarded, type_and_message
from toccata.weights import MAX_WEIGHTS_BYTES, serialized

STRUCTURE_FILE, ARRAYS_FILE = "state.json", "state.safetensors"
MAX_DEPTH = 50  # of dicts and lists in a state
# Groups whose quantities a run logs itself
LOGGED_GROUPS = ("reward", "gate", "lagrangian", "violation", "kl", "music", "rollout", "time", "train")
SIGNATURE = "update(pieces, real, rng)"


@runtime_checkable
class LearningRewardModel(RewardModel, Protocol):
    """A reward model that is trained along with the agent, after each rollout."""

    def update(self, pieces: Pieces, real: Pieces, rng: np.random.Generator) -> dict[str, float]:
        """Learn from the pieces that the agent finished in a rollout.

        Args:
            pieces: of the agent, at least one.
            real: as many excerpts of the run's real music, as the instrument plays them, as long as the agent's.
            rng: the only source of randomness that is restored when a run is resumed.

        Returns:
            finite numbers to log, as TERM/name.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that `update` changes: dicts, lists and tuples of tensors, arrays, numbers, texts, booleans and None."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Restore what `state_dict` returned; tensors are on the CPU."""
        ...


def learns(model: RewardModel) -> bool:
    """Whether a reward model has the method `update(pieces, real, rng)`; the first may have another name."""
    parameters = _update_parameters(model)
    return parameters is not None and len(parameters) == 3 and parameters[1:] == ["real", "rng"]


def has_state(model: RewardModel) -> bool:
    """Whether a reward model has `state_dict` and `load_state_dict`."""
    return callable(getattr(model, "state_dict", None)) and callable(getattr(model, "load_state_dict", None))


def check_learning(model: RewardModel, term: str) -> list[str]:
    """Check before training that a reward model's state can be saved and restored.

    Returns:
        warnings, a line each: of a state that is not kept, and of an `update` that is no training.

    Raises:
        RewardModelError: naming the term, when `load_state_dict` does not restore what `state_dict` returned, or the
            term of a model that learns is the name of a group of logged quantities.
    """
    who = f"reward model {term!r}"
    if has_state(model):
        check_state(model, term)
    parameters = _update_parameters(model)
    if not learns(model):
        if parameters is None:
            return []
        arguments = ", ".join(parameters)
        return [f"{who} has a method update({arguments}); only {SIGNATURE} trains it, so it stays as it is"]
    if term in LOGGED_GROUPS:
        raise RewardModelError(
            f"{who} learns, so its name must not be {', '.join(LOGGED_GROUPS)}, which are logged too"
        )
    if not has_state(model):
        return [
            f"{who} learns, but has no state_dict() and load_state_dict(state): what it learns is not saved, and the "
            "run begins with a new one when it is resumed or evaluated"
        ]
    return []


def check_state(model: RewardModel, term: str) -> None:
    """Check that the state of a reward model can be saved, and that restoring it changes nothing.

    Raises:
        RewardModelError: naming the term and the reason.
    """
    who = f"reward model {term!r}"
    before = _as_bytes(model, who)
    _call(who, "load_state_dict", model, _value(json.loads(before[0]), load(before[1])))
    if _as_bytes(model, who) != before:
        raise RewardModelError(f"{who}: after load_state_dict(state_dict()) its state_dict() is another one")


def updated(model: RewardModel, term: str, pieces: Pieces, real: Pieces, rng: np.random.Generator) -> dict[str, float]:
    """Train a reward model that learns; what it returned, checked.

    Raises:
        RewardModelError: naming the term, when it fails, or returns anything but finite numbers by name.
    """
    who = f"reward model {term!r}"
    result = _call(who, "update", model, pieces, real, rng)
    if not isinstance(result, Mapping):
        raise RewardModelError(f"{who}: update must return a dict of numbers, got {shown(result)}")
    numbers = {}
    for name, value in result.items():
        if not isinstance(name, str) or not name.isprintable() or not name.strip():
            raise RewardModelError(f"{who}: update must return numbers by name, got the name {shown(name)}")
        try:
            numbers[name] = float(value)
        except Exception:  # the conversion of a custom type may raise anything
            raise RewardModelError(f"{who}: update must return numbers, got {name} = {shown(value)}") from None
        if not isfinite(numbers[name]):
            raise RewardModelError(f"{who}: update must return finite numbers, got {name} = {numbers[name]}")
    return numbers


# Files


def save_state(model: RewardModel, term: str, folder: Path) -> None:
    """Write the state of a reward model into `folder`, which is made.

    Raises:
        RewardModelError: naming the term, when its state holds anything that cannot be saved.
        OSError: naming the file, when it cannot be written.
    """
    structure, arrays = _as_bytes(model, f"reward model {term!r}")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / STRUCTURE_FILE, structure)
    write_atomically(folder / ARRAYS_FILE, arrays)


def load_state(model: RewardModel, term: str, folder: Path) -> None:
    """Give a reward model the state that `save_state` wrote.

    Raises:
        FileError: naming a file that cannot be read.
        RewardModelError: naming the term, when it does not take that state.
    """
    who = f"reward model {term!r}"
    if not has_state(model):
        raise RewardModelError(f"{who}: {folder} holds its state, but it has no load_state_dict any more")
    structure = read_json(folder / STRUCTURE_FILE, MAX_WEIGHTS_BYTES)
    _call(who, "load_state_dict", model, _value(structure, load(read_bytes(folder / ARRAYS_FILE, MAX_WEIGHTS_BYTES))))


def _as_bytes(model: Any, who: str) -> tuple[bytes, bytes]:
    """The state of a model as the bytes of its two files."""
    state = _call(who, "state_dict", model)
    tensors: dict[str, torch.Tensor] = {}
    where = f"{who}: state_dict()"
    structure = _structure(state, tensors, where)
    try:
        return json.dumps(structure).encode(), serialized({name: tensor.clone() for name, tensor in tensors.items()})
    except Exception as error:  # safetensors has no complex, sparse or quantized tensors
        raise RewardModelError(f"{where} holds a tensor that cannot be saved: {type_and_message(error)}") from error


def _structure(value: Any, tensors: dict[str, torch.Tensor], where: str, depth: int = 0) -> Any:
    """A state as JSON, in which `{"tensor": N}` stands for `tensors["N"]`, to which tensors and arrays are added."""
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if isinstance(value, float):
        return float(value) if isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return _structure(value.item(), tensors, where, depth)
    if isinstance(value, (torch.Tensor, np.ndarray)):
        name = str(len(tensors))
        try:
            tensors[name] = _as_tensor(value)
        except Exception as error:  # torch raises many kinds for what it cannot copy
            raise RewardModelError(f"{where} is {_kind(value)}, which cannot be saved: {one_line(error)}") from error
        return {"array" if isinstance(value, np.ndarray) else "tensor": name}
    if depth == MAX_DEPTH:
        raise RewardModelError(f"{where} is nested more than {MAX_DEPTH} times")
    if isinstance(value, Mapping):
        items = []
        for key, each in value.items():
            if not isinstance(key, (str, int)):
                raise RewardModelError(f"{where} has the key {shown(key)}; keys must be texts or whole numbers")
            items.append([key, _structure(each, tensors, f"{where}[{key!r}]", depth + 1)])
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_structure(each, tensors, f"{where}[{i}]", depth + 1) for i, each in enumerate(value)]}
    raise RewardModelError(
        f"{where} is a {type(value).__name__}; a state holds dicts, lists and tuples of tensors, arrays, numbers, "
        "texts, booleans and None"
    )


def _as_tensor(value: torch.Tensor | np.ndarray) -> torch.Tensor:
    """A tensor or array on the CPU, in the byte order of the machine."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))  # a copy
    return value.detach().cpu()


def _kind(value: torch.Tensor | np.ndarray) -> str:
    """What a tensor or array is, in a message."""
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _value(structure: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The inverse of `_structure`."""
    if not isinstance(structure, dict):
        return structure
    ((kind, content),) = structure.items()
    if kind == "dict":
        return {key: _value(each, tensors) for key, each in content}
    if kind in ("list", "tuple"):
        values = [_value(each, tensors) for each in content]
        return tuple(values) if kind == "tuple" else values
    if kind == "float":
        return float(content)
    return tensors[content].numpy() if kind == "array" else tensors[content]


def _call(who: str, method: str, model: Any, *arguments: Any) -> Any:
    """The result of a method of a model; its errors as `RewardModelError`."""
    try:
        with guarded(f"{who}: {method}", RewardModelError):
            return getattr(model, method)(*arguments)
    except ToccataError:
        raise
    except Exception as error:  # a user's model may raise anything, and the message must name the model
        raise RewardModelError(f"{who}: {method} raised {type_and_message(error)}") from error


def _update_parameters(model: Any) -> list[str] | None:
    """Names of the parameters of the method `update`; None without one that is written in Python."""
    update = getattr(model, "update", None)
    if not callable(update):
        return None
    try:
        return list(inspect.signature(update).parameters)
    except (ValueError, TypeError):  # such as dict.update
        return None
