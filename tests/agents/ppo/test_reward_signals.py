"""Rewards that would count twice, or not at all, are refused; episode statistics are those of the reward model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

import toccata  # noqa: F401  # registers the environments
from helpers.sequence_agents import Notes, disturbed_copy, make_agent, make_envs
from toccata.agents import ComposerPPO, FeedforwardPolicy, PianoVecEnv, SequenceComposerPPO
from toccata.envs.pieces import Pieces


class Half:
    """One half for every piece."""

    name = "half"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.full(len(pieces), 0.5, np.float32)


def vec_env(**arguments: Any) -> VecEnv:
    return PianoVecEnv(2, bars=1, beats_per_bar=1, **arguments)


def plain_env(**arguments: Any) -> VecEnv:
    make = lambda: gym.make("toccata/Piano-v0", bars=1, beats_per_bar=1, **arguments)  # noqa: E731  # twice the same
    return DummyVecEnv([make, make])


def composer(env: Any, reward_model: Any = None) -> ComposerPPO:
    return ComposerPPO(FeedforwardPolicy, env, reward_model=reward_model, n_steps=24, batch_size=48, device="cpu")


@pytest.mark.parametrize("make", [vec_env, plain_env])
def test_two_reward_models_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="both the environment and the agent have a reward model"):
        composer(make(reward=Half()), Half()).learn(48)


@pytest.mark.parametrize("make", [vec_env, plain_env])
def test_no_reward_is_a_warning(make: Any) -> None:
    with pytest.warns(UserWarning, match="nothing rewards this agent"):
        composer(make()).learn(48)


@pytest.mark.parametrize("make", [vec_env, plain_env])
def test_a_penalty_alone_is_a_signal(make: Any) -> None:
    composer(make(illegal_penalty=0.1)).learn(48)


def test_a_loaded_agent_without_its_reward_model_is_refused(tmp_path: Path) -> None:
    composer(vec_env(), Half()).learn(48).save(tmp_path / "model.zip")
    loaded = ComposerPPO.load(tmp_path / "model.zip", env=vec_env(), device="cpu")
    with pytest.raises(ValueError, match=r"set model\.reward_model before learn"):
        loaded.learn(48)
    loaded.reward_model = Half()
    loaded.learn(48)
    in_environment = ComposerPPO.load(tmp_path / "model.zip", env=vec_env(reward=Half()), device="cpu")
    in_environment.learn(48)


def test_an_environment_may_begin_to_reward_after_loading(tmp_path: Path) -> None:
    composer(vec_env(reward=Half())).learn(48).save(tmp_path / "model.zip")
    ComposerPPO.load(tmp_path / "model.zip", env=vec_env(), reward_model=Half(), device="cpu").learn(48)


def test_a_prior_alone_is_a_signal_if_its_kl_counts() -> None:
    model = make_agent(make_envs(2), prior_kl_coef=0.1)
    model.reference = disturbed_copy(model)
    model.learn(48)
    measured = make_agent(make_envs(2))
    measured.reference = disturbed_copy(measured)
    with pytest.warns(UserWarning, match="nothing rewards this agent"):
        measured.learn(48)


class Statistics(BaseCallback):
    """Keeps `rollout/ep_rew_mean` of every rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes = self.model.ep_info_buffer
        assert episodes is not None
        if episodes:
            self.means.append(float(np.mean([episode["r"] for episode in episodes])))


@pytest.mark.parametrize("monitor", [VecMonitor, lambda env: env], ids=["VecMonitor", "none"])
def test_episode_statistics_are_those_of_the_reward_model(monitor: Any) -> None:
    """The rewards that a monitor sees are 0: they must not be averaged in."""
    statistics = Statistics()
    composer(monitor(vec_env()), Half()).learn(192, statistics)
    assert statistics.means
    assert set(statistics.means) == {0.5}


def test_without_a_reward_model_statistics_are_those_of_the_monitor() -> None:
    statistics = Statistics()
    composer(VecMonitor(vec_env(reward=Half())), None).learn(192, statistics)
    assert statistics.means == pytest.approx([0.5] * len(statistics.means))
    assert len(statistics.means) >= 2


def test_a_sequence_agent_is_checked_too() -> None:
    with pytest.raises(ValueError, match="both the environment and the agent have a reward model"):
        make_agent(make_envs(2, reward=Notes()), reward_model=Notes()).learn(48)


def test_a_coefficient_without_a_reference_policy_is_an_error(tmp_path: Path) -> None:
    """Also of a loaded model, which does not hold the reference policy that it was trained with."""
    model = make_agent(make_envs(2), reward_model=Notes(), prior_kl_coef=0.5)
    with pytest.raises(ValueError, match=r"prior_kl_coef is 0\.5, but there is no reference policy"):
        model.learn(48)
    model.reference = disturbed_copy(model)
    model.learn(48)
    model.save(tmp_path / "model.zip")
    loaded = SequenceComposerPPO.load(tmp_path / "model.zip", env=make_envs(2), device="cpu", reward_model=Notes())
    with pytest.raises(ValueError, match=r"set model\.reference before learn\(\)"):
        loaded.learn(48)
