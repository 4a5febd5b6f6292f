"""A resumed run equals one that was never interrupted, bit by bit."""

from __future__ import annotations

from io import StringIO
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from helpers.rounding import float32_rounding
from helpers.runs import (
    Toy,
    WritePrior,
    assert_equal_runs,
    network_of,
    resumed_config,
    rows_of,
    train_quietly,
)
from toccata.agents.runs.run_folder import Run, RunError
from toccata.agents.runs.training import train
from toccata.settings.options import ConfigError


@pytest.mark.parametrize("reward_at", [pytest.param("piece", marks=pytest.mark.slow), "bar"])
def test_a_resumed_run_equals_an_uninterrupted_one(toy: Toy, reward_at: str) -> None:
    changes: dict[str, Any] = {"bars": 2, "reward_at": reward_at, "n_steps": 24, "batch_size": 32}
    uninterrupted = train_quietly(toy("uninterrupted", total_timesteps=480, **changes))
    half = train_quietly(toy("half", total_timesteps=192, **changes))
    torch.manual_seed(99)  # the state between the two runs must not matter
    np.random.seed(99)  # noqa: NPY002  # SB3 draws from it
    resumed = train_quietly(resumed_config(half.folder, total_timesteps=480, checkpoint_every=100))
    assert_equal_runs(uninterrupted.folder, resumed.folder)
    assert Run.open(half.folder).config.total_timesteps == 480
    assert (half.folder / "command.txt").read_text().count("\n") == 2


def test_a_resumed_discriminator(toy: Toy) -> None:
    pytest.importorskip("toccata.reward_models.realism")
    rewards = (("realism:critic", 1.0), ("silence", 1.0))
    from toccata.reward_models.realism.discriminator import Discriminator
    from toccata.reward_models.realism.model import Realism

    torch.manual_seed(0)
    Realism(Discriminator(4)).save("critic")
    changes: dict[str, Any] = {"rewards": rewards, "clone_epochs": 0}
    uninterrupted = train_quietly(toy("uninterrupted", total_timesteps=256, **changes))
    half = train_quietly(toy("half", total_timesteps=128, **changes))
    resumed = train_quietly(resumed_config(half.folder, total_timesteps=256))
    assert_equal_runs(uninterrupted.folder, resumed.folder)
    for name in ("realism.safetensors", "training.safetensors"):
        ours, theirs = (load_file(run.folder / "reward_models/realism" / name) for run in (uninterrupted, resumed))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    start = load_file("critic/realism.safetensors")
    assert any(
        not torch.equal(start[key], tensor)
        for key, tensor in load_file(uninterrupted.folder / "reward_models/realism/realism.safetensors").items()
    )


def test_settings_that_may_change_on_resume(toy: Toy) -> None:
    run = train_quietly(toy("run", total_timesteps=128, clone_epochs=0))
    before = (run.folder / "config.json").read_text()
    with pytest.raises(
        ConfigError, match=r"run: bars is 1 in this run; only total_timesteps, checkpoint_every, device"
    ):
        train_quietly(resumed_config(run.folder, bars=2))
    assert (run.folder / "config.json").read_text() == before
    console = StringIO()
    train(resumed_config(run.folder), [], Console(file=console, width=200))
    assert "nothing to do: 128 steps are done" in console.getvalue()
    train_quietly(resumed_config(run.folder, total_timesteps=64))
    assert (run.folder / "config.json").read_text() == before
    log = [line.split(" ", 1)[1] for line in (run.folder / "log.txt").read_text().splitlines()]
    assert [line for line in log if "step" in line] == [
        "finished at step 128",
        *["resumed at step 128", "nothing to do at step 128"] * 2,
    ]


def test_a_damaged_checkpoint_is_named(toy: Toy) -> None:
    run = train_quietly(toy("run", total_timesteps=128, clone_epochs=0))
    (run.folder / "checkpoints/step-0000000128/model.zip").write_bytes(b"PK")
    with pytest.raises(RunError, match=r"step-0000000128.*: not a readable (model|checkpoint)"):
        train_quietly(resumed_config(run.folder, total_timesteps=256))


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_a_resumed_sequence_policy(toy: Toy, write_prior: WritePrior, backbone: str) -> None:
    prior = write_prior("mine", backbone)
    changes: dict[str, Any] = {
        "policy": backbone,
        "prior": "mine",
        "clone_epochs": 0,
        "prior_kl_coef": 0.02,
        "prior_kl_target": 0.5,
        "bars": 2,
        "n_steps": 24,
        "batch_size": 48,
        "learning_rate": 3e-3,
    }
    uninterrupted = train_quietly(toy("uninterrupted", total_timesteps=480, **changes))
    half = train_quietly(toy("half", total_timesteps=192, **changes))
    torch.manual_seed(99)  # the state between the two runs must not matter
    np.random.seed(99)  # noqa: NPY002  # SB3 draws from it
    train_quietly(resumed_config(half.folder, total_timesteps=480))
    assert_equal_runs(uninterrupted.folder, half.folder)
    started = network_of(uninterrupted.folder, "reference.zip")
    assert all(torch.equal(started[key], value) for key, value in prior.network.state_dict().items())
    rows = rows_of(uninterrupted.folder)
    rounding = float32_rounding(24, 8.0)  # of log-probabilities, sums over the width of the network
    assert float(rows[0]["kl/nats_per_step"]) == pytest.approx(0, abs=rounding), "it starts where the prior is"
    assert float(rows[-1]["kl/nats_per_step"]) > 1e-3
    assert float(rows[0]["kl/coef"]) == 0.02
    assert float(rows[-1]["kl/coef"]) != 0.02, "adapted"
    with_kl = [row for row in rows if row.get("kl/nats_per_piece")]
    assert with_kl
    for row in with_kl:
        assert float(row["reward/kl"]) == pytest.approx(-float(row["kl/coef"]) * float(row["kl/nats_per_piece"]))


@pytest.mark.parametrize("algorithm", ["grpo", "best-of-n"])
def test_a_resumed_run_on_whole_pieces(toy: Toy, write_prior: WritePrior, algorithm: str) -> None:
    write_prior("mine", "transformer")
    changes: dict[str, Any] = {
        "policy": "transformer",
        "prior": "mine",
        "clone_epochs": 0,
        "algorithm": algorithm,
        "prior_kl_coef": 0.02,
        "prior_kl_target": 0.5,
        "num_envs": 4,
        "bars": 1,
        "batch_size": 48,
        "learning_rate": 3e-3,
    }
    uninterrupted = train_quietly(toy("uninterrupted", total_timesteps=300, **changes))
    half = train_quietly(toy("half", total_timesteps=150, **changes))
    assert len(rows_of(half.folder)) < len(rows_of(uninterrupted.folder))
    torch.manual_seed(99)  # the state between the two runs must not matter
    np.random.seed(99)  # noqa: NPY002  # SB3 draws from it
    train_quietly(resumed_config(half.folder, total_timesteps=300))
    assert_equal_runs(uninterrupted.folder, half.folder)
    rows = rows_of(uninterrupted.folder)
    assert {row["reward/pieces"] for row in rows} == {"4"}
    assert [int(row["time/iterations"]) for row in rows] == list(range(1, len(rows) + 1))
