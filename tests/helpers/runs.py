"""Toy runs, and what is compared of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import load_agent
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.agents.runs.training import train

Toy = Callable[..., TrainConfig]


WritePrior = Callable[..., Prior]


def train_quietly(config: TrainConfig, **arguments: Any) -> Run:
    return train(config, ["python", "train.py"], Console(file=StringIO()), **arguments)


def resumed_config(folder: Path, **changes: Any) -> TrainConfig:
    return replace(Run.open(folder).config.resumed(folder), **changes)


def agent_of(folder: Path, name: str = "model.zip") -> ComposerPPO:
    return load_agent(folder / name, Run.open(folder).config, torch.device("cpu"))


def policy_of(folder: Path, name: str = "model.zip") -> dict[str, torch.Tensor]:
    return agent_of(folder, name).policy.state_dict()


def optimizer_of(folder: Path) -> dict[str, Any]:
    return agent_of(folder).policy.optimizer.state_dict()["state"]


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of progress.csv without what the clock says."""
    with (folder / "progress.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    timed = ("time/fps", "time/time_elapsed", "time/reward_seconds", "time/reward_update_seconds")
    return [{key: value for key, value in row.items() if key not in timed} for row in rows]


def assert_equal_runs(one: Path, other: Path) -> None:
    """Fail unless two runs ended in the same place."""
    ours, theirs = policy_of(one), policy_of(other)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    mine, yours = optimizer_of(one), optimizer_of(other)
    assert all(torch.equal(mine[i][key], yours[i][key]) for i in mine for key in mine[i])
    assert rows_of(one) == rows_of(other)


def network_of(folder: Path, name: str = "model.zip") -> dict[str, torch.Tensor]:
    policy = agent_of(folder, name).policy
    assert isinstance(policy, SequencePolicy)
    return policy.network.state_dict()


USER_REWARDS = """
import numpy as np

class Base:
    calls = 0
    def score(self, pieces):
        type(self).calls += 1
        return self.bad(pieces) if self.calls == 3 else np.ones(len(pieces), np.float32)

class Nan(Base):
    name = "of-mine"
    def bad(self, pieces): return np.full(len(pieces), np.nan)

class Shape(Base):
    name = "of-mine"
    def bad(self, pieces): return np.zeros((len(pieces), 2))

class Raises(Base):
    name = "of-mine"
    def bad(self, pieces): raise KeyError("oh")

class Saves(Base):
    name = "of-mine"
    def bad(self, pieces): return np.ones(len(pieces))
    def save(self): raise AssertionError("must not be saved")
"""


def contents(folder: Path) -> dict[str, bytes | None]:
    """The bytes of everything in a folder, at any depth; None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
