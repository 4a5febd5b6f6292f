"""`--seeds`: runs side by side, each as it would be alone; failures are named, signals passed on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import IO, Any

import pytest
from rich.console import Console

from helpers.runs import Toy, assert_equal_runs, resumed_config, train_quietly
from toccata.agents.runs import seeds
from toccata.agents.runs.config import read_settings
from toccata.agents.runs.run_folder import RunError
from toccata.agents.runs.seeds import SeedRun, SeedsError, last_values, shares, summary, train_seeds
from toccata.interrupts import Interrupted

FAILS = """
import sys
import numpy as np

class Fails:
    name = "fails"
    calls = 0
    def score(self, pieces):
        self.calls += 1
        if self.calls > 2 and sys.argv[sys.argv.index("--seed") + 1] == "1":
            raise KeyError("oh")
        return np.ones(len(pieces), np.float32)
"""


@pytest.mark.parametrize(
    ("runs", "cores", "expected"), [(3, 2, (2, 1)), (3, 16, (3, 5)), (1, 4, (1, 4)), (8, 1, (1, 1)), (2, 2, (2, 1))]
)
def test_cores_are_shared(runs: int, cores: int, expected: tuple[int, int]) -> None:
    assert shares(runs, cores) == expected


def test_the_table_has_means_over_seeds_of_last_values(tmp_path: Path) -> None:
    runs = []
    for seed, rewards in enumerate((["0.5", "1.0"], ["0.25", ""])):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        rows = "".join(f"{128 * (i + 1)},{reward},7\n" for i, reward in enumerate(rewards))
        (folder / "progress.csv").write_text("time/total_timesteps,reward/total,time/fps\n" + rows)
        runs.append(SeedRun(seed, folder, tmp_path / f"seed-{seed}.log"))
    assert last_values(runs[1].rows()) == {"time/total_timesteps": 256, "reward/total": 0.25, "time/fps": 7}
    text = StringIO()
    Console(file=text, width=100).print(summary(runs))
    assert "0.625 ± 0.53" in text.getvalue()
    assert "time/fps" not in text.getvalue()


def test_an_existing_folder_is_refused(toy: Toy) -> None:
    Path("group").mkdir()
    with pytest.raises(RunError, match="group: exists already"):
        train_seeds(toy("group", seeds=(0, 1)), (), Console(file=StringIO()))


def test_runs_are_as_alone_and_a_failure_of_one_is_named(toy: Toy) -> None:
    Path("fails_once.py").write_text(FAILS)
    settings: dict[str, Any] = {"rewards": (("fails_once:Fails", 1.0), ("silence", 1.0)), "clone_epochs": 0}
    console = StringIO()
    with pytest.raises(
        SeedsError, match=r"^1 of 2 runs failed: seed 1: reward model 'fails' raised KeyError: .*1\.log"
    ):
        train_seeds(toy("group", seeds=(0, 1), **settings), ["toccata", "train"], Console(file=console, width=200))
    assert "toccata compare" in console.getvalue()
    folder = Path("group")
    assert {path.name for path in folder.iterdir()} == {
        "command.txt",
        "settings.json",
        "seed-0",
        "seed-0.log",
        "seed-1",
        "seed-1.log",
    }
    assert "seed" not in read_settings(folder / "settings.json")
    assert (folder / "seed-1/model.zip").is_file(), "saved before it stopped"
    sys.argv.extend(["--seed", "0"])
    try:
        alone = train_quietly(toy("alone", seed=0, **settings))
        assert_equal_runs(alone.folder, folder / "seed-0")
    finally:
        del sys.argv[-2:]


def test_nothing_is_left_where_no_run_can_begin(toy: Toy) -> None:
    with pytest.raises(SeedsError, match=r"^reward 'nonsense': no such name"):
        train_seeds(toy("group", seeds=(3,), rewards=(("nonsense", 1.0),)), (), Console(file=StringIO()))
    assert not Path("group").exists()


def test_the_log_of_a_process_that_was_killed_is_kept(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", "echo before; kill -9 $$"], stdout=log)

    monkeypatch.setattr(seeds, "_own_group", killed)
    with pytest.raises(SeedsError, match=r"2 of 2 runs failed: seed 0: exit status -9 \(all of it is in .*0\.log"):
        train_seeds(toy("group", seeds=(0, 1)), (), Console(file=StringIO()))
    assert Path("group/seed-0.log").read_text() == "before\n"


def test_a_signal_while_a_process_is_made_is_passed_on(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(["sleep", "100"], stdout=log, start_new_session=True)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(seeds, "_own_group", interrupted)
    monkeypatch.setattr(seeds, "cores", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with pytest.raises(Interrupted) as caught:
        train_seeds(toy("group", seeds=(4, 5)), (), Console(file=StringIO()))
    assert str(caught.value).replace(f"{Path.cwd()}/", "") == (
        "stopped; seeds 4, 5 have not begun; train each N of them with OMP_NUM_THREADS=3 NUMBA_NUM_THREADS=1 "
        "toccata train --config group/settings.json --seed N --run-dir group/seed-N"
    )
    assert caught.value.signal == signal.SIGTERM


@pytest.mark.slow
def test_ctrl_c_stops_all_and_each_is_resumed(toy: Toy, tmp_path: Path) -> None:
    settings = toy("settings", clone_epochs=0, total_timesteps=1_000_000)
    Path("settings.json").write_text(settings.to_json())
    command = [sys.executable, "-m", "toccata", "train", "--config", "settings.json"]
    command += ["--seeds", "0", "1", "--run-dir", "group"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    ready = [Path(f"group/seed-{seed}/progress.csv") for seed in (0, 1)]
    deadline = time.monotonic() + 200
    while not all(path.exists() for path in ready) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130
    told = re.fullmatch(
        r"stopped seeds 0, 1; resume each with (OMP_NUM_THREADS=\d+ NUMBA_NUM_THREADS=\d+ toccata train) "
        r"--resume group/seed-0; \1 --resume group/seed-1",
        err.splitlines()[-1],
    )
    assert told, err
    for seed in (0, 1):
        assert "stopped and saved at step" in Path(f"group/seed-{seed}.log").read_text()
        run = Path(f"group/seed-{seed}")
        step = int(max((run / "checkpoints").glob("step-*")).name.removeprefix("step-"))
        train_quietly(resumed_config(run, total_timesteps=step + 128))
