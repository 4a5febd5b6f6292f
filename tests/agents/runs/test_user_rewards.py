"""Rewards of users that leave, move, or have odd results while a run is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.runs import Toy, rows_of, train_quietly
from toccata.agents.runs.run_folder import Run
from toccata.envs.reward_model import RewardModelError

REWARDS = """
import os, sys
import numpy as np

class Base:
    name = "of-mine"
    calls = 0
    def score(self, pieces):
        type(self).calls += 1
        return self.bad(pieces) if self.calls == 3 else np.ones(len(pieces))

class Leaves(Base):
    def bad(self, pieces): sys.exit(3)

class Moves(Base):
    def bad(self, pieces):
        os.chdir("/")
        return np.ones(len(pieces))

class Complex(Base):
    def bad(self, pieces): return np.full(len(pieces), 1 + 2j)

class Text(Base):
    def bad(self, pieces): return ["1.0"] * len(pieces)

class Big(Base):
    def bad(self, pieces): return np.full(len(pieces), 3e38)
"""


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("Leaves", "'of-mine' raised SystemExit: 3"),
        ("Moves", "'of-mine' changed the working directory to /; it is"),
        ("Complex", "'of-mine' must return"),
        ("Text", "'of-mine' must return"),
        ("Big", "the terms of a reward add up to no finite float32: of-mine 3e+38, of-mine-2 3e+38"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_is_named_and_the_run_saved_where_it_was_begun(toy: Toy, attribute: str, message: str) -> None:
    here = Path.cwd()
    Path("rewards_of_mine.py").write_text(REWARDS)
    rewards = tuple((f"rewards_of_mine:{attribute}", 1.0) for _ in range(2 if attribute == "Big" else 1))
    if attribute == "Big":
        Path("rewards_of_mine.py").write_text(REWARDS.replace("self.calls == 3", "self.calls >= 5"))
    config = replace(toy("run", rewards=rewards, total_timesteps=1280, clone_epochs=0), run_dir=Path("run"))
    with pytest.raises(RewardModelError) as caught:
        train_quietly(config)
    assert message in str(caught.value)
    assert "the run is saved in run, " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Path.cwd() == here
    assert Run.open(Path("run")).last_checkpoint() is not None
    assert len(rows_of(Path("run"))) >= 1


@pytest.mark.parametrize("name", ["total", "kl", "../../elsewhere", "two\\nlines"])
def test_a_name_that_is_no_column_is_refused_before_anything_is_written(toy: Toy, name: str) -> None:
    Path("rewards_of_mine.py").write_text(REWARDS.replace('"of-mine"', f'"{name}"'))
    with pytest.raises(RewardModelError, match=r"'rewards_of_mine:Leaves'.*name must"):
        train_quietly(toy("run", rewards=(("rewards_of_mine:Leaves", 1.0),), clone_epochs=0))
    assert not Path("run").exists()
