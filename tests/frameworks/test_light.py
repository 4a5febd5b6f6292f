"""Scripts of docs/frameworks.md that need nothing but Toccata's own dependencies, and what the pages say of all."""

import ast
import re
from pathlib import Path

import pytest

from helpers.scripts import smaller
from toccata.reward_models import RewardModel, load_reward

REWARD = 'REWARD = [["rating", 1.0], ["silence", 1.0], ["repetition", 3.0]]'
NO_REWARD = (REWARD, "REWARD = None"), ("bars=2", "bars=1, illegal_penalty=1.0")  # then illegal actions alone are paid


def run(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(folder)
    names: dict = {"__name__": "__main__"}
    exec(compile(script, "script", "exec"), names)
    return names


def test_cleanrl_style_ppo_plays_legal_actions_and_learns_from_the_reward(
    scripts: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = ("ITERATIONS = 500", "ITERATIONS = 2"), ("= 64, 128, 4, 512", "= 4, 48, 1, 64")
    run(smaller(scripts["cleanrl_ppo.py"], *small, *NO_REWARD), tmp_path, monkeypatch)
    returns = re.findall(r"reward (\S+) over [1-9]", capsys.readouterr().out)
    assert returns and all(float(each) == 0 for each in returns)
    silence = (REWARD, 'REWARD = "silence"'), ("bars=2", "bars=1")
    names = run(smaller(scripts["cleanrl_ppo.py"], *small, *silence), tmp_path, monkeypatch)
    assert names["pieces"] and all(-1 <= each <= 0 for each in names["pieces"])


def test_sb3(scripts: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = ("STEPS = 1_000_000", "STEPS = 48"), ("PianoVecEnv(64", "PianoVecEnv(2"), ("n_steps=128", "n_steps=24")
    sizes = ("batch_size=512", "batch_size=48"), ("50_000", "100"), ("1_000,", "16,"), (REWARD, 'REWARD = "silence"')
    run(smaller(scripts["ppo_and_dqn.py"], *changes, *sizes), tmp_path, monkeypatch)


def test_sb3_contrib_plays_legal_actions(scripts: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = ("STEPS = 1_000_000", "STEPS = 128"), ("PianoVecEnv(64", "PianoVecEnv(2"), ("n_steps=128", "n_steps=64")
    sizes = (("batch_size=512", "batch_size=64"),)
    agent = run(smaller(scripts["maskable_ppo.py"], *changes, *sizes, *NO_REWARD), tmp_path, monkeypatch)["agent"]
    assert agent.ep_info_buffer and all(episode["r"] == 0 for episode in agent.ep_info_buffer)
    assert (tmp_path / "composer.zip").is_file()


def test_every_reward_of_the_pages_is_one(scripts: dict) -> None:
    rewards = re.findall(r"^REWARD = (.*)$", "\n".join(scripts.values()), re.MULTILINE)
    assert len(rewards) == 8
    for reward in set(rewards):
        assert isinstance(load_reward(ast.literal_eval(reward)), RewardModel)


def test_versions_in_the_table_are_those_that_are_pinned(repository: Path) -> None:
    pins = dict(re.findall(r"^(\S+)==(\S+)", (repository / "constraints-frameworks.txt").read_text(), re.MULTILINE))
    page = (repository / "docs" / "frameworks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[(.*?)\]\(.*?\) \| (?:torch )?([\d.]+) \|", page, re.MULTILINE))
    names = ("torch", "stable_baselines3", "sb3_contrib", "rl_zoo3", "ray", "torchrl", "tianshou", "mo-gymnasium")
    assert list(rows.values()) == [pins[name] for name in names]
