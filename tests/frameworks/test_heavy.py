"""Scripts of docs/frameworks.md and docs/scale.md that need the extra `frameworks`, and the frameworks' own checks."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers.scripts import smaller

pytestmark = pytest.mark.frameworks

REWARD = 'REWARD = [["rating", 1.0], ["silence", 1.0], ["repetition", 3.0]]'
NO_REWARD = (REWARD, "REWARD = None"), ("bars=2", "bars=1, illegal_penalty=1.0")  # then illegal actions alone are paid

IDS = ("toccata/Piano-v0", "toccata/PianoDiscrete-v0")

CHECK_TORCHRL = f"""
import toccata
from torchrl.envs import GymEnv
from torchrl.envs.utils import check_env_specs

for name in {IDS}:
    check_env_specs(GymEnv(name, bars=1, reward="silence"))
"""

CHECK_RLLIB = f"""
import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
for name in {IDS}:
    config = PPOConfig().environment("toccata:" + name, env_config={{"bars": 1, "reward": "silence"}})
    config.env_runners(
        num_env_runners=1, rollout_fragment_length=64, env_to_module_connector=lambda *_, **__: FlattenObservations()
    )
    config.training(train_batch_size_per_learner=128, minibatch_size=64, num_epochs=1)
    algorithm = config.build_algo()
    print("return", algorithm.train()["env_runners"]["episode_return_mean"])
    algorithm.stop()
"""

SMALL_RAY = "import ray\n\nray.init(num_cpus={}, include_dashboard=False, log_to_driver=False)\n"

COUNTED = """
from pathlib import Path

import numpy as np


class Ones:
    name = "ones"

    def score(self, pieces):
        with Path("{}").open("a") as file:
            print(len(pieces), file=file)
        return np.ones(len(pieces), np.float32)
"""


def output(words: list[str], folder: Path) -> str:
    """What a command writes that ends without an error."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


def run(script: str, folder: Path) -> str:
    (folder / "script.py").write_text(script, encoding="utf-8")
    return output([sys.executable, "script.py"], folder)


def needs(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'toccata[frameworks]'")


def assert_all_are_zero(returns: list[str]) -> None:
    assert returns and all(float(each) == 0 for each in returns), returns


def test_rl_zoo(scripts: dict, repository: Path, tmp_path: Path) -> None:
    needs("rl_zoo3")
    sizes = ("1e6", "64"), ("envs: 8", "envs: 2"), ("steps: 128", "steps: 32"), ("size: 256", "size: 64")
    (tmp_path / "piano.yml").write_text(smaller(scripts["piano.yml"], *sizes), encoding="utf-8")
    page = (repository / "docs" / "frameworks.md").read_text(encoding="utf-8")
    command = shlex.split(re.findall(r"^python (-m rl_zoo3.*)$", page, re.MULTILINE)[0])
    output([sys.executable, *command], tmp_path)
    assert list((tmp_path / "logs" / "ppo").glob("toccata-Piano-v0_1/*.zip"))


def test_rllib_plays_legal_actions(scripts: dict, tmp_path: Path) -> None:
    needs("ray")
    changes = (REWARD, "REWARD = None"), ('"bars": 2', '"bars": 1, "illegal_penalty": 1.0'), ("= 500", "= 1")
    sizes = ("=2048", "=256"), ("minibatch_size=256", "minibatch_size=64"), ("num_epochs=4", "num_epochs=1")
    printed = run(SMALL_RAY.format(2) + smaller(scripts["rllib_ppo.py"], *changes, *sizes), tmp_path)
    assert_all_are_zero(re.findall(r"^0 (\S+)$", printed, re.MULTILINE))


def test_torchrl_plays_legal_actions(scripts: dict, tmp_path: Path) -> None:
    needs("torchrl")
    changes = ("= 1_000_000, 2048, 4", "= 256, 128, 1"), ("batch_size=256", "batch_size=64")
    printed = run(smaller(scripts["torchrl_ppo.py"], *changes, *NO_REWARD), tmp_path)
    assert_all_are_zero(re.findall(r"reward (\S+) over [1-9]", printed))


def test_tianshou_plays_legal_actions(scripts: dict, tmp_path: Path) -> None:
    needs("tianshou")
    script = smaller(scripts["tianshou_dqn.py"], ("= 100, 10_000", "= 1, 480"), ("20_000", "1_000"), *NO_REWARD)
    script += "\nbuffer = collector.buffer\nprint('returns', buffer.rew.sum(), buffer.done.sum())\n"
    printed = run(script, tmp_path)
    total, pieces = re.findall(r"^returns (\S+) (\S+)$", printed, re.MULTILINE)[0]
    assert float(total) == 0 and int(pieces) > 0


def test_torchrl_accepts_the_environments(tmp_path: Path) -> None:
    needs("torchrl")
    run(CHECK_TORCHRL, tmp_path)


def test_rllib_makes_the_environments_by_name_in_its_own_processes(tmp_path: Path) -> None:
    needs("ray")
    returns = re.findall(r"^return (\S+)$", run(CHECK_RLLIB, tmp_path), re.MULTILINE)
    assert len(returns) == 2
    assert all(-1 <= float(each) <= 0 for each in returns)


def test_reward_actors_score_batches_of_legal_pieces_and_each_piece_is_paid_once(scripts: dict, tmp_path: Path) -> None:
    needs("ray")
    (tmp_path / "counted.py").write_text(COUNTED.format(tmp_path / "sizes.txt"), encoding="utf-8")
    sizes = ("= 500, 16, 64, 128, 4", "= 2, 2, 4, 96, 2"), ("minibatch_size=4096", "minibatch_size=128")
    changes = (REWARD, 'REWARD = "counted:Ones"'), ('"bars": 2', '"bars": 1, "illegal_penalty": 1.0')
    ray = ("ray.init()", SMALL_RAY.format(5)), ("num_epochs=4", "num_epochs=1")
    printed = run(smaller(scripts["rllib_actors.py"], *sizes, *changes, *ray), tmp_path)
    returns = re.findall(r"^[01] (\S+)$", printed, re.MULTILINE)
    assert len(returns) == 2 and all(float(each) == 1 for each in returns), returns
    batches = [int(line) for line in (tmp_path / "sizes.txt").read_text().split()]
    assert len(batches) <= 4 and max(batches) > 4, batches  # of two runners and rollouts; pieces of four pianos


def test_tune_searches_and_trains_seeds(scripts: dict, corpus_folder: Path, tmp_path: Path) -> None:
    needs("ray")
    settings = {
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
        "corpus": (str(corpus_folder),),
    }
    changes = ('16, 4, {"total_timesteps": 500_000}', f"2, 2, {settings}"), ('{"cpu": 2}', '{"cpu": 1}')
    printed = run(SMALL_RAY.format(2) + smaller(scripts["tune_runs.py"], *changes), tmp_path)
    rewards = dict(re.findall(r"^seed (\d) (\S+)$", printed, re.MULTILINE))
    assert set(rewards) == {"0", "1"} and all(-1 <= float(each) <= 0 for each in rewards.values())
    assert len(list((tmp_path / "runs/tune").glob("trial_*/model.zip"))) == 4
