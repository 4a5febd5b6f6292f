"""Reward models that learn in runs: trained, logged, saved, hashed, resumed exactly, and evaluated, whatever class."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from helpers.runs import Toy, assert_equal_runs, resumed_config, rows_of, train_quietly
from toccata.agents.runs.rewards_file import load_rewards
from toccata.agents.runs.training import train
from toccata.envs.reward_model import RewardModelError
from toccata.reward_models import Realism, Silence
from toccata.settings.options import ConfigError

OWN = """
import numpy as np
from toccata.reward_models import Realism, Silence
from toccata.reward_models.realism.discriminator import Discriminator

class Counter:
    name = "counter"
    def __init__(self, start=0): self.count = start
    def score(self, pieces): return np.full(len(pieces), self.count, np.float32)
    def update(self, fakes, real, rng):
        self.count += 1
        return {"count": self.count}

class Kept(Counter):
    def state_dict(self): return {"count": self.count}
    def load_state_dict(self, state): self.count = state["count"]

class NotRestored(Kept):
    def load_state_dict(self, state): self.count = -1

class Scheduled:
    name = "scheduled"
    def score(self, pieces): return np.zeros(len(pieces), np.float32)
    def update(self, step): raise AssertionError

def strict_silence(limit=0.01): return Silence(limit)

def small_realism(width): return Realism(Discriminator(width))
"""


def write_rewards() -> None:
    Path("own_learning.py").write_text(OWN)


def test_the_example_is_resumed_bit_by_bit(toy: Toy, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repository))
    changes: dict[str, Any] = {
        "rewards": (("silence", 1.0), ("examples.discriminator:Discriminator(width=8)", 0.5)),
        "clone_epochs": 0,
    }
    whole = train_quietly(toy("whole", total_timesteps=384, **changes)).folder
    half = train_quietly(toy("half", total_timesteps=256, **changes)).folder
    train_quietly(resumed_config(half, total_timesteps=384))
    assert_equal_runs(whole, half)
    for name in ("model.zip", *(f"reward_models/discriminator/state.{kind}" for kind in ("json", "safetensors"))):
        assert (whole / name).read_bytes() == (half / name).read_bytes()
    rows = rows_of(whole)
    assert all(float(row["discriminator/loss"]) > 0 for row in rows if row["reward/pieces"])
    entry = json.loads((whole / "reward_models/rewards.json").read_text())[1]
    assert (entry["model"], entry["args"]) == ("examples.discriminator:Discriminator", {"width": 8})
    assert entry["files"].keys() == {"state.json", "state.safetensors"}


def test_the_models_of_functions_are_saved_as_what_was_named(toy: Toy) -> None:
    """Their limits are theirs, their states are kept, and a damaged state is named."""
    write_rewards()
    rewards = (
        ("own_learning:strict_silence", 1.0),
        ("own_learning:small_realism(width=4)", 0.5),
        ("own_learning:Kept(start=5)", 0.0),
        ("silence(limit=0.07)", 1.0),
        ("silence", 0.0),
    )
    run = train_quietly(toy("run", rewards=rewards, total_timesteps=256, clone_epochs=0)).folder
    loaded = load_rewards(run / "reward_models", run)
    assert loaded.weights == {"silence": 1.0, "realism": 0.5, "counter": 0.0, "silence-2": 1.0, "silence-3": 0.0}
    assert loaded.models["silence"] == Silence(0.01)
    assert loaded.models["silence-2"] == Silence(0.07)
    assert loaded.models["silence-3"] not in (Silence(0.01), Silence())  # the corpus's limit
    assert isinstance(loaded.models["realism"], Realism)
    assert len(loaded.models["realism"].replay.scores) > 0
    logged = [row["counter/count"] for row in rows_of(run) if row["counter/count"]]
    assert [float(count) for count in logged] == [5 + n for n in range(1, len(logged) + 1)]
    assert loaded.models["counter"].count == 5 + len(logged)
    state = run / "reward_models/counter/state.json"
    state.write_bytes(state.read_bytes().replace(b"count", b"kount"))
    with pytest.raises(ConfigError, match=r"counter/state\.json: its SHA-256 is not the one in"):
        load_rewards(run / "reward_models", run)


def test_what_is_paid_and_not_kept_is_said_at_the_start(toy: Toy) -> None:
    write_rewards()
    printed = StringIO()
    rewards = (("silence", 1.0), ("own_learning:Counter", 0.5), ("own_learning:Scheduled", 0.25))
    run = train(toy("run", rewards=rewards, total_timesteps=128, clone_epochs=0), [], Console(file=printed, width=300))
    text = printed.getvalue()
    paid = "1 x silence + 0.5 x counter (own_learning:Counter) + 0.25 x scheduled (own_learning:Scheduled)"
    assert f"reward: {paid}; trained along: counter\n" in text
    assert "warning: reward model 'counter' learns, but has no state_dict()" in text
    assert "warning: reward model 'scheduled' has a method update(step)" in text
    log = (run.folder / "log.txt").read_text()
    assert "reward: 1 x silence" in log
    assert "finished at step 128" in log.splitlines()[-1]


def test_a_state_that_is_not_restored_is_an_error_before_anything_is_written(toy: Toy) -> None:
    write_rewards()
    with pytest.raises(RewardModelError, match="'counter': after load_state_dict"):
        train_quietly(toy("run", rewards=(("own_learning:NotRestored", 1.0),), clone_epochs=0))
    assert not Path("run").exists()


def test_a_failing_reward_has_its_traceback_in_the_log(toy: Toy) -> None:
    Path("own_failing.py").write_text(
        "import numpy as np\nclass Fails:\n    name = 'fails'\n    def score(self, pieces):\n        return 1 / 0\n"
    )
    with pytest.raises(RewardModelError, match="'fails' raised ZeroDivisionError: division by zero; the run is saved"):
        train_quietly(toy("run", rewards=(("own_failing:Fails", 1.0),), total_timesteps=128, clone_epochs=0))
    log = Path("run/log.txt").read_text()
    assert 'own_failing.py", line 5, in score' in log
    assert "return 1 / 0" in log


def test_the_rollout_in_which_a_reward_fails_is_played_again(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_failing_once.py").write_text(
        "import os\nimport numpy as np\nclass Fails:\n    name = 'fails'\n    calls = 0\n"
        "    diagnostics = True  # a name of its own\n"
        "    def score(self, pieces): return np.ones(len(pieces))\n"
        "    def update(self, pieces, real, rng):\n"
        "        self.calls += 1\n"
        "        if self.calls == 2 and 'MENDED' not in os.environ: raise ValueError('oh')\n"
        "        return {'calls': self.calls}\n"
        "    def state_dict(self): return {'calls': self.calls}\n"
        "    def load_state_dict(self, state): self.calls = state['calls']\n"
    )
    with pytest.raises(RewardModelError, match=r"'fails': update raised ValueError: oh; the run is saved"):
        train_quietly(
            toy("run", rewards=(("own_failing_once:Fails", 1.0),), bars=1, total_timesteps=512, clone_epochs=0)
        )
    monkeypatch.setenv("MENDED", "1")
    run = train_quietly(resumed_config(Path("run")))
    assert [float(row["time/total_timesteps"]) for row in rows_of(run.folder)] == [128, 256, 384, 512]
    assert [float(row["fails/calls"]) for row in rows_of(run.folder)] == [1, 3, 4, 5]


def test_a_state_that_cannot_be_saved_after_an_update_is_an_error_at_once(toy: Toy) -> None:
    odd = OWN.replace(
        'dict(self): return {"count": self.count}', 'dict(self): return {"count": {self.count} if self.count else 0}'
    )
    Path("own_odd_state.py").write_text(odd)
    with pytest.raises(RewardModelError, match=r"state_dict\(\)\['count'\] is a set; .* as at its last checkpoint"):
        train_quietly(toy("run", rewards=(("own_odd_state:Kept", 1.0),), total_timesteps=512, clone_epochs=0))
    assert not Path("run/progress.csv").exists()  # it stopped in the first rollout


def test_a_run_uses_the_module_that_it_was_made_with(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rewards()
    run = train_quietly(
        toy("run", rewards=(("own_learning:strict_silence", 1.0),), total_timesteps=128, clone_epochs=0)
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("own_learning.py").write_text(OWN.replace("limit=0.01", "limit=0.5"))
    monkeypatch.delitem(sys.modules, "own_learning")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", str(tmp_path))])
    assert load_rewards(run.folder / "reward_models", run.folder).models["silence"] == Silence(0.01)
