"""`--logger`: missing packages, fake ones in the quick suite, the real ones offline where installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.runs import Toy, resumed_config, train_quietly
from toccata.settings.options import ConfigError

SMALL: dict[str, Any] = {"total_timesteps": 128, "clone_epochs": 0}


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_missing_package_is_named_before_anything_is_written(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"logger {name} needs the package.*pip install 'toccata\[{name}\]'"):
        train_quietly(toy("run", logger=("csv", name), **SMALL))
    assert not Path("run").exists()


def test_wandb_gets_settings_and_rows_and_a_resumed_run_continues_its_id(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Any]] = []
    rows: list[tuple[int, dict[str, float]]] = []
    finished: list[bool] = []

    def init(**arguments: Any) -> SimpleNamespace:
        begun.append(arguments)
        return SimpleNamespace(log=lambda row, step: rows.append((step, row)), finish=lambda: finished.append(True))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    run = train_quietly(toy("run", logger=("wandb",), **SMALL))
    train_quietly(resumed_config(run.folder, total_timesteps=256))
    assert (run.folder / "progress.csv").is_file(), "always"
    assert not list(run.folder.glob("events*"))
    first, second = begun
    assert first["id"] == second["id"] == (run.folder / "wandb-id.txt").read_text().strip()
    assert (first["name"], first["dir"], first["resume"]) == ("run", str(run.folder), "allow")
    assert first["config"]["policy"] == "mlp"
    assert [step for step, _ in rows] == [128, 256]
    assert all(isinstance(value, float) for _, row in rows for value in row.values())
    assert "reward/total" in rows[1][1]
    assert finished == [True, True]


def test_trackio_gets_rows_and_a_resumed_run_continues(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, Any]] = []
    steps: list[int] = []
    fake = SimpleNamespace(
        init=lambda **arguments: begun.append(arguments),
        log=lambda row, step: steps.append(step),
        finish=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "trackio", fake)
    run = train_quietly(toy("run", logger=("trackio",), **SMALL))
    train_quietly(resumed_config(run.folder, total_timesteps=256))
    assert [each["resume"] for each in begun] == ["never", "allow"]
    assert begun[0]["name"] == begun[1]["name"]
    assert steps == [128, 256]


def test_a_logger_that_cannot_begin_is_one_line(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise RuntimeError("no key\nat all")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(ConfigError, match=r"^logger wandb: cannot begin: no key at all; or set WANDB_MODE=offline"):
        train_quietly(toy("run", logger=("wandb",), **SMALL))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_wandb_offline(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = train_quietly(toy("run", logger=("wandb",), **SMALL))
    train_quietly(resumed_config(run.folder, total_timesteps=256))
    run_id = (run.folder / "wandb-id.txt").read_text().strip()
    assert len(list((run.folder / "wandb").glob(f"offline-run-*-{run_id}"))) >= 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_real_trackio_locally(toy: Toy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("trackio")
    run = train_quietly(toy("run", logger=("trackio",), **SMALL))
    train_quietly(resumed_config(run.folder, total_timesteps=256))
    assert (tmp_path / "trackio/toccata.db").is_file()


def test_tensorboard_has_pieces_at_each_checkpoint(toy_run: Path) -> None:
    events = EventAccumulator(str(toy_run), size_guidance={"audio": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert tags["images"] == ["piece-0/piano_roll", "piece-1/piano_roll"]
    assert tags["audio"] == ["piece-0/sound", "piece-1/sound"]
    for tag in tags["audio"]:
        sounds = events.Audio(tag)
        assert [sound.step for sound in sounds] == [0, 384]
        assert all(sound.sample_rate == 22_050 and sound.length_frames > 22_050 for sound in sounds)
    assert [image.step for image in events.Images("piece-0/piano_roll")] == [0, 384]


def test_pieces_that_cannot_be_written_are_left_out(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("toccata.agents.runs.logs.media.write_piece_media", full)
    run = train_quietly(toy("run", logger=("tensorboard",), **SMALL))
    assert run.model_path.is_file()
