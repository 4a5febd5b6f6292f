"""The run folder: what a training run writes, and all that evaluation and resuming read."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout

from toccata.agents.runs.config import TrainConfig
from toccata.errors import ToccataError
from toccata.files import read_bytes, write_atomically

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

CHECKPOINT_FILES = ("model.zip", "envs.npz", "state.json", "reward_models/rewards.json")  # a complete one has them
STEP_NAME = re.compile(r"step-(\d{10,})")
SEED_NAME = re.compile(r"seed-\d{1,10}")
LAST = "last"  # in checkpoints/: the link to the newest one
PUBLISHED = ("model.zip", "reward_models")  # links of the run folder into it
UNFINISHED_LINK = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")  # what `make_link` renames
NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
MAX_TEXT_BYTES = 2**20
LOG_FILE = "log.txt"  # what was paid, warnings, how each training ended, errors with their tracebacks


class RunError(ToccataError, ValueError):
    """A folder that is no run folder, or lacks a file; the message names both."""


@dataclass(frozen=True)
class Run:
    """A run folder.

    `checkpoints/last` is a link to the newest checkpoint, and `model.zip` and `reward_models/` are links into it: one
    rename publishes a checkpoint whole. Where the file system has no links, model.zip is a copy; see `published`.

    Attributes:
        folder: its path; it holds config.json, command.txt, versions.json, model.zip, reference.zip, reward_models/,
            signature.json, progress.csv, log.txt, TensorBoard events and checkpoints/.
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
        except (OSError, ValueError) as error:
            raise RunError(f"{folder}: cannot be made: {getattr(error, 'strerror', None) or error}") from error
        try:
            write_atomically(folder / "versions.json", (json.dumps(versions(), indent=2) + "\n").encode())
            write_atomically(folder / "command.txt", _as_line(command))
            (folder / "checkpoints").mkdir()
            write_atomically(folder / "config.json", (config.to_json() + "\n").encode())  # last: now it is a run
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # made above
            raise
        return cls(folder, config)

    @staticmethod
    def refuse_existing(folder: Path | None) -> None:
        """Raise RunError when `folder` is there already."""
        if folder is not None and (folder.exists() or folder.is_symlink()):
            resume = f", or resume it with --resume {shlex.quote(str(folder))}"
            hint = resume if (folder / "config.json").is_file() else ""
            raise RunError(f"{folder}: exists already; choose another --run-dir{hint}")

    def renew(self, config: TrainConfig, command: Sequence[str]) -> None:
        """Write the settings and append the command with which the run is resumed."""
        write_atomically(self.folder / "config.json", (config.to_json() + "\n").encode())
        path = self.folder / "command.txt"
        before = read_bytes(path, MAX_TEXT_BYTES) if path.exists() else b""
        write_atomically(path, before + _as_line(command))

    def log(self, event: str | BaseException) -> None:
        """Append a line, or an error with its traceback, to log.txt; a log that cannot be written is left."""
        text = event
        if isinstance(event, BaseException):
            text = "".join(traceback.format_exception(event)).rstrip()
        line = f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}\n"
        with suppress(OSError), (self.folder / LOG_FILE).open("ab") as file:
            file.write(line.encode("utf-8", "backslashreplace"))

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open an existing run folder.

        Raises:
            RunError: when it is no run folder, or has a link that leads out of it.
            ConfigError: when its settings cannot be read.
        """
        if not folder.is_dir():
            raise RunError(f"{folder}: no such run folder")
        if not (folder / "config.json").is_file():
            raise RunError(f"{folder}: not a run folder, {why_no_run(folder)}")
        for path in (*folder.iterdir(), *(folder / "checkpoints").glob("*")):
            if path.is_symlink() and not _is_own_link(path, folder):
                raise RunError(f"{path}: is a link that leads out of the run folder, or is none of a run; delete it")
        return cls(folder, TrainConfig.from_file(folder / "config.json", algorithm="ppo"))  # older runs name none

    @property
    def published(self) -> Path:
        """The folder that holds model.zip and reward_models/ of one moment: the run folder or a checkpoint.

        It is the newest checkpoint where the links of the run folder were lost, as by packing it into a zip file.

        Raises:
            RunError: when there is no model yet.
        """
        has_model = (self.folder / "model.zip").is_file()
        if has_model and (self.folder / "reward_models/rewards.json").is_file():
            return self.folder
        if (checkpoint := self.last_checkpoint()) is not None:
            return checkpoint
        if has_model:
            return self.folder
        raise RunError(f"{self.folder}: has no model.zip; its training was stopped before the first checkpoint")

    @property
    def has_model(self) -> bool:
        """Whether there is a model, so that `published` and `model_path` do not raise."""
        return (self.folder / "model.zip").is_file() or self.last_checkpoint() is not None

    @property
    def model_path(self) -> Path:
        """The trained model, which may be all that a run was shared with.

        Raises:
            RunError: when there is none yet.
        """
        path = self.folder / "model.zip"
        return path if path.is_file() else self.published / "model.zip"

    @property
    def reference_path(self) -> Path:
        """The reference policy: the model before PPO, after behaviour cloning."""
        return self.folder / "reference.zip"

    def checkpoints(self) -> list[Path]:
        """The complete checkpoints, the newest last; other things in their folder are ignored."""
        steps = {
            int(name[1]): path
            for path in (self.folder / "checkpoints").glob("step-*")
            if (name := STEP_NAME.fullmatch(path.name)) and is_complete(path)
        }
        return [steps[step] for step in sorted(steps)]

    def last_checkpoint(self) -> Path | None:
        """The newest complete checkpoint; None before PPO has begun."""
        return next(reversed(self.checkpoints()), None)

    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of `step`, to be written."""
        return Checkpoint(self.folder / "checkpoints" / f"step-{step:010d}")

    def publish(self, checkpoint: Path) -> None:
        """Make a folder in checkpoints/ the one that `model.zip` and `reward_models/` are in, by one rename.

        Raises:
            OSError: naming the link, when it cannot be made.
        """
        try:
            for path in (*self.folder.iterdir(), *(self.folder / "checkpoints").iterdir()):
                if path.is_symlink() and UNFINISHED_LINK.fullmatch(path.name):
                    path.unlink()  # of a process that was killed
            for name in PUBLISHED:
                make_link(self.folder / name, f"checkpoints/{LAST}/{name}")
            make_link(self.folder / "checkpoints" / LAST, checkpoint.name)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self._publish_copy(checkpoint)

    def _publish_copy(self, checkpoint: Path) -> None:
        """`publish` on a file system without links: model.zip only, so that it cannot be of another moment."""
        shutil.rmtree(self.folder / "reward_models", ignore_errors=True)
        if (checkpoint / "model.zip").is_file():
            write_atomically(self.folder / "model.zip", (checkpoint / "model.zip").read_bytes())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing this run; the lock ends with the process, however that ends.

        Raises:
            RunError: when another process holds the lock.
        """
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(f"{self.folder}: another process is training this run; wait for it, or stop it") from None
        except NotImplementedError:  # a file system without locks: nothing can be done
            yield
            return
        try:
            yield
        finally:
            lock.release()


class Checkpoint:
    """Writes a checkpoint folder that appears only when it is complete: `with run.checkpoint(n) as folder: ...`.

    A complete one of that step that is there already stays: between two rollouts a run has one state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.part = folder.with_name(folder.name + ".part")

    def __enter__(self) -> Path:
        if self.part.is_file() or self.part.is_symlink():
            self.part.unlink()
        shutil.rmtree(self.part, ignore_errors=True)
        self.part.mkdir(parents=True)
        return self.part

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None and not is_complete(self.folder):
            if self.folder.exists():  # of a run that was copied in part
                self.folder.rename(self.folder.with_name(f"{self.folder.name}.incomplete-{token_hex(4)}"))
            self.part.rename(self.folder)
        shutil.rmtree(self.part, ignore_errors=True)


def why_no_run(folder: Path) -> str:
    """Why a folder is no run, and which one is meant."""
    runs = seed_runs(folder)
    hint = f"; it holds runs of several seeds, such as {shlex.quote(str(runs[0]))}" if runs else ""
    return f"it has no config.json{hint}"


def seed_runs(folder: Path) -> list[Path]:
    """The runs in a folder that `--seeds` wrote, by seed; none for any other folder."""
    if (folder / "config.json").exists():
        return []
    runs = {
        int(path.name.removeprefix("seed-")): path for path in folder.glob("seed-*") if SEED_NAME.fullmatch(path.name)
    }
    return [runs[seed] for seed in sorted(runs) if (runs[seed] / "config.json").is_file()]


def is_complete(checkpoint: Path) -> bool:
    """Whether a folder has all files of a checkpoint."""
    return all((checkpoint / file).is_file() for file in CHECKPOINT_FILES)


def _is_own_link(path: Path, run_folder: Path) -> bool:
    """Whether a link is one that `Run.publish` makes, or was killed making, and leads to a place in the run folder."""
    final = UNFINISHED_LINK.fullmatch(path.name)
    name = path.relative_to(run_folder).with_name(final[1] if final else path.name).as_posix()
    try:
        inside = path.resolve().is_relative_to(run_folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        return False
    return inside and name in (*PUBLISHED, f"checkpoints/{LAST}")


def make_link(path: Path, target: str) -> None:
    """Make `path` a link to `target`, in place of whatever it was, by one rename.

    Raises:
        OSError: naming `path`, when it cannot be made.
    """
    if path.is_symlink() and path.readlink() == Path(target):
        return
    part = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        part.symlink_to(target)
        if path.is_dir() and not path.is_symlink():  # of a run that was copied without links
            shutil.rmtree(path)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None


def _as_line(command: Sequence[str]) -> bytes:
    """A command as a line of command.txt; arguments may be names of files, which are any bytes."""
    return os.fsencode(shlex.join(command) + "\n")


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
