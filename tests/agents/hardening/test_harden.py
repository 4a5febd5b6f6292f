from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from toccata.agents.hardening import harden as harden_module
from toccata.agents.hardening.config import HardenConfig
from toccata.agents.hardening.harden import HardenError, harden
from toccata.cli import run_command
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.negatives.rules import rule_pieces
from toccata.reward_models.rating.fitting import support
from toccata.settings.options import ConfigError

ATTACKS = {"agent on rating", "agent on realism", "agent on both", "best of 8"} | {
    "search from the prior",
    "search from noise",
    "search on realism",
}


def toy_config(out: Path, corpus: Path, **changes: Any) -> HardenConfig:
    settings: dict[str, Any] = {
        "rounds": 1,
        "corpus": (str(corpus),),
        "bars": 2,
        "samples": 8,
        "best_of": 8,
        "search_steps": 1,
        "realism_steps": 1,
        "per_source": 8,
        "attack_timesteps": 256,
        "num_envs": 4,
    }
    return HardenConfig(out=out, **{**settings, **changes})


@pytest.fixture
def attackers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Agents that play two notes in turn; the settings they were trained with."""
    trained: list[Any] = []

    def agent_pieces(config: Any, samples: int, console: Console) -> list[Score]:
        trained.append(config)
        return rule_pieces("alternating_notes", samples, config.bars, np.random.default_rng(config.seed))

    def best_of_n(reward: Any, count: int, n: int, bars: int, genre: str, seed: int) -> list[Score]:
        return rule_pieces("ostinato", count, bars, np.random.default_rng(seed))

    monkeypatch.setattr(harden_module, "agent_pieces", agent_pieces)
    monkeypatch.setattr(harden_module, "best_of_n", best_of_n)
    monkeypatch.setattr(harden_module, "SHOWN", 1)
    monkeypatch.setattr(harden_module, "SEARCHED", 4)
    monkeypatch.setattr(support, "STEPS", 2)
    monkeypatch.setattr(support, "NOISE_PIECES", 2)
    return trained


def quietly(config: HardenConfig) -> dict[str, Any]:
    return harden(config, Console(file=StringIO()))


def test_rounds_are_written_resumed_and_added_to(tmp_path: Path, corpus_folder: Path, attackers: list[Any]) -> None:
    out = tmp_path / "hardened"
    first = quietly(toy_config(out, corpus_folder))
    assert [each["round"] for each in first["rounds"]] == [1, 2]
    assert all(set(each["attacks"]) == ATTACKS for each in first["rounds"])
    assert [config.policy for config in attackers] == ["transformer"] * 3 + ["lstm"] * 3
    assert [config.total_timesteps for config in attackers] == [256] * 3 + [512] * 3
    assert attackers[0].rewards == (("rating", 1.0),)
    assert {(config.target_kl, config.on_collapse) for config in attackers} == {(0.03, "ignore")}
    assert attackers[3].rewards[0][0].startswith(f"rating:{out.resolve()}")
    assert len({config.seed for config in attackers}) == 2
    attack = first["rounds"][0]["attacks"]["agent on rating"]
    assert attack["pieces"] == 8 and set(attack["found"]) <= set(range(8))
    for name in ("rating", "realism"):
        fitted = load_reward(f"{name}:{out / name}")
        assert fitted.weights_hash() == load_reward(f"{name}:{out / 'round-1' / name}").weights_hash()
        assert fitted.weights_hash() != load_reward(name).weights_hash()
    page = (out / "report.md").read_text()
    assert page.count("| agent on both |") == 2
    assert json.loads((out / "rounds.json").read_text()) == first["rounds"]

    attackers.clear()
    assert quietly(toy_config(out, corpus_folder)) == first
    assert not attackers
    more = quietly(toy_config(out, corpus_folder, rounds=2))
    assert [each["round"] for each in more["rounds"]] == [1, 2, 3]
    assert len(attackers) == 3  # the second round had attacked already, and is fitted now
    assert more["rounds"][0] == first["rounds"][0]
    assert more["rounds"][1]["fitted"] and not first["rounds"][1]["fitted"]


@pytest.mark.slow  # the test above resumes a call that ended
def test_a_stopped_call_is_resumed(
    tmp_path: Path, corpus_folder: Path, attackers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = quietly(toy_config(tmp_path / "whole", corpus_folder, rounds=0))
    with monkeypatch.context() as patch:
        patch.setattr(harden_module, "search", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            quietly(toy_config(tmp_path / "stopped", corpus_folder, rounds=0))
    attackers.clear()
    resumed = quietly(toy_config(tmp_path / "stopped", corpus_folder, rounds=0))
    assert not attackers  # they had attacked
    assert resumed["rounds"] == whole["rounds"]


def test_other_folders_and_settings_are_refused(tmp_path: Path, corpus_folder: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(HardenError, match="is not empty"):
        quietly(toy_config(tmp_path, corpus_folder))
    out = tmp_path / "begun"
    out.mkdir()
    (out / "config.json").write_text(toy_config(out, corpus_folder).to_json())
    with pytest.raises(ConfigError, match="--bars 2, got 4"):
        quietly(toy_config(out, corpus_folder, bars=4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating": "realism"}, "rating must be rating or rating:FOLDER"),
        ({"realism": "density"}, "realism must be realism or realism:FOLDER"),
        ({"fakes": ("folder",)}, "FAMILY=FOLDER"),
        ({"rounds": -1}, "rounds must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        toy_config(tmp_path, tmp_path, **changes)


@pytest.mark.slow
def test_the_command_with_real_agents(tmp_path: Path, corpus_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--rounds 1 --bars 2 --samples 8 --best-of 8 --search-steps 4 --realism-steps 2 --per-source 8"
    options += f" --attack-timesteps 1024 --num-envs 8 --corpus {corpus_folder} --out {tmp_path / 'hardened'}"
    assert run_command("harden", options.split()) == 0
    out = capsys.readouterr().out
    assert "# Hardening" in out and "use them with: python train.py --rewards" in out
