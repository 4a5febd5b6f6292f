"""A whole run on a GPU, with what it computes there by default; the same program on a CPU."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from helpers.devices import DEVICES
from helpers.runs import Toy, policy_of, resumed_config, rows_of, train_quietly
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_a_run_is_trained_resumed_and_evaluated(toy: Toy, device: str, backbone: str) -> None:
    changes = {"policy": backbone, "bars": 2, "device": device, "clone_epochs": 1, "n_steps": 32, "batch_size": 32}
    run = train_quietly(toy("run", total_timesteps=256, **changes))
    before = policy_of(run.folder)
    train_quietly(resumed_config(run.folder, total_timesteps=512))
    rows = rows_of(run.folder)
    assert float(rows[-1]["time/total_timesteps"]) == 512
    losses = [float(row["train/value_loss"]) for row in rows if row["train/value_loss"]]
    assert len(losses) >= 3
    assert np.isfinite(losses).all()
    after = policy_of(run.folder)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    config = EvaluateConfig(run.folder, pieces=1, samples=2, device=device)
    summary = evaluate_folder(config, Console(file=StringIO()))
    assert np.isfinite([each["mean"] for each in summary["composers"]["agent"].values()]).all()
