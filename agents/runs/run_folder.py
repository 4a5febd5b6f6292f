"""The run folder: what a training run writes, and all that evaluation and resuming read."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toccata.agents.runs.config import TrainConfig
from toccata.errors import ToccataError

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


class RunError(ToccataError, ValueError):
    """A folder that is no run folder, or lacks a file; the message names both."""


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: its path; it holds config.json, command.txt, versions.json, model.zip, reward_models/,
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
            hint = f", or resume it with --resume {folder}" if (folder / "config.json").is_file() else ""
            raise RunError(f"{folder}: exists already; choose another --run-dir{hint}")

    def renew(self, config: TrainConfig, command: Sequence[str]) -> None:
        """Write the settings and append the command with which the run is resumed."""
        part = self.folder / "config.json.part"
        part.write_text(config.to_json() + "\n")
        part.replace(self.folder / "config.json")
        with (self.folder / "command.txt").open("a") as file:
            file.write(shlex.join(command) + "\n")

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open an existing run folder.

        Raises:
            RunError: when it is no run folder.
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
            raise RunError(f"{self.folder}: has no model.zip; its training was stopped before the first checkpoint")
        return path

    @property
    def reference_path(self) -> Path:
        """The reference policy: the model before PPO, after behaviour cloning."""
        return self.folder / "reference.zip"

    def last_checkpoint(self) -> Path | None:
        """The newest complete checkpoint; None before PPO has begun."""
        done = sorted(path for path in (self.folder / "checkpoints").glob("step-*") if path.suffix != ".part")
        return done[-1] if done else None

    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of `step`, to be written."""
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
    """Versions of Python, platform and packages."""
    packages = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "platform": platform.platform(), **packages}


def command_line() -> list[str]:
    """The command this process was started with."""
    return [Path(sys.executable).name, *sys.argv]
