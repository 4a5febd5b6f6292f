"""`--combine` in runs: trained, logged, saved, resumed exactly, and evaluated."""

from __future__ import annotations

import json
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from helpers.runs import Toy, assert_equal_runs, resumed_config, rows_of, train_quietly
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.runs.builders import excerpt_dataset
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.rewards_file import load_rewards, real_pieces, with_corpus_limits
from toccata.agents.runs.run_folder import Run, RunError
from toccata.envs.reward_model import RewardSpecError
from toccata.reward_models import Combination, Lagrangian, TypicalityReward, parse_rewards
from toccata.settings.combinations import CONSTRAINED
from toccata.settings.options import ConfigError

OWN = """
import numpy as np

class Mean:
    def score(self, pieces):
        return np.array([self.of(score.notes) if len(score) else -9 for score in pieces.own], np.float32)

class Height(Mean):
    name = "height"
    def of(self, notes): return notes["pitch"].mean() / 12

class Spread(Mean):
    name = "spread"
    def of(self, notes): return notes["pitch"].std()

class Learns(Spread):
    name = "learns"
    shift = 0.0
    def score(self, pieces): return super().score(pieces) + np.float32(self.shift)
    def update(self, pieces, real, rng):
        self.shift += float(rng.random())
        return {"shift": self.shift}
    def state_dict(self): return {"shift": self.shift}
    def load_state_dict(self, state): self.shift = state["shift"]

class Same(Mean):
    name = "same"
    def score(self, pieces): return np.zeros(len(pieces), np.float32)
"""
REWARDS = (("own_rewards:Height", 1.0), ("own_rewards:Spread", 2.0), ("own_rewards:Learns", 0.5))


@pytest.fixture(autouse=True)
def own_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_rewards.py").write_text(OWN)


@pytest.mark.parametrize("combine", [pytest.param("product", marks=pytest.mark.slow), "gate", "lagrangian"])
def test_a_run_is_trained_resumed_and_evaluated(toy: Toy, combine: str) -> None:
    """With bar rewards, and a reward model that learns, whose thresholds move."""
    changes: dict[str, Any] = {"combine": combine, "rewards": REWARDS, "bars": 2, "clone_epochs": 0}
    whole = train_quietly(toy("whole", total_timesteps=512, **changes))
    half = train_quietly(toy("half", total_timesteps=256, **changes))
    resumed = train_quietly(resumed_config(half.folder, total_timesteps=512))
    assert_equal_runs(whole.folder, resumed.folder)
    assert (whole.published / "model.zip").read_bytes() == (resumed.published / "model.zip").read_bytes()
    files = [run.published / "reward_models/rewards.json" for run in (whole, resumed)]
    assert files[0].read_bytes() == files[1].read_bytes()

    rows = [row for row in rows_of(whole.folder) if row["reward/total"]]
    terms = ("height", "spread", "learns")
    for row in rows:
        total = sum(float(row[f"reward/{term}"]) for term in terms)
        assert float(row["reward/total"]) == pytest.approx(total, abs=1e-4)
    logged = {"gate": {"gate/spread", "gate/learns", "gate/all"}}
    logged["lagrangian"] = {f"{name}/{term}" for name in ("lagrangian", "violation") for term in terms[1:]}
    found = {name for name in rows[0] if name.startswith(("gate/", "lagrangian/", "violation/"))}
    assert found == logged.get(combine, set())
    log = (whole.folder / "log.txt").read_text()
    assert ("learns >= " in log) == (combine in CONSTRAINED)

    rewards = load_rewards(whole.published / "reward_models", whole.folder)
    assert rewards.name == combine
    if isinstance(rewards, Lagrangian):
        assert set(rewards.multipliers.values()) != {1.0}
    if combine in CONSTRAINED:
        start = load_rewards(whole.folder / "checkpoints/start/reward_models", whole.folder)
        assert isinstance(start, Combination) and isinstance(rewards, Combination)
        assert rewards.real["learns"].low > start.real["learns"].low, "its threshold has moved along"
        assert rewards.real["spread"] == start.real["spread"]


def test_a_run_is_evaluated_with_its_combination(toy: Toy) -> None:
    run = train_quietly(toy("run", combine="lagrangian", rewards=REWARDS, total_timesteps=256, clone_epochs=0))
    rewards = load_rewards(run.published / "reward_models", run.folder)
    assert isinstance(rewards, Lagrangian)
    summary = evaluate_folder(EvaluateConfig(run.folder, pieces=1, samples=4), Console(file=StringIO()))
    values = {name: np.array(each["values"]) for name, each in summary["composers"]["agent"].items()}
    scores = {term: values[f"score/{term}"].astype(np.float32) for term in rewards.models}
    of_terms = sum(each.astype(float) for each in rewards.weighted(scores).values())
    assert values["reward/total"] == pytest.approx(of_terms, abs=1e-4)
    assert escape(f"lagrangian: {rewards.describe()}") in (run.folder / "evaluation/report.html").read_text()


@pytest.mark.parametrize(
    ("combine", "rewards", "message"),
    [
        ("gates", [["silence", 1.0]], "combine must be sum, product, gate or lagrangian, got 'gates'"),
        ("gate", [["rating", 1.0]], "combine gate: needs a second reward with a weight greater than 0"),
        ("lagrangian", [["rating", 1.0], ["realism", 0.0]], "combine lagrangian: needs a second reward"),
        (
            "lagrangian",
            [["rating", 0.0], ["realism", 1.0]],
            "combine lagrangian: the first reward, rating, is the objective",
        ),
        ("product", [["rating", -1.0]], "combine product: the weight of rating must be at least 0, got -1"),
    ],
)
def test_settings_that_cannot_be_combined(combine: Any, rewards: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(combine=combine, rewards=rewards)
    (tmp_path / "settings.json").write_text(json.dumps({"combine": combine, "rewards": rewards}))
    with pytest.raises(ConfigError, match=rf"settings\.json: {message}"):
        TrainConfig.from_file(tmp_path / "settings.json")


def test_a_constraint_that_real_music_does_not_tell_apart(toy: Toy) -> None:
    config = toy("run", combine="gate", rewards=(("own_rewards:Height", 1.0), ("own_rewards:Same", 1.0)))
    with pytest.raises(RewardSpecError, match="reward 'same' gives all real pieces the same score, 0"):
        train_quietly(config)
    assert not (config.run_dir or Path()).exists()


def test_the_combination_of_a_file_of_settings(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('combine = "lagrangian"\n')
    config = TrainConfig.from_file(tmp_path / "settings.toml")
    assert config.combine == "lagrangian"
    assert json.loads(config.to_json())["combine"] == "lagrangian"
    assert TrainConfig().combine == "sum"


def test_a_rewards_file_that_was_changed_is_refused(toy: Toy) -> None:
    rewards = REWARDS[:2]
    run = train_quietly(toy("run", combine="lagrangian", rewards=rewards, total_timesteps=128, clone_epochs=0))
    folder = run.published / "reward_models"
    path = folder / "rewards.json"
    content = json.loads(path.read_text())
    for changes, message in (
        ({"combine": "sum"}, "combined by"),
        ({"multipliers": {"spread": 1e9}}, r"the multiplier of spread must be in \[0.01, 10"),
        ({"real": {}}, "real pieces have no scores by 'spread'"),
        ({"real": {"spread": {"low": "a"}}}, "real scores"),
        ({"more": 1}, "unknown 'more'"),
    ):
        path.write_text(json.dumps({**content, **changes}))
        with pytest.raises((ConfigError, RewardSpecError), match=message):
            load_rewards(folder, run.folder)
    path.write_text(json.dumps(content["rewards"]))  # a sum: what an earlier version wrote
    with pytest.raises(RunError, match=r"config\.json combines rewards by a lagrangian, rewards\.json .* by a sum"):
        train_quietly(resumed_config(run.folder, total_timesteps=256))


def test_the_combination_of_a_run_cannot_change(toy: Toy) -> None:
    run = train_quietly(toy("run", rewards=REWARDS[:2], total_timesteps=128, clone_epochs=0))
    with pytest.raises(ConfigError, match="combine is 'sum' in this run"):
        train_quietly(resumed_config(run.folder, combine="gate"))
    assert "sum" not in (run.folder / "log.txt").read_text(), "a sum is described as before"
    assert Run.open(run.folder).config.combine == "sum"


def test_typicality_takes_its_band_from_the_corpus_of_the_run(toy: Toy) -> None:
    rewards = (("own_rewards:Height", 1.0), ("typicality", 1.0))
    config = toy("run", combine="lagrangian", rewards=rewards, bars=2, total_timesteps=256, clone_epochs=0)
    run = train_quietly(config)
    model = load_rewards(run.published / "reward_models", run.folder).models["typicality"]
    shipped = TypicalityReward.load()
    assert isinstance(model, TypicalityReward)
    music = excerpt_dataset(config, "train")
    real = real_pieces(music, config.seed)
    assert (model.low, model.high) == tuple(np.percentile(shipped.bits(real), [5, 95]))
    assert (model.low, model.high) != (shipped.low, shipped.high)
    assert (model.score(real) == 0).mean() > 0.85
    given = toy("given", rewards=(("typicality(low=0.5)", 1.0),))
    kept = with_corpus_limits(music, parse_rewards(given.rewards), given).models["typicality"]
    assert isinstance(kept, TypicalityReward)
    assert (kept.low, kept.high) == (0.5, model.high)
    with pytest.raises(RewardSpecError, match="its band in this corpus: low must be less than high"):
        train_quietly(toy("none", rewards=(("typicality(high=1.7)", 1.0),)))
