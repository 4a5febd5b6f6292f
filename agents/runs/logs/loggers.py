"""The loggers of `--logger`, as writers of Stable-Baselines3: TensorBoard, Weights & Biases, Trackio.

progress.csv is part of the run folder and always written, by `toccata.agents.runs.logs.progress`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from types import ModuleType
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

from toccata.agents.runs.config import TrainConfig
from toccata.errors import one_line
from toccata.files import FileError, read_bytes, write_atomically
from toccata.settings.options import ConfigError

PROJECT = "toccata"  # of Weights & Biases and of Trackio, unless WANDB_PROJECT or TRACKIO_PROJECT name another
WANDB_ID_FILE = "wandb-id.txt"  # in the run folder: what a resumed run continues
MAX_ID_BYTES = 128


def check_loggers(config: TrainConfig) -> None:
    """Import what the loggers of a run need.

    Raises:
        ConfigError: naming the package to install.
    """
    for name in config.logger:
        if name in ("wandb", "trackio"):
            _package(name)


def open_loggers(config: TrainConfig, folder: Path, step: int) -> list[KVWriter]:
    """The writers of a run's loggers, but for progress.csv.

    Args:
        config: of the run; it is shown as the run's configuration.
        folder: of the run.
        step: that the run begins or is resumed at.

    Raises:
        ConfigError: when the package of a logger is missing, or fails.
    """
    openers: dict[str, Callable[[], list[KVWriter]]] = {
        "csv": list,
        "tensorboard": lambda: tensorboard_output(folder),
        "wandb": lambda: [WandbWriter(config, folder)],
        "trackio": lambda: [TrackioWriter(config, folder, step)],
    }
    writers: list[KVWriter] = []
    try:
        for name in dict.fromkeys(config.logger):
            writers += openers[name]()
    except BaseException:
        for writer in writers:
            writer.close()
        raise
    return writers


def writers_of(logger: KVWriter | Logger | Sequence[KVWriter]) -> list[KVWriter]:
    """The writers of a logger of Stable-Baselines3, of a list of writers, or of a single one.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(logger, Logger):
        return list(logger.output_formats)
    writers = [logger] if isinstance(logger, KVWriter) else list(logger)
    for writer in writers:
        if not isinstance(writer, KVWriter):
            raise TypeError(f"logger must be Stable-Baselines3's KVWriters or a Logger, got {type(writer).__name__}")
    return writers


def tensorboard_output(folder: Path) -> list[KVWriter]:
    """TensorBoard's events in `folder`; none where its name is not UTF-8, which TensorBoard needs."""
    try:
        str(folder.resolve()).encode()
    except UnicodeEncodeError:
        return []
    return [TensorBoardOutputFormat(str(folder))]


class WandbWriter(KVWriter):
    """Writes to Weights & Biases; a resumed run is continued under the id in its folder, wandb-id.txt.

    Project, entity and mode are those of wandb's environment variables, such as WANDB_MODE=offline.

    Raises:
        ConfigError: when wandb is missing or cannot begin.
    """

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        wandb = _package("wandb")
        path = folder / WANDB_ID_FILE
        try:
            run_id = read_bytes(path, MAX_ID_BYTES).decode().strip() if path.is_file() else token_hex(4)
            self.run = wandb.init(
                project=_project("WANDB_PROJECT"),
                name=folder.name,
                group=folder.absolute().parent.name,
                dir=str(folder),
                config=json.loads(config.to_json()),
                id=run_id,
                resume="allow",
            )
        except FileError as error:
            raise ConfigError(str(error)) from error
        except Exception as error:  # wandb raises its own, which are not imported here
            raise ConfigError(f"logger wandb: cannot begin: {one_line(error)}; or set WANDB_MODE=offline") from error
        write_atomically(path, f"{run_id}\n".encode())

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Log one row of numbers."""
        self.run.log(numbers(key_values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


class TrackioWriter(KVWriter):
    """Writes to Trackio, locally unless TRACKIO_SPACE_ID names a Space; a resumed run adds to the one of its name.

    Raises:
        ConfigError: when trackio is missing or cannot begin.
    """

    def __init__(self, config: TrainConfig, folder: Path, step: int) -> None:
        trackio = _package("trackio")
        try:
            self.run = trackio.init(
                project=_project("TRACKIO_PROJECT"),
                name=f"{folder.absolute().parent.name}-{folder.name}",
                config=json.loads(config.to_json()),
                resume="allow" if step else "never",
            )
        except Exception as error:  # as above
            raise ConfigError(f"logger trackio: cannot begin: {one_line(error)}") from error
        self.trackio = trackio

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Log one row of numbers."""
        self.trackio.log(numbers(key_values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self.trackio.finish()


def numbers(values: dict[str, Any]) -> dict[str, float]:
    """The numbers among logged values; pictures, sounds and texts are left out."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    }


def _package(name: str) -> ModuleType:
    """The package of a logger.

    Raises:
        ConfigError: when it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"logger {name} needs the package {name} ({one_line(error)}): pip install 'toccata[{name}]'"
        ) from error


def _project(variable: str) -> str:
    """The project that an environment variable names, else Toccata's."""
    return os.environ.get(variable) or PROJECT
