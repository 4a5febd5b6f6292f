"""What resumes a fit: weights, counts and optimizer moments as safetensors, losses as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toccata.errors import one_line
from toccata.files import whole_folder
from toccata.weights import BROKEN, CONFIG_FILE, WeightsError, read_config, read_tensors, save_weights


def save_state(folder: Path, parts: Mapping[str, Mapping[str, Tensor]], about: Mapping[str, Any]) -> None:
    """Write a state into `folder`, in place of an earlier one, which stays until the new one is complete.

    Args:
        folder: one for each genre in `FitJob.checkpoint`.
        parts: tensors by name, for each model and optimizer.
        about: JSON values.
    """
    with whole_folder(folder, "replace") as part:
        save_weights(part, parts, about)


def load_state(folder: Path, parts: Iterable[str]) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """The tensors of `parts` and the JSON values that `save_state` wrote; None where it has written nothing.

    Raises:
        WeightsError: naming the file that is missing or damaged.
    """
    if not (folder / CONFIG_FILE).is_file():
        return None
    return {name: read_tensors(folder, name) for name in parts}, read_config(folder)


@contextmanager
def reading_state(folder: Path) -> Iterator[None]:
    """A block that makes use of a state in `folder`.

    Raises:
        WeightsError: naming it, when it is not the state of what the block fits.
    """
    try:
        yield
    except WeightsError:
        raise
    except BROKEN as error:
        raise WeightsError(f"{folder}: does not resume this fit: {one_line(error)}; delete its folder") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer, as `INDEX/NAME` of what it keeps of each parameter."""
    state = optimizer.state_dict()["state"]
    return {f"{index}/{name}": tensor for index, kept in state.items() for name, tensor in kept.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
