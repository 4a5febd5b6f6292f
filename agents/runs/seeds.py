"""`--seeds`: a run for each seed, side by side as processes on the cores there are, and a table of all of them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.logs.progress import STEP_COLUMN, ProgressError, number_in, read_rows
from toccata.agents.runs.run_folder import Run, next_free
from toccata.errors import ToccataError
from toccata.files import write_atomically
from toccata.interrupts import Interrupted, on_signals

SETTINGS_FILE = "settings.json"  # in the folder of the runs: their settings but for the seed
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
POLL_SECONDS = 0.5
# Quantities of the table, by the start of their name
SHOWN = ("reward/", "gate/", "lagrangian/", "music/", "kl/nats_per_piece", "rating/")


class SeedsError(ToccataError, RuntimeError):
    """Runs of some seeds have failed; names them and their logs."""


@dataclass
class SeedRun:
    """The training of one seed, in a process of its own.

    Attributes:
        seed: of the run.
        folder: of the run.
        log: file of what the process prints.
        process: None before it begins.
        signalled: whether a signal was sent to it.
    """

    seed: int
    folder: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    signalled: bool = False

    @property
    def running(self) -> bool:
        """Whether the process has begun and not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended otherwise than by finishing."""
        return self.process is not None and self.process.returncode not in (None, 0)

    @property
    def begun(self) -> bool:
        """Whether there is a run that can be resumed."""
        return (self.folder / "config.json").is_file()

    @property
    def error(self) -> str | None:
        """The error that the process printed; None where it printed none, as when it was killed."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return errors[-1] if errors else None

    @property
    def message(self) -> str:
        """Why it has failed."""
        status = self.process.returncode if self.process is not None else None
        return self.error or f"exit status {status}"

    def rows(self) -> list[dict[str, str]]:
        """The rows of progress.csv; none while there are none to be read."""
        try:
            return read_rows(self.folder / "progress.csv")
        except ProgressError:
            return []

    def begin(self, settings: Path, threads: int) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "toccata", "train", "--config", str(settings)]
        command += ["--seed", str(self.seed), "--run-dir", str(self.folder)]
        environment = {
            **os.environ,
            **{name: threads_of(name, threads) for name in THREAD_VARIABLES},
            "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),  # modules of the user's own
        }
        with self.log.open("wb") as file:
            self.process = _own_group(command, environment, file)

    def send(self, number: int) -> None:
        """Send a signal, if the process is running."""
        if self.process is not None and self.running:
            self.signalled = True
            self.process.send_signal(number)


def train_seeds(config: TrainConfig, command: Sequence[str] = (), console: Console | None = None) -> list[Run]:
    """Train a run for each of `config.seeds`, as many at a time as there are cores.

    Each is the run that `--seed` alone gives with as many threads. Signals stop all of them as they stop one.

    Args:
        config: with `seeds`; its `run_dir` is the folder of the runs seed-N, by default the next free runs/run-N.
        command: is written into that folder.
        console: shows progress, and the table at the end.

    Raises:
        RunError: when the folder exists.
        SeedsError: when some have failed, after the others are trained.
        Interrupted: after a signal; the message says how to resume.
    """
    console = console or Console(stderr=True)
    Run.refuse_existing(config.run_dir)
    folder = config.run_dir or next_free(Path("runs"))
    folder.mkdir(parents=True)
    write_atomically(folder / "command.txt", (shlex.join(command) + "\n").encode("utf-8", "surrogateescape"))
    settings = json.loads(config.to_json())
    del settings["seed"]
    write_atomically(folder / SETTINGS_FILE, (json.dumps(settings, indent=2) + "\n").encode())
    runs = [SeedRun(seed, folder / f"seed-{seed}", folder / f"seed-{seed}.log") for seed in config.seeds]
    at_once, threads = shares(len(runs), cores())
    console.print(f"{folder}: {at_once} of {len(runs)} at a time, {threads} threads each", soft_wrap=True, markup=False)
    received = _run_all(runs, folder / SETTINGS_FILE, at_once, threads, config.total_timesteps, console)
    errors = [run.error for run in runs if run.error is not None]
    if len(errors) == len(runs) and not any(run.folder.exists() for run in runs) and not received:
        shutil.rmtree(folder)  # made above; no run has begun, and the logs hold no more than the errors
        raise SeedsError(errors[0])
    trained = [run for run in runs if run.process is not None and run.process.returncode == 0]
    if received:
        raise Interrupted(_how_to_go_on([run for run in runs if run not in trained], folder, threads), received[0])
    if trained:
        console.print(summary(trained))
        each = " && ".join(f"python evaluate.py {shlex.quote(str(run.folder))}" for run in trained)
        console.print(
            f"evaluate them with: {each}\nthen compare them with: toccata compare {shlex.quote(str(folder))}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
    if failed := [run for run in runs if run.failed]:
        reasons = "; ".join(f"seed {run.seed}: {run.message} (all of it is in {run.log})" for run in failed)
        raise SeedsError(f"{len(failed)} of {len(runs)} runs failed: {reasons}")
    return [Run.open(run.folder) for run in trained]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(name: str, threads: int) -> str:
    """The value of one of `THREAD_VARIABLES` in the process of a run: the user's own, or the run's share."""
    return os.environ.get(name, str(threads))


def shares(runs: int, cores: int) -> tuple[int, int]:
    """How many of the runs are trained at a time, and the threads of each."""
    at_once = min(runs, cores)
    return at_once, cores // at_once


def summary(runs: Sequence[SeedRun]) -> Table:
    """The last value of each quantity: mean and standard deviation over the seeds, and that of each seed."""
    table = Table("quantity", "mean ± sd", *(f"seed {run.seed}" for run in runs))
    last = [last_values(run.rows()) for run in runs]
    for name in sorted({name for values in last for name in values if name.startswith(SHOWN)}):
        values = np.array([each.get(name, np.nan) for each in last])
        known = values[~np.isnan(values)]
        spread = f" ± {known.std(ddof=1):.3g}" if len(known) > 1 else ""
        table.add_row(name, f"{known.mean():.3g}{spread}", *(f"{value:.3g}" for value in values))
    return table


def last_values(rows: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """The last value of each column of progress.csv that has one."""
    values: dict[str, float] = {}
    for row in rows:
        for name in row:
            number = number_in(dict(row), name, "progress.csv")
            if not np.isnan(number):
                values[name] = number
    return values


def _run_all(
    runs: Sequence[SeedRun], settings: Path, at_once: int, threads: int, total: int, console: Console
) -> list[int]:
    """Train all runs under progress bars; the signals that arrived."""
    received: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        received.append(number)
        for run in runs:
            run.send(number)

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    bar = Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console)
    with bar, on_signals(on_signal):
        tasks = {run.seed: bar.add_task(f"seed {run.seed}", total=total, note="") for run in runs}
        seen: dict[int, int] = {}
        try:
            while True:
                waiting = [run for run in runs if run.process is None]
                if waiting and not received and sum(run.running for run in runs) < at_once:
                    waiting[0].begin(settings, threads)
                    if received and not waiting[0].signalled:  # it arrived while the process was being made
                        waiting[0].send(received[-1])
                    continue
                _show(runs, bar, tasks, seen)
                if not any(run.running for run in runs):
                    break
                time.sleep(POLL_SECONDS)
        except BaseException:
            for run in runs:
                run.send(signal.SIGTERM)
            raise
        _show(runs, bar, tasks, seen)
    return received


def _show(runs: Sequence[SeedRun], bar: Progress, tasks: Mapping[int, TaskID], seen: dict[int, int]) -> None:
    """Bring the bars to the rows of progress.csv that are new."""
    for run in runs:
        path = run.folder / "progress.csv"
        changed = path.stat().st_mtime_ns if path.exists() else 0
        if changed != seen.get(run.seed, 0) and (rows := run.rows()):
            seen[run.seed] = changed
            values = last_values(rows[-1:])
            reward = f"reward {values['reward/total']:.2f}" if "reward/total" in values else ""
            bar.update(tasks[run.seed], completed=values.get(STEP_COLUMN, 0), note=reward)
        if run.failed:
            bar.update(tasks[run.seed], note="stopped")


def _own_group(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process in a group of its own: Ctrl-C in a terminal reaches this process, which passes it on once."""
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def _how_to_go_on(runs: Sequence[SeedRun], folder: Path, threads: int) -> str:
    """What was stopped, and the commands that end it in the same place as if it had not been."""
    variables = " ".join(f"{name}={threads_of(name, threads)}" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"))
    command = f"{variables} toccata train"
    begun, rest = [run for run in runs if run.begun], [run for run in runs if not run.begun]
    parts = [f"stopped seeds {_names(begun)}"] if begun else ["stopped"]
    if begun:
        how = "; ".join(f"{command} --resume {shlex.quote(str(run.folder))}" for run in begun)
        parts.append(f"resume each with {how}")
    if rest:
        settings, place = shlex.quote(str(folder / SETTINGS_FILE)), shlex.quote(str(folder / "seed-N"))
        parts.append(f"seeds {_names(rest)} have not begun")
        parts.append(f"train each N of them with {command} --config {settings} --seed N --run-dir {place}")
    return "; ".join(parts)


def _names(runs: Sequence[SeedRun]) -> str:
    """The seeds of runs."""
    return ", ".join(str(run.seed) for run in runs)
