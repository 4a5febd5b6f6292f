"""examples/sweep.py at toy size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna", reason="pip install 'toccata[sweep]'")

SETTINGS: dict[str, Any] = {
    "total_timesteps": 256,
    "rewards": (("silence", 1.0),),
    "bars": 1,
    "policy": "lstm",
    "clone_epochs": 0,
    "num_envs": 4,
    "n_steps": 32,
    "batch_size": 128,
    "n_epochs": 1,
    "device": "cpu",
    "logger": ("csv",),
}


@pytest.mark.slow
def test_trials_are_runs_and_a_pruned_one_stops(
    repository: Path, corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository))
    from examples.sweep import objective

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {**SETTINGS, "corpus": (str(corpus_folder),)}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    study.optimize(lambda trial: objective(trial, tmp_path, **settings), n_trials=1)
    assert -1 <= study.best_value <= 0
    assert (tmp_path / "trial-0/model.zip").is_file()
    pruning = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=-2.0))  # stops whatever it sees
    pruning.optimize(lambda trial: objective(trial, tmp_path / "pruned", **settings), n_trials=1)
    assert pruning.trials[0].state is optuna.trial.TrialState.PRUNED
    sys.modules.pop("examples.sweep")
