"""`--config FILE`: any subset of the settings, as JSON or TOML; flags win."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toccata import cli
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.settings.options import ConfigError

TOML = """
policy = "mlp"
bars = 4
tempo_bpm = 100
target_kl = 0.05
corpus = ["bach", "ryan"]
rewards = [["silence", 1.0], {model = "my_rewards:Weighted", weight = 0.5, args = {weight = 2}}]
"""


@pytest.fixture
def parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`parsed(*arguments)` gives the configuration that `toccata train` would train, from an empty folder."""
    monkeypatch.chdir(tmp_path)
    seen: list[TrainConfig] = []
    monkeypatch.setitem(cli.COMMANDS, "train", (cli.COMMANDS["train"][0], seen.append))

    def parse(*arguments: str) -> TrainConfig:
        assert cli.run_command("train", arguments) == 0
        return seen.pop()

    return parse


def test_flags_win_over_the_file_and_the_file_over_the_defaults(parsed: Any) -> None:
    Path("run.toml").write_text(TOML)
    config = parsed("--bars", "2", "--config", "run.toml", "--corpus", "aird")
    assert (config.policy, config.bars, config.tempo_bpm, config.target_kl) == ("mlp", 2, 100, 0.05)
    assert config.corpus == ("aird",)
    assert config.rewards == (("silence", 1.0), ("my_rewards:Weighted(weight=2)", 0.5))
    assert config.n_epochs == TrainConfig(policy="mlp").n_epochs
    assert parsed("--config=run.toml").bars == 4
    added = parsed("--config", "run.toml", "--rewards", "+", "density", "0.1")
    assert [name for name, _ in added.rewards] == ["silence", "my_rewards:Weighted(weight=2)", "density"]


def test_settings_that_depend_on_others_are_filled_in_after_the_flags(parsed: Any) -> None:
    Path("run.toml").write_text('policy = "mlp"\nnum_envs = 3\nn_steps = 683\n')  # a last minibatch of one step
    config = parsed("--config", "run.toml", "--policy", "lstm", "--batch-size", "683")
    assert (config.prior, config.prior_kl_coef) == ("lstm", TrainConfig(policy="lstm").prior_kl_coef)


def test_the_config_of_a_run_is_such_a_file(parsed: Any) -> None:
    settings = TrainConfig(policy="cnn", seed=7, clone_epochs=3, target_kl=None, logger=("csv",))
    Path("config.json").write_text(settings.to_json())
    assert parsed("--config", "config.json").to_json() == settings.to_json()
    assert TrainConfig.from_file(Path("config.json")) == settings


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "learning_rat = 1e-4", "a.toml: unknown field 'learning_rat'; did you mean 'learning_rate'?"),
        ("a.json", '{"seeds": [1]}', "a.json: seeds is no setting of a run but an option of the command: give --seeds"),
        ("a.toml", "bars = 0", "a.toml: bars must be a whole number, at least 1"),
        ("a.toml", "bars = [", "a.toml: not a readable TOML file"),
        ("a.json", "[1]", "a.json: a configuration is an object of settings"),
        ("a.toml", 'rewards = [{model = "x:Y", wait = 1}]', "a.toml: rewards: "),
        ("b.json", None, "b.json: cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    assert cli.run_command("train", ["--config", name]) == 1
    assert f"error: {message}" in capsys.readouterr().err
    with pytest.raises(ConfigError):
        TrainConfig.from_file(Path(name))


@pytest.mark.parametrize("option", [["--config", "c.json"], ["--seeds", "1", "2"]])
def test_a_run_is_resumed_with_its_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.json").write_text(json.dumps({"bars": 2}))
    assert cli.run_command("train", ["--resume", "run", *option]) == 1
    assert f"error: {option[0]} cannot be given with --resume: a run is resumed with" in capsys.readouterr().err


def test_policies_and_loggers_are_known_names() -> None:
    with pytest.raises(ConfigError, match=r"policy must be mlp, cnn, .* got 'mpl'; did you mean 'mlp'"):
        TrainConfig(policy="mpl")
    with pytest.raises(ConfigError, match="an entry of logger must be csv, tensorboard, wandb or trackio, got 'tb'"):
        TrainConfig(logger=("tb",))  # type: ignore[arg-type]  # none of the loggers
    with pytest.raises(ConfigError, match="seeds must differ, got 1 twice"):
        TrainConfig(seeds=(1, 2, 1))


@pytest.mark.parametrize(
    ("settings", "settled"),
    [
        ({}, ("grpo", 1, 5e-5)),
        ({"policy": "lstm"}, ("grpo", 1, 5e-5)),
        ({"num_envs": 1}, ("ppo", 6, 1e-4)),
        ({"policy": "mlp"}, ("ppo", 6, 1e-4)),
        ({"algorithm": "ppo", "n_epochs": 2}, ("ppo", 2, 1e-4)),
        ({"algorithm": "best-of-n", "learning_rate": 0.5}, ("best-of-n", 1, 0.5)),
    ],
)
def test_the_algorithm_and_its_updates_depend_on_the_policy(
    settings: dict[str, Any], settled: tuple[str, int, float]
) -> None:
    config = TrainConfig(**settings)
    assert (config.algorithm, config.n_epochs, config.learning_rate) == settled
    assert replace(config) == config


def test_runs_from_before_there_were_algorithms_are_of_ppo(tmp_path: Path) -> None:
    run = Run.create(TrainConfig(run_dir=tmp_path / "run"), ["train.py"])
    assert Run.open(run.folder).config.algorithm == "grpo"
    settings = json.loads((run.folder / "config.json").read_text())
    del settings["algorithm"]
    (run.folder / "config.json").write_text(json.dumps(settings))
    assert Run.open(run.folder).config.algorithm == "ppo"
