"""The real scripts at toy size, as a user runs them: `train.py`, Ctrl-C, `--resume`, then `evaluate.py`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from toccata.music.score import Score

TOY = ["--bars", "2", "--num-envs", "4", "--n-steps", "48", "--batch-size", "64", "--device", "cpu"]


def start(repository: Path, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """A script of the repository, its standard error piped."""
    script = arguments[0] if arguments[0] == "-m" else str(repository / arguments[0])
    command = [sys.executable, script, *arguments[1:]]
    return subprocess.Popen(
        command, cwd=cwd or repository, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def run(repository: Path, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    process = start(repository, *arguments, cwd=cwd)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def stopped(process: subprocess.Popen[str], ready: Path) -> tuple[int, str]:
    """Exit status and standard error of a script that gets a Ctrl-C a moment after `ready` exists."""
    deadline = time.monotonic() + 240
    while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    return process.returncode, err


def test_train_interrupt_resume_evaluate_with_a_reward_of_ones_own(
    repository: Path, tmp_path: Path, corpus_folder: Path
) -> None:
    folder = tmp_path / "run"
    rewards = ["--rewards", "silence", "1.0", "examples.tension:Tension", "0.5"]
    settings = ["--run-dir", str(folder), "--clone-epochs", "0", "--corpus", str(corpus_folder), *rewards]
    process = start(repository, "train.py", *settings, *TOY)
    status, err = stopped(process, folder / "progress.csv")
    assert status == 130
    assert "Traceback" not in err
    assert "stopped and saved at step " in err
    assert err.splitlines()[-1].endswith(f"resume with --resume {folder}")
    assert "examples.tension:Tension" in (folder / "command.txt").read_text()

    done = int(err.rpartition("stopped and saved at step ")[2].partition(";")[0].replace(",", ""))
    status, out, err = run(repository, "train.py", "--resume", str(folder), "--total-timesteps", str(done + 192))
    assert status == 0, err
    assert f"resuming {folder} at step {done:,}" in err
    assert f"evaluate it with: python evaluate.py {folder}" in out
    steps = [line for line in (folder / "progress.csv").read_text().splitlines()[1:] if line]
    assert len(steps) == done // 192 + 1

    status, out, err = run(repository, "evaluate.py", str(folder), "--pieces", "2", "--samples", "4", "--seed", "3")
    assert status == 0, err
    assert "score/tension" in out
    metrics = json.loads((folder / "evaluation/metrics.json").read_text())
    tension = metrics["composers"]["agent"]["score/tension"]["values"]
    assert len(tension) == 4
    assert np.isfinite(tension).all()
    assert Score.from_midi(folder / "evaluation/piece-001.mid").bars == 2


@pytest.mark.slow
def test_ctrl_c_while_cloning(repository: Path, tmp_path: Path, corpus_folder: Path) -> None:
    folder = tmp_path / "run"
    settings = ["--run-dir", str(folder), "--corpus", str(corpus_folder), "--rewards", "silence", "1"]
    status, err = stopped(start(repository, "train.py", *settings, *TOY), folder / "reward_models" / "rewards.json")
    assert status == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"stopped before PPO; start again with --resume {folder}"
    status, _, err = run(repository, "evaluate.py", str(folder))
    assert status == 1
    assert err == f"error: {folder}: has no model.zip; its training was stopped before the first checkpoint\n"


@pytest.mark.slow
def test_the_whole_job_on_real_music(repository: Path, tmp_path: Path) -> None:
    """Chorales, every shipped reward, a discriminator that learns; twice, to the same figures."""
    from music21 import converter

    rewards = ["rating", "1", "realism", "1", "silence", "1", "repetition", "1"]
    figures = []
    for name in ("one", "two"):
        folder = tmp_path / name
        status, _, err = run(
            repository,
            "train.py",
            *[
                "--run-dir",
                str(folder),
                "--total-timesteps",
                "1152",
                "--clone-epochs",
                "1",
                "--rewards",
                *rewards,
                *TOY,
            ],
        )
        assert status == 0, err
        status, out, err = run(repository, "evaluate.py", str(folder), "--pieces", "2", "--samples", "8")
        assert status == 0, err
        assert {"agent", "reference", "random", "real"} <= set(out.split())
        figures.append((folder / "evaluation/metrics.json").read_bytes())
    assert figures[0] == figures[1]
    notes = [
        note.pitch.midi
        for note in converter.parse(folder / "evaluation/piece-000.musicxml").flatten().notes
        if note.isNote
    ]
    assert len(notes) > 0 or len(Score.from_midi(folder / "evaluation/piece-000.mid")) == 0
    entries = json.loads((folder / "reward_models/rewards.json").read_text())
    assert [entry["term"] for entry in entries] == rewards[::2]
    assert [entry["hash"] is not None for entry in entries] == [True, True, False, False]


@pytest.mark.slow
def test_the_five_minutes_of_the_rating_page(
    repository: Path, tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty WAV files with likes and plays, the fit and the training, with the page's own code and commands."""
    monkeypatch.chdir(tmp_path)
    Score([(24 * i, 24, 60 + i % 5, 80) for i in range(16)]).to_midi("piece.mid")
    page = (repository / "docs/rating.md").read_text(encoding="utf-8")
    names: dict = {}
    for code in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(code, names)
    fit, train = re.search(r"```sh\n(toccata fit-rating.*)\n(python train.py.*)\n```", page).groups()
    status, out, err = run(repository, "-m", *fit.split(), cwd=tmp_path)
    assert status == 0, err
    assert "my-music: 20 pieces" in err
    facts = json.loads(Path("my-rating/config.json").read_text())["fit"]
    assert facts["pieces"] == 20
    assert facts["held_out"]["agreement"]["mean"]["rank_correlation"] > 0.5  # the higher, the better liked
    assert f"use it with: {train.rpartition(' realism')[0]}" in out
    toy = [*TOY, "--clone-epochs", "0", "--total-timesteps", "384", "--corpus", str(corpus_folder), "--run-dir", "run"]
    status, _, err = run(repository, *train.split()[1:], *toy, cwd=tmp_path)
    assert status == 0, err
    rewards = json.loads(Path("run/reward_models/rewards.json").read_text())
    assert rewards[0]["hash"] == json.loads(Path("my-rating/config.json").read_text())["sha256"]["rating.safetensors"]
