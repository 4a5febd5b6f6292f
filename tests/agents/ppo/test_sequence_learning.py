"""Sequence policies learn: toy rewards whose optimum is known, and `MaskablePPO` as a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

import toccata  # noqa: F401  # registers the environments
from helpers.sequence_agents import (
    MELODY,
    SMALL,
    OnlyC,
    Rising,
    RolloutRecorder,
    make_agent,
    make_envs,
)
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(
    "reward", [pytest.param(OnlyC(), marks=pytest.mark.slow), Rising()], ids=lambda reward: reward.name
)  # the second is the harder one
def test_the_optimum_of_a_toy_reward_is_reached(backbone: str, reward: Any) -> None:
    """Both are worth 1 at most, and random play is worth less than a fifth."""
    piano = SMALL if isinstance(reward, OnlyC) else MELODY
    model = make_agent(
        make_envs(32, piano=piano),
        backbone,
        0.0,
        piano=piano,
        reward_model=reward,
        n_steps=24,
        batch_size=384,
        n_epochs=4,
        learning_rate=1e-2,
        gamma=1.0,
        gae_lambda=0.95,
        ent_coef=0.03,  # with less, one seed in five of the transformer stays at two rises
    )
    rollouts = RolloutRecorder()
    model.learn(32 * 24 * 20, rollouts)
    earned = [each["reward/total"] for each in rollouts.logged]
    assert earned[0] < 0.2
    assert np.mean(earned[-3:]) > 0.9, np.round(earned, 2)
    env = VecMonitor(make_envs(2, piano=piano, reward=reward))
    assert evaluate_policy(model, env, n_eval_episodes=2, deterministic=True)[0] == pytest.approx(1.0)


@pytest.mark.slow
def test_with_one_environment_it_learns_like_maskable_ppo() -> None:
    """Three seeds each, the same environment, hyperparameters and budget."""
    settings: dict[str, Any] = {"n_steps": 96, "batch_size": 96, "n_epochs": 6, "learning_rate": 2e-3}
    settings |= {"gamma": 1.0, "ent_coef": 0.01, "device": "cpu"}
    curves: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
    for seed in range(3):
        for name in curves:
            observation = "actions" if name == "ours" else "full"
            env = VecMonitor(make_envs(1, observation=observation, reward=OnlyC()))
            earned: list[float] = []

            class Watch(BaseCallback):
                def _on_step(self) -> bool:
                    return True

                def _on_rollout_end(self, earned: list[float] = earned) -> None:
                    pieces = list(self.model.ep_info_buffer)[-10:]  # type: ignore[arg-type]
                    earned.append(float(np.mean([piece["r"] for piece in pieces])))

            model: MaskablePPO
            if name == "ours":
                kwargs = {"piano": SMALL, "network_config": {"width": 32, "layers": 1, "heads": 2}}
                model = SequenceComposerPPO(SequencePolicy, env, policy_kwargs=kwargs, seed=seed, **settings)
            else:
                model = MaskablePPO(FeedforwardPolicy, env, policy_kwargs={"piano": SMALL}, seed=seed, **settings)
            model.learn(96 * 36, Watch())
            curves[name].append(earned)
    ours, theirs = (np.array(curves[name]).mean(axis=0) for name in curves)
    assert max(ours[0], theirs[0]) < 0
    assert min(ours[-5:].mean(), theirs[-5:].mean()) > 0.9, "both reach it"
    assert abs(ours - theirs).mean() < 0.1, (np.round(ours, 2), np.round(theirs, 2))
