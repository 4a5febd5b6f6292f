"""The environments by their ids, with rewards by name."""

import gymnasium as gym
import numpy as np
import pytest

import toccata  # noqa: F401  # registers the ids


class Silent:
    name = "silent"

    def score(self, pieces):
        return np.zeros(len(pieces), np.float32)


@pytest.mark.parametrize("id_", ["toccata/Piano-v0", "toccata/PianoDiscrete-v0"])
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
