"""The environments by their ids, with rewards by name."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Pieces


class Silent:
    name = "silent"

    def score(self, pieces):
        return np.zeros(len(pieces), np.float32)


@pytest.mark.parametrize("id_", ["toccata/Piano-v0", "toccata/PianoDiscrete-v0", "toccata/PianoVelocity-v0"])
def test_a_reward_can_be_a_name_or_a_model(id_: str) -> None:
    for reward, name in (("silence", "silence"), (Silent(), "silent")):
        assert gym.make(id_, reward=reward).unwrapped.core.reward_model.name == name
        assert gym.make_vec(id_, num_envs=2, reward=reward).core.reward_model.name == name
    with pytest.raises(ValueError, match=r"silenc"):
        gym.make(id_, reward="silenc")


def test_the_spec_of_an_id() -> None:
    spec = gym.spec("toccata/Piano-v0")
    assert spec.max_episode_steps is None  # the length is musical
    env = gym.make(spec, bars=1)
    assert env.unwrapped.spec.id == "toccata/Piano-v0"
    env.reset(seed=0)
    env.close()


@pytest.mark.parametrize(
    "reward",
    [
        "silence(limit=0.1)",
        {"model": "silence", "args": {"limit": 0.1}},
        [["silence(limit=0.1)", 1.0]],
        [{"model": "silence", "weight": 1.0, "args": {"limit": 0.1}}],
        {"model": "silence", "weight": 1.0, "args": {"limit": 0.1}},
    ],
)
def test_every_form_of_a_reward_survives_the_json_of_a_spec(reward: object) -> None:
    env = gym.make("toccata/Piano-v0", bars=1, reward=reward)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    batched = gym.make_vec("toccata/Piano-v0", num_envs=2, bars=1, reward=reward)
    rewards = []
    for each in (env, again):
        _, info = each.reset(seed=0)
        total = 0.0
        while "piece" not in info:
            _, reward_, _, _, info = each.step((0, 12))  # rests only
            total += reward_
        rewards.append(total)
        assert info["reward_terms"] == {"silence": -1.0}
    assert rewards == [-1.0, -1.0]
    assert batched.core.reward_model.score(Pieces([info["piece"]])).tolist() == [-1.0]


def test_weights_of_a_list_of_rewards() -> None:
    reward = gym.make("toccata/Piano-v0", reward=[["silence", 0.5], {"model": "density"}]).unwrapped.reward_model
    assert reward.weights == {"silence": 0.5, "density": 1.0}
    with pytest.raises(ValueError, match=r"an entry of rewards must be \[model, weight\]"):
        gym.make("toccata/Piano-v0", reward=["silence", 0.5])


def test_an_id_can_name_the_module_that_registers_it() -> None:
    """As in the worker processes of RLlib, which do not import toccata by themselves."""
    code = (
        "import gymnasium as gym, sys; assert 'toccata' not in sys.modules; "
        "env = gym.make('toccata:toccata/Piano-v0', bars=1); env.reset(seed=0); "
        "envs = gym.make_vec('toccata:toccata/Piano-v0', num_envs=2, bars=1); envs.reset(seed=0); "
        "assert env.spec.id == envs.spec.id == 'toccata/Piano-v0'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reward_models_are_imported_for_rewards_by_name_only() -> None:
    code = (
        "import sys, gymnasium as gym, toccata\n"
        "class Model:\n    name = 'model'\n    def score(self, pieces): return [0.0] * len(pieces)\n"
        "for reward in (None, Model()):\n"
        "    gym.make('toccata/Piano-v0', bars=1, reward=reward)\n"
        "    gym.make_vec('toccata/PianoDiscrete-v0', num_envs=2, bars=1, reward=reward)\n"
        "assert not {'torch', 'toccata.reward_models'} & set(sys.modules)\n"
        "gym.make('toccata/Piano-v0', bars=1, reward='silence')\n"
        "assert 'toccata.reward_models' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
