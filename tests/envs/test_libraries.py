"""Algorithms of other libraries train on the environments without changes."""

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, DQN, PPO

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Piano, PianoDiscreteEnv, PianoEnv

SMALL = Piano(lowest=48, highest=72, values=(6, 12, 24))  # small, so that the tests are fast
NET = {"net_arch": [16]}


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
@pytest.mark.parametrize("env", [PianoEnv, PianoDiscreteEnv])
def test_ppo(algorithm: type[PPO], env: type[PianoEnv]) -> None:
    model = algorithm(
        "MultiInputPolicy", env(bars=1, piano=SMALL), n_steps=32, batch_size=16, n_epochs=1, policy_kwargs=NET, seed=0
    )
    model.learn(64)
    assert model.num_timesteps == 64


def test_maskable_ppo_reads_the_words() -> None:
    env = PianoEnv(piano=SMALL, lyrics=["la la", "oh day"])
    model = MaskablePPO("MultiInputPolicy", env, n_steps=32, batch_size=16, n_epochs=1, policy_kwargs=NET, seed=0)
    model.learn(64)
    assert {"syllables", "voice"} < set(model.observation_space)


def test_maskable_ppo_never_plays_an_illegal_action() -> None:
    env = gym.make("toccata/Piano-v0", bars=1, observation="actions")
    model = MaskablePPO("MultiInputPolicy", env, n_steps=64, batch_size=32, n_epochs=1, policy_kwargs=NET, seed=0)
    illegal = []
    model.learn(128, callback=lambda local, _: illegal.append(local["infos"][0]["illegal_actions"]) or True)
    assert len(illegal) == 128
    assert not any(illegal)
    observation, info = env.reset(seed=0)
    for _ in range(20):
        action, _ = model.predict(observation, action_masks=info["action_mask"])
        observation, _, _, _, info = env.step(action)
    assert info["illegal_actions"] == 0


def test_a2c_and_dqn() -> None:
    A2C("MultiInputPolicy", PianoEnv(bars=1, piano=SMALL), policy_kwargs=NET, seed=0).learn(20)
    flat = PianoDiscreteEnv(bars=1, piano=SMALL, observation="actions")
    DQN("MultiInputPolicy", flat, buffer_size=100, learning_starts=16, policy_kwargs=NET, seed=0).learn(32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "id_", "arguments"),
    [
        (PPO, "toccata/Piano-v0", {"n_steps": 128}),
        (MaskablePPO, "toccata/Piano-v0", {"n_steps": 128}),
        (MaskablePPO, "toccata/PianoDiscrete-v0", {"n_steps": 128}),
        (DQN, "toccata/PianoDiscrete-v0", {"buffer_size": 500, "learning_starts": 100}),
    ],
)
def test_by_id_with_every_default(algorithm: type, id_: str, arguments: dict) -> None:
    model = algorithm("MultiInputPolicy", id_, seed=0, **arguments)
    model.learn(384)
    action, _ = model.predict(model.get_env().reset())
    assert np.asarray(action).shape[0] == 1
