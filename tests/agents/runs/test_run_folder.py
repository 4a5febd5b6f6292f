from __future__ import annotations

import csv
import errno
import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.logs.progress import Progress
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.runs.run_folder import CHECKPOINT_FILES, Run, RunError, next_free
from toccata.settings.options import ConfigError


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
        ('{"zzz": 1}', "unknown field 'zzz'; there are algorithm, amp, "),
        ('{"bars": 0}', "bars must be a whole number, at least 1 and at most 10,000, got 0"),
        ('{"bars": "eight"}', "bars must be a whole number, at least 1 and at most 10,000, got 'eight'"),
        ('{"bars": true}', "bars must be"),
        ('{"rewards": ["silence", 1.0]}', "an entry of rewards must be [model, weight]"),
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
        ({"policy": "rnn"}, "policy must be mlp, cnn, lstm, transformer, wavenet or package.module:Class, got 'rnn'"),
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
    assert TrainConfig.from_file(tmp_path / "config.json") == config


def write_checkpoint(run: Run, step: int, content: str) -> Path:
    checkpoint = run.checkpoint(step)
    with checkpoint as folder:
        (folder / "reward_models").mkdir()
        for name in CHECKPOINT_FILES:
            (folder / name).write_text(content)
    return checkpoint.folder


def test_checkpoints_appear_whole_or_not_at_all(run: Run) -> None:
    with run.checkpoint(100) as folder:
        (folder / "model.zip").write_text("one")
        assert run.last_checkpoint() is None
    assert run.last_checkpoint() is None, "files are missing"
    first = write_checkpoint(run, 200, "one")
    assert run.last_checkpoint() == first
    with pytest.raises(RuntimeError, match="disk"), run.checkpoint(300) as folder:
        (folder / "model.zip").write_text("half")
        raise RuntimeError("disk")
    assert run.last_checkpoint() == first
    write_checkpoint(run, 200, "two")
    assert (first / "model.zip").read_text() == "one", "one of that step stays"
    (first / "state.json").unlink()
    write_checkpoint(run, 200, "two")
    assert (first / "model.zip").read_text() == "two", "what was incomplete is replaced"
    assert not list((run.folder / "checkpoints").glob("*.part"))


def test_stray_names_are_no_checkpoints(run: Run) -> None:
    first = write_checkpoint(run, 200, "one")
    for name in ("step-0000000300.part", "step-0000000300 (copy)", "step-300", "step-final", "step-0000000400.bak"):
        shutil.copytree(first, run.folder / "checkpoints" / name)
    (run.folder / "checkpoints" / "step-0000000500").write_text("a file")
    (run.folder / "checkpoints" / "step-0000000600").mkdir()
    assert run.checkpoints() == [first]


def published(run: Run) -> tuple[str, str]:
    folder = run.published
    return (folder / "model.zip").read_text(), (folder / "reward_models" / "rewards.json").read_text()


def test_model_and_rewards_are_published_together(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = write_checkpoint(run, 1, "one"), write_checkpoint(run, 2, "two")
    run.publish(one)
    assert published(run) == ("one", "one")
    renames = []

    def killed(self: Path, target: Path) -> None:  # at the rename of the pointer
        renames.append(target)
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Path, "replace", killed)
        run.publish(two)
    assert [target.name for target in renames] == ["last"], "one rename publishes"
    assert published(run) == ("one", "one")
    run.publish(two)
    assert published(run) == ("two", "two")


def test_a_run_that_was_copied_without_links_is_published_again(run: Run, tmp_path: Path) -> None:
    run.publish(write_checkpoint(run, 1, "one"))
    shutil.copytree(run.folder, tmp_path / "copy")  # follows links
    copy = Run.open(tmp_path / "copy")
    assert published(copy) == ("one", "one")
    copy.publish(write_checkpoint(copy, 2, "two"))
    assert published(copy) == ("two", "two")
    assert published(run) == ("one", "one")


def test_a_run_that_lost_its_links_in_a_zip_file(run: Run, tmp_path: Path) -> None:
    run.publish(write_checkpoint(run, 1, "one"))
    write_checkpoint(run, 2, "two")
    shutil.make_archive(str(tmp_path / "packed"), "zip", run.folder)
    shutil.unpack_archive(tmp_path / "packed.zip", tmp_path / "unpacked")
    unpacked = Run.open(tmp_path / "unpacked")
    assert not (unpacked.folder / "reward_models/rewards.json").exists()
    assert published(unpacked) == ("two", "two")
    unpacked.publish(unpacked.checkpoints()[0])
    assert published(unpacked) == ("one", "one")


def test_a_file_system_without_links(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    for step, content in enumerate(("one", "two"), start=1):
        run.publish(write_checkpoint(run, step, content))
        assert published(run) == (content, content)
    assert not any(path.is_symlink() for path in run.folder.rglob("*"))


def test_links_that_a_killed_process_left_are_deleted_by_the_next(run: Run, tmp_path: Path) -> None:
    """A process may be killed between making a link and renaming it."""
    checkpoint = run.checkpoints()[-1] if run.checkpoints() else run.folder / "checkpoints/start"
    checkpoint.mkdir(parents=True, exist_ok=True)
    left = [run.folder / ".model.zip.0a1b2c3d.tmp", run.folder / "checkpoints/.last.0a1b2c3d.tmp"]
    left[0].symlink_to("checkpoints/last/model.zip")
    left[1].symlink_to(checkpoint.name)
    Run.open(run.folder).publish(checkpoint)
    assert not any(path.is_symlink() for path in left)
    (run.folder / ".model.zip.0a1b2c3d.tmp").symlink_to(tmp_path / "mine")
    with pytest.raises(RunError, match="is a link that leads out"):
        Run.open(run.folder)


def test_a_link_that_leads_out_of_the_run_is_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (run.folder / "progress.csv").symlink_to(tmp_path / "mine")
    with pytest.raises(RunError, match=r"progress\.csv: is a link that leads out of the run folder"):
        Run.open(run.folder)
    (run.folder / "progress.csv").unlink()
    for name, target in (("evaluation", "."), ("evaluation", "checkpoints"), ("x", "x"), ("model.zip", "model.zip")):
        (run.folder / name).symlink_to(target)
        with pytest.raises(RunError, match=f"{name}: is a link that"):
            Run.open(run.folder)
        (run.folder / name).unlink()
    Run.open(run.folder)


def test_two_processes_do_not_write_one_run(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from toccata.agents.runs.run_folder import Run\n"
        f"with Run.open(Path({str(run.folder)!r})).lock(): print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match="run: another process is training this run"), run.lock():
            pass
        other.kill()
    with run.lock():
        pass


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
