"""The whole command on toy runs: files, resuming, errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from helpers.runs import Toy, WritePrior, agent_of, train_quietly
from toccata.agents.evaluation.overoptimise import samples
from toccata.agents.evaluation.overoptimise.arms import (
    OveroptimiseError,
    evenly_spaced,
    minutes_of_training,
    model_paths,
    read_arms,
)
from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.evaluation.overoptimise.evaluator import rewards_at_start
from toccata.agents.evaluation.overoptimise.overoptimise import overoptimise
from toccata.agents.evaluation.overoptimise.picture import draw_frontier
from toccata.agents.evaluation.overoptimise.samples import KL
from toccata.agents.runs.builders import environment_arguments
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run, RunError
from toccata.cli import run_command
from toccata.files import FileError, read_json
from toccata.interrupts import Interrupted

FILES = {"cache", "frontier.png", "frontier.svg", "overoptimise.json", "table.csv", "table.md"}
Studied = Callable[..., dict[str, Any]]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks, few resamples, and empty pictures."""
    nothing = {"png": b"", "svg": b""}
    monkeypatch.setattr("toccata.agents.evaluation.overoptimise.overoptimise.draw_frontier", lambda _: nothing)
    monkeypatch.setattr(samples, "CHUNK", 8)
    for place in ("beside.RESAMPLES", "summary.POOL_RESAMPLES", "curves.RESAMPLES"):
        monkeypatch.setattr(f"toccata.agents.evaluation.overoptimise.{place}", 10)


@pytest.fixture
def studied(few: None, console: Console) -> Studied:
    """`overoptimise` of runs with few pieces, into `out`."""

    def study(*runs: Path, out: Path = Path("out"), **settings: Any) -> dict[str, Any]:
        given = {"samples": 8, "base": 32, "checkpoints": 1, "device": "cpu", **settings}
        return overoptimise(OveroptimiseConfig(runs, out, **given), console)

    return study


@pytest.fixture
def writes_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes what is read of a run before its models are: `writes_run(name, **settings)`."""

    def write(name: str, **settings: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(TrainConfig(**{"policy": "mlp", **settings}).to_json())
        (folder / "model.zip").touch()
        return folder

    return write


def test_two_seeds_from_beginning_to_end(
    toy: Toy, write_prior: WritePrior, studied: Studied, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prior("mine")
    settings: dict[str, Any] = {"policy": "transformer", "prior": "mine", "learning_rate": 3e-3}
    runs = [train_quietly(toy(f"arm-s{seed}", seed=seed, checkpoint_every=128, **settings)).folder for seed in range(2)]
    with monkeypatch.context() as patch:  # the second chunk is stopped
        played: list[int] = []
        play = samples._play

        def stopping(player: Any, seed: int, number: int) -> Any:
            if played:
                raise KeyboardInterrupt
            played.append(number)
            return play(player, seed, number)

        patch.setattr(samples, "_play", stopping)
        with pytest.raises(Interrupted, match=r"what was sampled stays in out/cache: the same command goes on"):
            studied(*runs)
    assert {path.name for path in Path("out").iterdir()} == {"cache"}
    assert len(list(Path("out/cache/pieces").iterdir())) == 1

    summary = studied(*runs)
    assert {path.name for path in Path("out").iterdir()} == FILES
    assert read_json(Path("out/overoptimise.json")) == json.loads(json.dumps(summary))
    assert list(summary["rows"]) == ["start", "best of 2", "best of 4", "arm", "real"]
    assert list(summary["pools"].values()) == [16, 16]
    points = summary["arms"]["arm"]["runs"][0]["points"]
    assert [point["metrics"]["steps"] for point in points] == [128, 384]
    assert points[-1]["metrics"][KL] > 0
    assert points[-1]["metrics"]["minutes"] >= 0
    row = summary["rows"]["arm"]["metrics"]
    assert {"reward", "gain", "judge/rating", "vendi_score", "diversity", "loop_rate", KL} <= row.keys()
    assert summary["proxy_reward"] == "1 x silence + 0.5 x repetition, of arm-s0 at its start"
    assert draw_frontier(summary)["png"]
    assert "see: out/frontier.png" in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO

    with monkeypatch.context() as patch:  # all is in the cache
        patch.setattr(samples, "_play", None)
        assert studied(*runs) == summary
    assert studied(*runs, out=Path("other")) == summary, "stopped or not: one seed gives one result"
    kept = {path: path.stat().st_mtime_ns for path in Path("out/cache").rglob("*.npz")}
    other = studied(*runs, rewards=(("density", 1.0),))  # the pieces stay
    assert other["proxy_reward"] == "1 x density, named"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(Path("out/cache/pieces").iterdir())) == len([path for path in kept if path.parent.name == "pieces"])


def test_policies_without_likelihoods(toy_run: Path, studied: Studied, tmp_path: Path) -> None:
    summary = studied(toy_run, out=tmp_path / "out", checkpoints=0)
    assert list(summary["rows"]) == ["start", "best of 2", "best of 4", "best of 8", "run", "real"]
    assert KL not in summary["rows"]["run"]["metrics"]
    assert "share_of_limit" not in summary["rows"]["run"]["metrics"]
    assert "gain" in summary["rows"]["run"]["metrics"]
    assert "run: the policies give no likelihood of whole pieces, so there is no KL" in summary["remarks"]
    shutil.copytree(toy_run, tmp_path / "shared", symlinks=True)
    (tmp_path / "shared/reference.zip").unlink()
    alone = studied(tmp_path / "shared", out=tmp_path / "alone", checkpoints=0)
    assert list(alone["rows"]) == ["shared", "real"]
    assert any("has no reference policy, so no KL" in line for line in alone["remarks"])


def test_a_damaged_cache_is_named(toy_run: Path, studied: Studied, tmp_path: Path) -> None:
    studied(toy_run, out=tmp_path / "out", checkpoints=0)
    path = next((tmp_path / "out/cache/values").iterdir())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileError, match=r"values/.*\.npz: not a readable npz file"):
        studied(toy_run, out=tmp_path / "out", checkpoints=0)


def test_arms_are_named_by_what_their_folders_have_in_common(writes_run: Callable[..., Path]) -> None:
    folders = [
        writes_run(f"{name}-s{seed}", seed=seed, gamma=gamma)
        for name, gamma in (("a", 1.0), ("b", 0.9))
        for seed in (0, 1)
    ]
    folders += [writes_run("kl-0.01", gamma=0.8, seed=1), writes_run("bars1", gamma=0.7, seed=1)]
    folders += [
        writes_run("x/a-seed0", gamma=0.6),
        writes_run("left", gamma=0.5),
        writes_run("lest", gamma=0.5, seed=1),
    ]
    writes_run("many/seed-0", bars=8, gamma=0.4)
    folders.append(folders[0].parent / "many")
    arms = read_arms(folders)
    assert [arm.name for arm in arms] == ["a", "b", "kl-0.01", "bars1", "a-2", "le", "many"]
    assert [len(arm.runs) for arm in arms] == [2, 2, 1, 1, 1, 2, 1]
    assert arms[1].settings == {"gamma": 0.9}


def test_what_cannot_be_studied_is_named(writes_run: Callable[..., Path], tmp_path: Path) -> None:
    one, twin = writes_run("one"), writes_run("twin", device="cpu")
    longer, empty = writes_run("longer", bars=9), writes_run("empty", seed=1)
    song = writes_run("song", policy="lstm", lyrics="words.txt")
    (empty / "model.zip").unlink()
    for folders, error, message in (
        ([], OveroptimiseError, "needs at least one run folder"),
        ([one, twin], OveroptimiseError, r"twin: has the settings and the seed of .*one"),
        ([one, longer], OveroptimiseError, r"longer: its bars is 9, that of .*one 8; their pieces cannot be compared"),
        ([song], OveroptimiseError, r"song: was trained on lyrics, and a study keeps pieces without their words"),
        ([one, empty], RunError, r"empty: has no model\.zip"),
        ([tmp_path], RunError, "not a run folder"),
        ([tmp_path / "nowhere"], RunError, "no such run folder"),
    ):
        with pytest.raises(error, match=message):
            read_arms(folders)
    with pytest.raises(OveroptimiseError, match=r"one: does not hold its rewards at the start.*name some: --rewards"):
        rewards_at_start(Run.open(one))


def test_other_folders_are_not_written_into(
    writes_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = writes_run("run")
    assert run_command("overoptimise", [str(run), "--out", str(run)]) == 1
    assert "exists already, and is no folder of toccata overoptimise; choose another --out" in capsys.readouterr().err
    assert run_command("overoptimise", [str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "not a run folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_checkpoints_are_evenly_spaced(toy_run: Path) -> None:
    assert evenly_spaced([0, 100, 200, 300, 400, 500], 500, 4) == [100, 200, 300, 400]
    assert evenly_spaced([0, 100, 200, 300, 400, 500], 500, 1) == [200]
    assert evenly_spaced([0, 490, 500], 500, 3) == [490]
    assert evenly_spaced([0, 500], 500, 3) == []
    assert evenly_spaced([0, 100, 500], 500, 0) == []
    run = Run.open(toy_run)
    assert model_paths(run, 0) == [run.published / "model.zip"]


def test_minutes_go_on_after_resuming(writes_run: Callable[..., Path]) -> None:
    run = Run.open(writes_run("run"))
    assert minutes_of_training(run, 100) is None
    rows = [(100, 60), (200, 120), (300, 30), (400, 90)]  # resumed after 200
    text = "time/total_timesteps,time/time_elapsed\n" + "".join(f"{step},{seconds}\n" for step, seconds in rows)
    (run.folder / "progress.csv").write_text(text)
    assert [minutes_of_training(run, step) for step in (0, 50, 200, 300, 400)] == pytest.approx([0, 0.5, 2, 2.5, 3.5])


def test_pieces_survive_the_cache(toy_run: Path) -> None:
    config = Run.open(toy_run).config
    player = samples.Player.of(agent_of(toy_run), environment_arguments(config))
    pieces = samples._play(player, 0, 0)[:5]
    again = samples._pieces(samples._arrays(pieces), player.environment)
    assert [piece.score for piece in again] == [piece.score for piece in pieces]
    assert all(np.array_equal(ours.actions, theirs.actions) for ours, theirs in zip(again, pieces, strict=True))
    assert [piece.genre for piece in again] == [piece.genre for piece in pieces]


def test_when_it_is_rewarded_does_not_change_what_a_model_plays(toy_run: Path) -> None:
    model, environment = agent_of(toy_run), environment_arguments(Run.open(toy_run).config)
    settings = [{**environment, **changes} for changes in ({}, {"reward_at": "piece"}, {"bars_per_reward": 1})]
    assert len({samples.Player.of(model, each).identity for each in settings}) == 1
    assert (
        samples.Player.of(model, {**environment, "bars": 2}).identity != samples.Player.of(model, environment).identity
    )
