"""The legal actions in the observation."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import toccata  # noqa: F401  # registers the ids
from toccata.agents import ComposerPPO, PianoVecEnv, SequenceComposerPPO
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.envs import Piano, PianoDiscreteEnv, PianoDiscreteVectorEnv, PianoEnv, PianoVectorEnv, Pieces

SMALL = Piano(lowest=48, highest=72, values=(6, 12, 24, 96))
NET = {"net_arch": [8]}


class NoReward:
    name = "nothing"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.zeros(len(pieces), np.float32)


@pytest.mark.parametrize("observation", ["full", "actions"])
@pytest.mark.parametrize("env", [PianoEnv, PianoDiscreteEnv])
def test_the_observation_has_the_mask_of_the_info(env: type[PianoEnv], observation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env(bars=1, piano=SMALL, observation_mask=True, observation=observation), skip_render_check=True)
        sb3_check_env(env(bars=1, piano=SMALL, observation_mask=True, observation=observation))
    masked = env(bars=1, piano=SMALL, observation_mask=True, observation=observation)
    plain = env(bars=1, piano=SMALL, observation=observation)
    (seen, info), (without, _) = masked.reset(seed=0), plain.reset(seed=0)
    for action in (30, 3, 44, 15) if masked.flat else ((9, 2), (9, 2), (12, 1), (0, 3)):
        np.testing.assert_array_equal(seen["action_mask"], info["action_mask"])
        assert masked.observation_space.contains(seen)
        assert seen.keys() - without.keys() == {"action_mask"}
        seen, _, _, _, info = masked.step(np.array(action))
        without = plain.step(np.array(action))[0]
    assert 0 < seen["action_mask"].sum() < seen["action_mask"].size


def test_vectors_have_it_too() -> None:
    for envs in (
        PianoVectorEnv(2, bars=1, observation_mask=True),
        PianoDiscreteVectorEnv(2, bars=1, observation_mask=True),
    ):
        observations, infos = envs.reset(seed=0)
        np.testing.assert_array_equal(observations["action_mask"], infos["action_mask"])
        rest = np.array([12, 3]) if envs.flat else np.array([[0, 12], [0, 3]])  # of a whole bar, of a sixteenth
        observations, _, terminated, _, infos = envs.step(rest)
        assert terminated.tolist() == [True, False]
        np.testing.assert_array_equal(observations["action_mask"], infos["action_mask"])
        last = infos["final_obs"][0]["action_mask"]
        np.testing.assert_array_equal(last, infos["final_info"]["action_mask"][0])
        assert envs.observation_space.contains(observations)
    with pytest.raises(TypeError, match="observation_mask must be True or False, got 'yes'"):
        PianoVectorEnv(2, observation_mask="yes")


def test_a_replay_buffer_holds_the_masks() -> None:
    env = gym.make("toccata/PianoDiscrete-v0", bars=1, piano=SMALL, observation="actions", observation_mask=True)
    model = DQN("MultiInputPolicy", env, buffer_size=64, learning_starts=8, batch_size=8, policy_kwargs=NET, seed=0)
    model.learn(16)
    sample = model.replay_buffer.sample(8)
    for observations in (sample.observations, sample.next_observations):
        mask = observations["action_mask"]
        assert tuple(mask.shape) == (8, env.action_space.n)
        assert bool((mask.sum(dim=1) >= 1).all())
    first = env.reset(seed=0)[1]["action_mask"]
    np.testing.assert_array_equal(model.replay_buffer.observations["action_mask"][0, 0], first)


@pytest.mark.parametrize("flat", [False, True])
def test_stable_baselines_policies_take_it(flat: bool) -> None:
    envs = PianoVecEnv(2, bars=1, piano=SMALL, observation="actions", observation_mask=True, flat=flat)
    observations = envs.reset()
    np.testing.assert_array_equal(observations["action_mask"], envs.action_masks())
    for algorithm in (PPO, MaskablePPO):
        algorithm("MultiInputPolicy", envs, n_steps=8, batch_size=16, n_epochs=1, policy_kwargs=NET, seed=0).learn(16)


@pytest.mark.parametrize("features", ["full", "actions"])
def test_policies_of_toccata_do_not_read_it(features: str) -> None:
    """They get the masks from the environment, and apply them to their logits: a mask as an input changes nothing."""
    results = []
    for observation_mask in (False, True):
        envs = PianoVecEnv(2, bars=1, piano=SMALL, observation=features, observation_mask=observation_mask)
        settings = {"n_steps": 8, "batch_size": 16, "n_epochs": 1, "gamma": 1.0, "seed": 0, "device": "cpu"}
        kwargs = {"piano": SMALL}
        if features == "full":
            model = ComposerPPO(FeedforwardPolicy, envs, reward_model=NoReward(), policy_kwargs=kwargs, **settings)
        else:
            kwargs["network_config"] = {"width": 16, "layers": 1, "heads": 2}
            model = SequenceComposerPPO(SequencePolicy, envs, reward_model=NoReward(), policy_kwargs=kwargs, **settings)
        model.learn(32)
        results.append([*model.policy.parameters(), torch.as_tensor(model.rollout_buffer.actions)])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
