from __future__ import annotations

import csv
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.progress import Progress
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.runs.run_folder import Run, RunError, next_free
from toccata.options import ConfigError


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(TrainConfig(run_dir=tmp_path / "run", bars=3), ["python", "train.py", "--run-dir", "a b"])


def test_a_new_run_folder_explains_itself(run: Run) -> None:
    assert (run.folder / "command.txt").read_text() == "python train.py --run-dir 'a b'\n"
    versions = json.loads((run.folder / "versions.json").read_text())
    assert {"python", "toccata", "torch", "stable-baselines3", "gymnasium"} <= versions.keys()
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "checkpoints",
        "command.txt",
        "config.json",
        "reward_models",
        "versions.json",
    ]
    assert Run.open(run.folder).config == replace(run.config, run_dir=None)


def test_an_existing_folder_is_not_touched(run: Run, tmp_path: Path) -> None:
    (run.folder / "config.json").write_text("mine")
    with pytest.raises(RunError, match=r"run: exists already; choose another --run-dir, or resume it with --resume"):
        Run.create(run.config, [])
    assert (run.folder / "config.json").read_text() == "mine"
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(RunError, match=r"file: exists already; choose another --run-dir$"):
        Run.create(TrainConfig(run_dir=file), [])
    with pytest.raises(RunError, match="file/run: cannot be made"):
        Run.create(TrainConfig(run_dir=file / "run"), [])


def test_the_next_free_name(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    assert next_free(tmp_path) == tmp_path / "run-2"


def test_what_is_missing_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere: no such run folder"):
        Run.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"empty: not a run folder, it has no config\.json"):
        Run.open(tmp_path / "empty")
    with pytest.raises(RunError, match=r"has no model\.zip"):
        _ = run.model_path
    assert run.last_checkpoint() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable JSON file"),
        ("[]", "an object of settings, got []"),
        ('{"learning_rat": 1}', "unknown field 'learning_rat'; did you mean 'learning_rate'?"),
        ('{"zzz": 1}', "unknown field 'zzz'; there are bars, "),
        ('{"bars": 0}', "bars must be a whole number, at least 1 and at most 10,000, got 0"),
        ('{"bars": "eight"}', "bars must be a whole number, at least 1 and at most 10,000, got 'eight'"),
        ('{"bars": true}', "bars must be"),
        ('{"rewards": ["silence"]}', "rewards must be a list, got 'silence'"),
        ('{"rewards": [["silence", "much"]]}', "an entry of rewards must be a number, got 'much'"),
        ('{"rewards": []}', "at least one reward model"),
        ('{"corpus": "bach"}', "corpus must be a list"),
        ('{"gamma": NaN}', "gamma must be a number, at least 0 and at most 1, got nan"),
    ],
)
def test_a_broken_configuration_is_one_clear_error(run: Run, text: str, message: str) -> None:
    (run.folder / "config.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Run.open(run.folder)
    assert str(caught.value).startswith(f"{run.folder / 'config.json'}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"total_timesteps": 0},
            "total_timesteps must be a whole number, at least 1 and at most 1,000,000,000,000, got 0",
        ),
        ({"learning_rate": 0.0}, "learning_rate must be a number, greater than 0 and at most 1, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"clip_range": float("inf")}, "clip_range"),
        ({"target_kl": -1.0}, "target_kl"),
        ({"seed": -1}, "seed"),
        ({"policy": "rnn"}, "policy must be mlp, cnn, lstm or transformer, got 'rnn'"),
        ({"num_envs": 3, "n_steps": 43, "batch_size": 64}, "a last minibatch of a single step"),
    ],
)
def test_a_setting_out_of_range_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**changes)  # type: ignore[arg-type]


def test_evaluation_settings_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="pieces must be a whole number, at least 1 and at most 10,000, got 0"):
        EvaluateConfig(Path("run"), pieces=0)


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    config = TrainConfig(rewards=(("silence", 0.25), ("a.b:C", -1.0)), corpus=("x y", "bach"), target_kl=None, bars=2)
    (tmp_path / "config.json").write_text(config.to_json())
    assert TrainConfig.from_json(tmp_path / "config.json") == config


def test_checkpoints_appear_whole_or_not_at_all(run: Run) -> None:
    with run.checkpoint(100) as folder:
        (folder / "model.zip").write_text("one")
        assert run.last_checkpoint() is None
    assert run.last_checkpoint() == run.folder / "checkpoints" / "step-0000000100"
    with pytest.raises(RuntimeError, match="disk"), run.checkpoint(200) as folder:
        (folder / "model.zip").write_text("half")
        raise RuntimeError("disk")
    (run.folder / "checkpoints" / "step-0000000300.part").mkdir()
    assert run.last_checkpoint() == run.folder / "checkpoints" / "step-0000000100"
    with run.checkpoint(100) as folder:
        (folder / "model.zip").write_text("two")
    assert (run.folder / "checkpoints" / "step-0000000100" / "model.zip").read_text() == "two"


def test_progress_keeps_rows_up_to_a_step_and_gains_columns(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    progress = Progress(path)
    progress.add({"time/total_timesteps": 10, "a": 1.5})
    progress.add({"time/total_timesteps": 20, "a": 2.5, "b": 7})
    progress.add({"time/total_timesteps": 30, "a": 3.5})
    resumed = Progress(path, 20)
    resumed.add({"time/total_timesteps": 30, "a": 4.5})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["a"] for row in rows] == ["1.5", "2.5", "4.5"]
    assert [row["b"] for row in rows] == ["", "7", ""]


def test_chance_can_be_put_back() -> None:
    generator = np.random.default_rng(1)

    def draw() -> tuple[float, ...]:
        return random.random(), np.random.random(), torch.rand(1).item(), generator.random()  # noqa: NPY002

    random.gauss(0, 1)
    state = json.loads(json.dumps(random_state(mine=generator)))
    first = draw()
    assert draw() != first
    set_random_state(state, mine=generator)
    assert draw() == first
