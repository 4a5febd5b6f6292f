"""The run folder: what a training run leaves behind, and all that evaluation and resuming need."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import platform
import random
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toccata.agents.config import TrainConfig

PACKAGES = (
    "toccata",
    "gymnasium",
    "music21",
    "numba",
    "numpy",
    "pretty_midi",
    "pyfluidsynth",
    "sb3-contrib",
    "stable-baselines3",
    "torch",
)


class RunError(ValueError):
    """A run folder that is not what it should be; the message names it and says what is missing."""


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: where it lies; it holds config.json, command.txt, versions.json, model.zip, reward_models/,
            progress.csv, TensorBoard events and checkpoints/.
        config: its settings.
    """

    folder: Path
    config: TrainConfig

    @classmethod
    def create(cls, config: TrainConfig, command: Sequence[str]) -> Run:
        """Make a new run folder.

        Raises:
            RunError: when the folder exists already; nothing in it is touched.
        """
        folder = config.run_dir or next_free(Path("runs"))
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            cls.refuse_existing(folder)
            raise
        except OSError as error:
            raise RunError(f"{folder}: cannot be made: {error.strerror}") from error
        (folder / "config.json").write_text(config.to_json() + "\n")
        (folder / "command.txt").write_text(shlex.join(command) + "\n")
        (folder / "versions.json").write_text(json.dumps(versions(), indent=2) + "\n")
        (folder / "reward_models").mkdir()
        (folder / "checkpoints").mkdir()
        return cls(folder, config)

    @staticmethod
    def refuse_existing(folder: Path | None) -> None:
        """Raise RunError when `folder` is there already."""
        if folder is not None and (folder.exists() or folder.is_symlink()):
            hint = f", or go on with --resume {folder}" if (folder / "config.json").is_file() else ""
            raise RunError(f"{folder}: exists already; choose another --run-dir{hint}")

    def renew(self, config: TrainConfig, command: Sequence[str]) -> None:
        """Note the settings and the command with which the run goes on."""
        part = self.folder / "config.json.part"
        part.write_text(config.to_json() + "\n")
        part.replace(self.folder / "config.json")
        with (self.folder / "command.txt").open("a") as file:
            file.write(shlex.join(command) + "\n")

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open an existing run folder.

        Raises:
            RunError: when it is none.
        """
        if not folder.is_dir():
            raise RunError(f"{folder}: no such run folder")
        if not (folder / "config.json").is_file():
            raise RunError(f"{folder}: not a run folder, it has no config.json")
        return cls(folder, TrainConfig.from_json(folder / "config.json"))

    @property
    def model_path(self) -> Path:
        """The trained model.

        Raises:
            RunError: when there is none yet.
        """
        path = self.folder / "model.zip"
        if not path.is_file():
            raise RunError(f"{self.folder}: has no model.zip; its training did not get that far")
        return path

    @property
    def start_path(self) -> Path:
        """The model after behaviour cloning, before PPO."""
        return self.folder / "start.zip"

    def last_checkpoint(self) -> Path | None:
        """The newest complete checkpoint; None when training has not come to PPO."""
        done = sorted(path for path in (self.folder / "checkpoints").glob("step-*") if path.suffix != ".part")
        return done[-1] if done else None

    def checkpoint(self, step: int) -> Checkpoint:
        """A checkpoint to be written at `step`."""
        return Checkpoint(self.folder / "checkpoints" / f"step-{step:010d}")


class Checkpoint:
    """Writes a checkpoint folder that appears only when it is complete: `with run.checkpoint(n) as folder: ...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.part = folder.with_name(folder.name + ".part")

    def __enter__(self) -> Path:
        shutil.rmtree(self.part, ignore_errors=True)
        self.part.mkdir(parents=True)
        return self.part

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.part.rename(self.folder)
        else:
            shutil.rmtree(self.part, ignore_errors=True)


def next_free(parent: Path, stem: str = "run") -> Path:
    """The first of `parent/stem-1`, `parent/stem-2`, ... that does not exist."""
    number = 1
    while (parent / f"{stem}-{number}").exists():
        number += 1
    return parent / f"{stem}-{number}"


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    packages = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "platform": platform.platform(), **packages}


# Chance, so that a resumed run goes on exactly


def random_state(**generators: np.random.Generator) -> dict[str, Any]:
    """The state of every source of chance as what JSON holds: Python's, NumPy's, torch's and `generators`."""
    import torch

    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002  # SB3 draws from it
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, list(map(int, keys)), position, has_gauss, cached],
        "torch": torch.get_rng_state().tolist(),
        **{key: generator.bit_generator.state for key, generator in generators.items()},
    }


def set_random_state(state: dict[str, Any], **generators: np.random.Generator) -> None:
    """Put every source of chance back to what `random_state` noted."""
    import torch

    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(  # noqa: NPY002  # SB3 draws from it
        (name, np.array(keys, np.uint32), position, has_gauss, cached)
    )
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    for key, generator in generators.items():
        generator.bit_generator.state = state[key]


# Progress


class Progress:
    """progress.csv: one row a rollout, columns added as they come; rows after `until_step` are of a lost future."""

    def __init__(self, path: Path, until_step: int = 0) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            self.rows = [row for row in rows if float(row.get("time/total_timesteps") or 0) <= until_step]

    def add(self, row: dict[str, Any]) -> None:
        """Write a row; the file is whole after every row."""
        self.rows.append(row)
        columns = sorted({key for each in self.rows for key in each})
        part = self.path.with_suffix(".csv.part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        part.replace(self.path)


def command_line() -> list[str]:
    """The command this process was started with."""
    return [Path(sys.executable).name, *sys.argv]
