from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import toccata  # noqa: F401  # registers the environments
from helpers.rounding import float32_rounding
from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.reward_models import Silence, WeightedSum

SMALL = Piano(lowest=48, highest=72, chords=("maj", "min"))


class Constant:
    name = "constant"

    def __init__(self, value: float = 0.5) -> None:
        self.value = value
        self.batches: list[int] = []

    def score(self, pieces: Pieces) -> np.ndarray:
        self.batches.append(len(pieces))
        return np.full(len(pieces), self.value, np.float32)


class Length:
    """A score that differs between pieces and grows bar by bar."""

    name = "length"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array(
            [score.notes["pitch"].sum() / 1000 + score.length_ticks / 100 for score in pieces.scores], np.float32
        )


class Rollouts(BaseCallback):
    """Keeps a copy of what each rollout held."""

    def __init__(self) -> None:
        super().__init__()
        self.rollouts: list[dict[str, np.ndarray]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer  # type: ignore[attr-defined]
        names = ("rewards", "returns", "advantages", "values", "episode_starts", "actions", "action_masks")
        self.rollouts.append({name: getattr(buffer, name).copy() for name in names})


def composer(env: Any, reward_model: Any = None, **changes: Any) -> ComposerPPO:
    settings: dict[str, Any] = {
        "n_steps": 24,
        "batch_size": 32,
        "n_epochs": 1,
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "seed": 5,
        "device": "cpu",
    }
    return ComposerPPO(FeedforwardPolicy, env, reward_model=reward_model, **{**settings, **changes})


def trained(env: Any, steps: int, reward_model: Any = None, **changes: Any) -> tuple[ComposerPPO, Rollouts]:
    model, rollouts = composer(env, reward_model, **changes), Rollouts()
    model.learn(steps, rollouts)
    return model, rollouts


def test_a_reward_of_one_half_is_a_return_of_one_half() -> None:
    reward = Constant()
    _, kept = trained(PianoVecEnv(3, bars=1), 3 * 24 * 4, reward)
    finished = 0
    starts = np.concatenate([each["episode_starts"] for each in kept.rollouts])
    rewards = np.concatenate([each["rewards"] for each in kept.rollouts])
    ends = np.vstack([starts[1:], np.zeros((1, 3))]).astype(bool)
    assert (rewards[:-1][ends[:-1]] == 0.5).all(), "rewarded at the step that ends the piece"
    assert (rewards[:-1][~ends[:-1]] == 0).all(), "and nowhere else"
    for each in kept.rollouts:
        for env in range(3):
            own = np.flatnonzero(each["rewards"][:, env])
            if len(own):
                np.testing.assert_allclose(each["returns"][: own[-1] + 1, env], 0.5, rtol=0, atol=float32_rounding(24))
                finished += len(own)
    assert finished == sum(reward.batches)
    assert finished >= 6


def test_pieces_are_scored_in_one_batch_a_rollout() -> None:
    reward = Constant()
    _, kept = trained(PianoVecEnv(4, bars=1), 4 * 24 * 3, reward)
    rewarded = [int((each["rewards"] != 0).sum()) for each in kept.rollouts]
    assert reward.batches == [count for count in rewarded if count]
    assert max(reward.batches) > 1


@pytest.mark.parametrize("reward_at", ["piece", "bar"])
def test_deferred_rewards_equal_those_of_the_environment(reward_at: str) -> None:
    arguments: dict[str, Any] = {"bars": 2, "reward_at": reward_at}
    reward = WeightedSum([(Length(), 1.5), (Silence(), 0.5)])
    # with a learning rate of 0 both agents play the same
    _, deferred = trained(PianoVecEnv(3, **arguments), 3 * 24 * 5, reward, learning_rate=0.0)
    _, at_once = trained(PianoVecEnv(3, reward=reward, **arguments), 3 * 24 * 5, learning_rate=0.0)
    rewarded_steps = 0
    for ours, theirs in zip(deferred.rollouts, at_once.rollouts, strict=True):
        np.testing.assert_array_equal(ours["actions"], theirs["actions"])
        size = 2 * np.abs(theirs["returns"]).max()
        for name in ("rewards", "returns", "advantages"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=float32_rounding(24, size))
        rewarded_steps += int((ours["rewards"] != 0).sum())
    spans = [not each["episode_starts"][0].all() for each in deferred.rollouts[1:]]
    assert any(spans), "pieces went on from one rollout to the next"
    assert rewarded_steps > (12 if reward_at == "bar" else 3)


def test_a_truncated_piece_is_rewarded_and_not_bootstrapped() -> None:
    reward = Constant(2.0)
    env = PianoVecEnv(2, bars=1, max_steps=3)
    _, kept = trained(env, 2 * 24, reward)
    rewards = kept.rollouts[0]["rewards"]
    assert set(np.unique(rewards)) == {0.0, 2.0}


def test_rewards_enter_the_advantages() -> None:
    env = PianoVecEnv(2, bars=1, beats_per_bar=1)
    _, nothing = trained(env, 192, Constant(0.0), n_steps=96)
    _, rewarded = trained(PianoVecEnv(2, bars=1, beats_per_bar=1), 192, Constant(), n_steps=96)
    np.testing.assert_array_equal(nothing.rollouts[0]["actions"], rewarded.rollouts[0]["actions"])
    assert (nothing.rollouts[0]["rewards"] == 0).all()
    finished = rewarded.rollouts[0]["rewards"].any(axis=0)
    difference = rewarded.rollouts[0]["advantages"] - nothing.rollouts[0]["advantages"]
    assert np.abs(difference[0, finished]).min() > 0.1


def test_a_failing_reward_is_named_and_later_rewards_stay_right() -> None:
    class Breaks(Length):
        name = "breaks"
        calls = 0

        def score(self, pieces: Pieces) -> np.ndarray:
            Breaks.calls += 1
            if Breaks.calls == 2:
                raise ZeroDivisionError("of mine")
            return super().score(pieces)

    env = PianoVecEnv(2, bars=1, reward_at="bar", beats_per_bar=1)
    model = composer(env, Breaks())
    rollouts = Rollouts()
    with pytest.raises(RewardModelError, match="'breaks' raised ZeroDivisionError: of mine"):
        model.learn(48 * 3, rollouts)
    model.learn(48 * 2, rollouts, reset_num_timesteps=False)
    total = np.concatenate([each["rewards"] for each in rollouts.rollouts[1:]])
    assert (total >= 0).all(), "no piece receives the reward of another"


def test_save_load_predict(tmp_path: Path) -> None:
    env = PianoVecEnv(3, bars=1)
    model, _ = trained(env, 72, Constant())
    model.save(tmp_path / "model.zip")
    again = ComposerPPO.load(tmp_path / "model.zip", device="cpu")
    assert again.reward_model is None
    env.seed(0)
    observations: Any = env.reset()
    masks = get_action_masks(env)
    one, _ = model.predict(observations, action_masks=masks, deterministic=True)
    other, _ = again.predict(observations, action_masks=masks, deterministic=True)
    np.testing.assert_array_equal(one, other)
    loaded = ComposerPPO.load(tmp_path / "model.zip", env=PianoVecEnv(3, bars=1), device="cpu")
    loaded.reward_model = Constant()
    loaded.learn(72)
    assert loaded.num_timesteps == 72
    mean, _ = evaluate_policy(model, VecMonitor(PianoVecEnv(2, bars=1, reward=Constant())), n_eval_episodes=4)
    assert mean == 0.5


def test_predicted_actions_are_legal() -> None:
    env = PianoVecEnv(8, bars=1)
    model = composer(env)
    env.seed(0)
    observations: Any = env.reset()
    for _ in range(30):
        actions, _ = model.predict(observations, action_masks=env.action_masks())
        observations = env.step(actions)[0]
    assert (env.core.dynamics.states["illegal_actions"] == 0).all()


@pytest.mark.parametrize("form", ["gym.make", "DummyVecEnv"])
def test_plain_environments(form: str) -> None:
    def make() -> gym.Env:
        return gym.make("toccata/Piano-v0", bars=1)

    env: Any = make() if form == "gym.make" else DummyVecEnv([make, make])
    reward = Constant()
    model, kept = trained(env, 96, reward)
    assert sum(reward.batches) == sum(int((each["rewards"] == 0.5).sum()) for each in kept.rollouts) > 0
    assert len(model.finished) == reward.batches[-1]


def test_one_seed_gives_one_policy() -> None:
    states = [trained(PianoVecEnv(2, bars=1), 96, Constant())[0].policy.state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_it_learns_a_toy_reward() -> None:
    """Its optimum is known: 0 for a piece without a note, less for every note."""

    class Fewer:
        name = "fewer"

        def score(self, pieces: Pieces) -> np.ndarray:
            return np.array([-len(score) for score in pieces.scores], np.float32)

    class Watch(Rollouts):
        def _on_rollout_end(self) -> None:
            earned.append(self.logger.name_to_value["reward/total"])

    earned: list[float] = []
    env = PianoVecEnv(16, bars=1, piano=SMALL)
    model = composer(
        env,
        Fewer(),
        policy_kwargs={"piano": SMALL},
        n_steps=32,
        batch_size=128,
        n_epochs=4,
        learning_rate=1e-3,
    )
    model.learn(16 * 32 * 12, Watch())
    assert np.mean(earned[-2:]) > earned[1] / 2, earned
