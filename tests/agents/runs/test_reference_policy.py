"""The reference policy of a run: prior, behaviour cloning, and the KL from it."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from helpers.runs import (
    Toy,
    WritePrior,
    network_of,
    policy_of,
    rows_of,
    train_quietly,
)
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.prior.prior import Prior, PriorError
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.settings.options import ConfigError


def test_the_shipped_prior_is_the_default(toy: Toy) -> None:
    run = train_quietly(toy("run", policy="transformer", clone_epochs=0, total_timesteps=128))
    assert (run.config.prior, run.config.clone_epochs, run.config.prior_kl_coef) == ("transformer", 0, 0.01)
    started = network_of(run.folder, "reference.zip")
    shipped = Prior.load("transformer").network.state_dict()
    assert all(torch.equal(started[key], shipped[key]) for key in shipped)


def test_without_a_prior_it_is_cloned_or_randomly_initialised(toy: Toy) -> None:
    cloned = train_quietly(toy("cloned", policy="lstm", prior="none", clone_epochs=1, total_timesteps=128))
    assert (cloned.folder / "cloning.json").is_file()
    assert rows_of(cloned.folder)[0]["kl/coef"] == "0.01", "the KL is from what was learnt"
    noise = train_quietly(toy("noise", policy="lstm", prior="none", clone_epochs=0, total_timesteps=128))
    assert not (noise.folder / "cloning.json").exists()
    assert "kl/coef" not in rows_of(noise.folder)[0]
    ours, theirs = policy_of(cloned.folder, "reference.zip"), policy_of(noise.folder, "reference.zip")
    assert any(not torch.equal(ours[key], theirs[key]) for key in ours)


def test_an_evaluation_reports_the_kl_from_the_reference(toy: Toy, write_prior: WritePrior) -> None:
    write_prior("mine")
    run = train_quietly(toy("run", policy="transformer", prior="mine", learning_rate=3e-3, total_timesteps=256))
    console = Console(file=StringIO(), width=100)
    summary = evaluate_folder(EvaluateConfig(run.folder, pieces=1, samples=4, device="cpu"), console)
    nats = summary["kl"]["nats_per_piece"]
    assert len(nats["values"]) == 4
    assert 0 < nats["low"] <= nats["mean"] <= nats["high"]
    assert f"KL from the reference policy: {nats['mean']:.1f} nats a piece" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "KL from the reference policy" in (run.folder / "evaluation/report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "settled"),
    [
        ({}, ("transformer", 6, 0.01)),
        ({"policy": "lstm"}, ("lstm", 6, 0.01)),
        ({"policy": "lstm", "prior": "mine", "clone_epochs": 3}, ("mine", 3, 0.01)),
        ({"prior": "none"}, ("none", 10, 0.01)),
        ({"prior": "none", "clone_epochs": 0}, ("none", 0, 0.0)),
        ({"prior_kl_coef": 0.0}, ("transformer", 6, 0.0)),
        ({"policy": "mlp"}, ("none", 10, 0.0)),
        ({"policy": "cnn", "clone_epochs": 2}, ("none", 2, 0.0)),
    ],
)
def test_defaults_depend_on_each_other(changes: dict[str, Any], settled: tuple[str, int, float]) -> None:
    config = TrainConfig(**changes)
    assert (config.prior, config.clone_epochs, config.prior_kl_coef) == settled
    assert replace(config) == config, "settled for good"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"policy": "mlp", "prior": "transformer"},
            "prior 'transformer' needs policy lstm, transformer or wavenet, got 'mlp'",
        ),
        ({"policy": "cnn", "prior_kl_coef": 0.1}, "prior_kl_coef must be 0, got 0.1: policy 'cnn' has no prior"),
        (
            {"prior": "none", "clone_epochs": 0, "prior_kl_coef": 1.0},
            "prior_kl_coef must be 0, got 1: the policy is randomly initialised",
        ),
        (
            {"prior_kl_coef": 0.0, "prior_kl_target": 5.0},
            "prior_kl_target adapts prior_kl_coef, which must then be greater than 0",
        ),
        ({"policy": "mlp", "algorithm": "grpo"}, "algorithm grpo needs policy lstm, transformer or wavenet, got 'mlp'"),
        ({"algorithm": "grpo", "num_envs": 1}, "algorithm grpo compares pieces: num_envs must be at least 2, got 1"),
        ({"algorithm": "best-of-n", "best_of": 5}, "best_of must divide num_envs, 64, got 5"),
        ({"algorithm": "reinforce"}, "algorithm must be"),
        ({"prior_kl_coef": -1.0}, "prior_kl_coef must be a number, at least 0 and at most 1,000,000, got -1.0"),
        ({"prior_kl_target": 0.0}, "prior_kl_target must be a number, greater than 0 and at most 1,000,000, got 0"),
    ],
)
def test_contradictory_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**changes)


def test_a_prior_that_does_not_fit_is_named(toy: Toy, write_prior: WritePrior) -> None:
    write_prior("mine", "lstm")
    with pytest.raises(ConfigError, match="is a lstm, not a transformer"):
        train_quietly(toy("run", policy="transformer", prior="mine"))
    with pytest.raises(PriorError, match=r"unknown prior '.*nowhere'"):
        train_quietly(toy("run", policy="transformer", prior="nowhere"))
    assert not Path("run").exists()
    assert not Path("runs").exists()


def test_a_prior_is_found_from_any_folder(
    toy: Toy, write_prior: WritePrior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prior("mine")
    run = train_quietly(toy("run", policy="transformer", prior="mine", total_timesteps=128))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    train_quietly(replace(Run.open(run.folder).config.resumed(run.folder), total_timesteps=256))
