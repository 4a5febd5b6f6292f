"""Checkpoints of `fit-prior`: what resumes an interrupted fit, in a folder beside the one that the prior goes to."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from toccata.agents.prior.fitting.maximum_likelihood import FitResult, FitState
from toccata.settings.options import ConfigError
from toccata.weights import BROKEN, CONFIG_FILE, WeightsError, read_config, read_tensors, save_weights

STATE_NAME = "state"
PARTS = ("network", "best", "optimizers")


def checkpoint_folder(out: Path) -> Path:
    """Where the checkpoint of the fit into `out` is."""
    return out.with_name(f"{out.name}.checkpoint")


def save_checkpoint(folder: Path, state: FitState, fit: Mapping[str, Any]) -> None:
    """Write `state` into `folder`, in place of an earlier one.

    Args:
        folder: of `checkpoint_folder`; is made if it is missing.
        state: after an epoch.
        fit: JSON values that say which fit it is of; `load_checkpoint` compares them.
    """
    tensors = {f"network/{name}": tensor for name, tensor in state.network.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in state.best.items()}
    for name, kept in state.optimizers.items():
        tensors |= {f"optimizers/{name}/{key}": tensor for key, tensor in kept.items()}
    about = {"fit": dict(fit), "result": asdict(state.result), "seconds": state.seconds}
    save_weights(folder, {STATE_NAME: tensors}, {**about, "done": state.done})


def load_checkpoint(folder: Path, fit: Mapping[str, Any]) -> FitState:
    """Read what `save_checkpoint` wrote, on the CPU.

    Raises:
        ConfigError: when there is none, and when it is of another fit than `fit`, naming the difference.
        WeightsError: when a file is damaged.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{folder}: there is no checkpoint to resume from; leave out --resume")
    config = read_config(folder)
    tensors: dict[str, dict[str, Any]] = {part: {} for part in PARTS}
    try:
        for name, value in fit.items():
            if config["fit"].get(name) != value:
                raise ConfigError(
                    f"{folder}: is of a fit with {name} {config['fit'].get(name)!r}, not {value!r}; "
                    "give the same options to resume it"
                )
        for name, tensor in read_tensors(folder, STATE_NAME).items():
            part, _, rest = name.partition("/")
            if part == "optimizers":
                parameter, _, key = rest.rpartition("/")
                tensors[part].setdefault(parameter, {})[key] = tensor
            else:
                tensors[part][rest] = tensor
        result = FitResult(**config["result"])
        return FitState(result, **tensors, seconds=config["seconds"], done=config["done"])
    except (ConfigError, WeightsError):
        raise
    except BROKEN as error:
        raise WeightsError(f"{folder / CONFIG_FILE}: is no checkpoint of a fit") from error


def delete_checkpoint(folder: Path) -> None:
    """Delete the checkpoint in `folder`, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)
