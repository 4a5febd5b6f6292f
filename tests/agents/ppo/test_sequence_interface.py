"""What users of Stable-Baselines3 call: save, load, predict, callbacks, loggers, monitors, plain environments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.callbacks import CheckpointCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import toccata  # noqa: F401  # registers the environments
from helpers.sequence_agents import (
    SMALL,
    Notes,
    RolloutRecorder,
    assert_consistent,
    disturbed_copy,
    make_agent,
    make_envs,
    weights_of,
)
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


def test_two_halves_with_a_save_between_equal_one_run(tmp_path: Path, backbone: str) -> None:
    """Pieces go on over the gap, and their KL as well."""
    settings: dict[str, Any] = {
        "n_steps": 9,
        "batch_size": 18,
        "n_epochs": 2,
        "prior_kl_coef": 0.1,
        "prior_kl_target": 1.0,
    }
    half = 4 * 9 * 3

    def new_model() -> SequenceComposerPPO:
        model = make_agent(make_envs(4, bars=3), backbone, reward_model=Notes(), **settings)
        model.reference = disturbed_copy(model)
        return model

    whole = new_model().learn(2 * half)
    first = new_model()
    first.learn(half)
    env = first.get_env()
    assert isinstance(env, PianoVecEnv)
    first.save(tmp_path / "half.zip")
    state, chance, random = env.state(), env.random_state(), random_state()
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  # SB3 draws from it
    new = make_envs(4, bars=3)
    second = SequenceComposerPPO.load(tmp_path / "half.zip", env=new, device="cpu", force_reset=False)
    second.reward_model, second.reference = Notes(), first.reference
    new.set_state(state)
    new.set_random_state(chance)
    set_random_state(random)
    assert (second.history.lengths > 0).any()
    second.learn(half, reset_num_timesteps=False)
    assert second.kl_controller.coef == whole.kl_controller.coef != 0.1
    assert all(torch.equal(one, other) for one, other in zip(weights_of(whole), weights_of(second), strict=True))


def test_save_load_predict(tmp_path: Path, backbone: str) -> None:
    model = make_agent(make_envs(3), backbone, reward_model=Notes(), prior_kl_coef=0.25)
    model.reference = disturbed_copy(model)
    model.learn(72)
    model.save(tmp_path / "model.zip")
    again = SequenceComposerPPO.load(tmp_path / "model.zip", device="cpu")
    assert (again.reward_model, again.reference, again.rollout) == (None, None, None)
    assert again.kl_controller.coef == 0.25
    env = make_envs(3)
    observations: Any = env.reset()
    for _ in range(10):
        masks = get_action_masks(env)
        one, _ = model.predict(observations, action_masks=masks, deterministic=True)
        other, _ = again.predict(observations, action_masks=masks, deterministic=True)
        np.testing.assert_array_equal(one, other)
        observations = env.step(one)[0]
    loaded = SequenceComposerPPO.load(tmp_path / "model.zip", env=make_envs(5), device="cpu", reference=model.reference)
    loaded.reward_model = Notes()
    rollouts = RolloutRecorder()
    loaded.learn(5 * 24 * 2, rollouts)
    assert loaded.num_timesteps == 240
    assert all(each["kl/nats_per_step"] > 0 and each["kl/coef"] == 0.25 for each in rollouts.logged)


def test_callbacks_the_logger_and_monitors(tmp_path: Path, backbone: str) -> None:
    env = VecMonitor(make_envs(3, reward=Notes()))
    model = make_agent(env, backbone)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    evaluation = MaskableEvalCallback(
        VecMonitor(make_envs(3, reward=Notes())),
        n_eval_episodes=3,
        eval_freq=20,
        best_model_save_path=str(tmp_path / "best"),
        verbose=0,
    )
    checkpoints = CheckpointCallback(30, str(tmp_path / "checkpoints"))
    model.learn(3 * 24 * 4, [evaluation, checkpoints])
    assert evaluation.best_mean_reward > 0
    assert (tmp_path / "best" / "best_model.zip").is_file()
    model.logger.close()
    first_row = (tmp_path / "progress.csv").read_text().splitlines()[0].split(",")
    assert {"train/approx_kl", "train/explained_variance", "rollout/ep_rew_mean", "eval/mean_reward"} <= set(first_row)
    half_way = next((tmp_path / "checkpoints").glob("*.zip"))  # in the middle of a rollout
    resumed = SequenceComposerPPO.load(
        half_way, env=VecMonitor(make_envs(3, reward=Notes())), device="cpu", force_reset=False
    )
    rollouts = RolloutRecorder()
    resumed.learn(72, rollouts, reset_num_timesteps=False)
    assert rollouts.rollouts[0]["episode_starts"][:, 0].all()
    stopped = make_agent(VecMonitor(make_envs(2, reward=Notes())), backbone)
    stopped.learn(10_000, StopTrainingOnMaxEpisodes(max_episodes=2))
    assert stopped.num_timesteps < 1000


@pytest.mark.parametrize("form", ["gym.make", "Monitor", "DummyVecEnv"])
def test_plain_environments(form: str) -> None:
    def make() -> gym.Env:
        env = gym.make(
            "toccata/Piano-v0", bars=2, beats_per_bar=1, piano=SMALL, observation="actions", max_steps=7, reward=Notes()
        )
        return Monitor(env) if form == "Monitor" else env

    env: Any = DummyVecEnv([make, make]) if form == "DummyVecEnv" else make()
    model, rollouts = make_agent(env, learning_rate=0.0), RolloutRecorder()
    model.learn(96, rollouts)
    assert sum(each["episode_starts"].sum() for each in rollouts.rollouts) > 4
    assert_consistent(model, rollouts)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=2, warn=False)
    assert mean > 0.0


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="prior_kl_coef must be finite and at least 0, got -1"):
        make_agent(make_envs(1), prior_kl_coef=-1)
    for target, coef in ((0.0, 1.0), (3.0, 0.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="prior_kl_target needs to be positive"):
            make_agent(make_envs(1), prior_kl_target=target, prior_kl_coef=coef)
    with pytest.raises(ValueError, match='observation="actions"'):
        make_agent(make_envs(1, observation="full"))
    with pytest.raises(ValueError, match="MultiDiscrete"):
        make_agent(make_envs(1, flat=True))
    model = make_agent(make_envs(1))
    model.reference = SequenceNetwork(Piano(), NetworkConfig("lstm", 8, 1))
    with pytest.raises(ValueError, match="reference policy plays another piano"):
        model.learn(24)
    full = make_envs(1, observation="full")
    with pytest.raises(ValueError, match="needs a SequencePolicy, got FeedforwardPolicy"):
        SequenceComposerPPO(FeedforwardPolicy, full, policy_kwargs={"piano": SMALL}, device="cpu")
    with pytest.raises(ValueError, match="SequencePolicy needs a cache while it plays: use SequenceComposerPPO"):
        ComposerPPO(SequencePolicy, make_envs(1), policy_kwargs={"piano": SMALL}, device="cpu")

    class Maskless(gym.Wrapper):
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

        def get_wrapper_attr(self, name: str) -> Any:
            raise AttributeError(name)

    plain = gym.make("toccata/Piano-v0", bars=1, beats_per_bar=1, piano=SMALL, observation="actions", reward=Notes())
    with pytest.raises(ValueError, match="does not support action masking"):
        make_agent(Maskless(plain)).learn(24)
