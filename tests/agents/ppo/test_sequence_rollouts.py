"""Rollouts of sequence policies: equal to one forward pass over all that was played, advantages by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

import toccata  # noqa: F401  # registers the environments
from helpers.rounding import float32_rounding
from helpers.sequence_agents import (
    NEAR,
    Notes,
    RolloutRecorder,
    assert_consistent,
    disturbed_copy,
    make_agent,
    make_envs,
)
from toccata.agents.policies.sequence_network import episode_starts_of, tensors_of
from toccata.agents.ppo.history import observations_by_env
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(("bars", "n_steps"), [(1, 40), (3, 7)], ids=["shorter pieces", "longer pieces"])
def test_a_rollout_equals_one_forward_pass(backbone: str, bars: int, n_steps: int) -> None:
    """In several rollouts in a row, each with other weights; by the cache and from the beginning."""

    class Watch(RolloutRecorder):
        def look(self) -> None:
            kept, policy = self.rollouts[-1], self.model.policy
            logits, values = self.forward_over_history(policy.network)  # type: ignore[arg-type]
            masks = kept["action_masks"].reshape(-1, kept["action_masks"].shape[-1])
            distribution = policy.distribution(logits.flatten(0, 1), masks)  # type: ignore[operator]
            log_probs = distribution.log_prob(torch.as_tensor(kept["actions"]).reshape(-1, 2))
            np.testing.assert_allclose(values.flatten(), kept["values"].flatten(), **NEAR)
            np.testing.assert_allclose(log_probs, kept["log_probs"].flatten(), **NEAR)
            starts_within.extend(kept["episode_starts"][:, 1:].sum(axis=1))

    class Update(SequenceComposerPPO):
        def train(self) -> None:
            assert self.rollout is not None
            buffer = self.rollout_buffer
            actions, masks = (
                torch.as_tensor(np.swapaxes(each, 0, 1)) for each in (buffer.actions, buffer.action_masks)
            )
            with torch.no_grad():
                cache = self.rollout.initial_cache
                values, log_probs, _ = self.policy.evaluate_actions(observations_by_env(buffer), actions, cache, masks)  # type: ignore[arg-type]
            np.testing.assert_allclose(values, buffer.values.T.flatten(), **NEAR)
            np.testing.assert_allclose(log_probs, buffer.log_probs.T.flatten(), **NEAR)
            super().train()
            changed.append(float(self.logger.name_to_value["train/approx_kl"]))

    starts_within: list[float] = []
    changed: list[float] = []
    model = make_agent(
        make_envs(3, bars=bars, reward=Notes()), backbone, n_steps=n_steps, batch_size=None, learning_rate=0.01
    )
    model.__class__ = Update
    model.learn(3 * n_steps * 6, Watch())
    assert (max(starts_within) > 1) == (bars == 1), "several pieces in a row, or none"
    assert len(changed) == 6
    rounding = float32_rounding(16)  # of a ratio of about 1, from which 1 and the logarithm are subtracted
    assert np.abs(changed).max() < rounding, "the first minibatch's ratio is 1"


def discounted(rewards: np.ndarray, values: np.ndarray, ends: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """(steps,) advantages from the definition; `values` has one more."""
    advantages = np.zeros(len(rewards))
    for start in range(len(rewards)):
        weight = 1.0
        for step in range(start, len(rewards)):
            after = 0.0 if ends[step] else values[step + 1]
            advantages[start] += weight * (rewards[step] + gamma * after - values[step])
            if ends[step]:
                break
            weight *= gamma * lam
    return advantages


def test_advantages_by_definition_with_bootstrapped_truncation(backbone: str) -> None:
    """As defined: the values of what came last are judged from all that the env's own piece was."""

    class Watch(RolloutRecorder):
        def look(self) -> None:
            model, kept, history = self.model, self.rollouts[-1], self.history()
            first = history["genre"].shape[1] - model.n_steps
            for row in range(3):
                ends = np.array([dones[row] for _, dones, _ in self.steps[first:]])
                rewarded = np.array([rewards[row] for rewards, _, _ in self.steps[first:]], np.float64)
                for step in np.flatnonzero(ends):
                    info = self.steps[first + step][2][row]
                    if info["TimeLimit.truncated"]:
                        last = info["terminal_observation"]
                        rewarded[step] += model.gamma * self.value_after(row, first + int(step) + 1, last)
                        cut.append(row)
                now = {key: value[row] for key, value in self.locals["new_obs"].items()}
                values = [*kept["values"][row], self.value_after(row, first + model.n_steps, now)]
                expected = discounted(rewarded, np.array(values), ends, model.gamma, model.gae_lambda)
                np.testing.assert_allclose(kept["rewards"][row], rewarded, **NEAR)
                np.testing.assert_allclose(kept["advantages"][row], expected, **NEAR)
                np.testing.assert_allclose(kept["returns"][row], expected + values[:-1], **NEAR)

        def value_after(self, row: int, steps: int, last: dict[str, np.ndarray]) -> float:
            """Of `last`, when `steps` steps of the env were played, alone and in one pass."""
            own = {key: value[row, :steps] for key, value in self.history().items()}
            more = {
                key: np.concatenate([own[key], np.asarray(last[key]).reshape(1, *own[key].shape[1:])]) for key in own
            }
            tensors = tensors_of({key: value[None] for key, value in more.items()}, torch.device("cpu"), time=True)
            with torch.no_grad():
                return float(self.model.policy.network(tensors, episode_starts_of(tensors))[1][0, -1])  # type: ignore[operator,union-attr]

    cut: list[int] = []
    env = make_envs(3, bars=2, max_steps=9, reward=Notes())
    make_agent(env, backbone, n_steps=13, learning_rate=0.01).learn(3 * 13 * 4, Watch())
    assert set(cut) == {0, 1, 2}


def test_learning_continues_or_restarts(backbone: str) -> None:
    model, rollouts = (
        make_agent(make_envs(3, bars=3, reward=Notes()), backbone, learning_rate=0.0, n_steps=9),
        RolloutRecorder(),
    )
    model.learn(27, rollouts)
    model.learn(54, rollouts, reset_num_timesteps=False)
    assert not rollouts.rollouts[1]["episode_starts"][:, 0].all()
    assert_consistent(model, rollouts)
    again = RolloutRecorder()
    model.learn(54, again)
    assert again.rollouts[0]["episode_starts"][:, 0].all()
    assert_consistent(model, again)


@pytest.mark.parametrize("how", ["callback", "interrupt"])
def test_an_aborted_rollout_is_dropped(backbone: str, how: str) -> None:
    class BreakOff(BaseCallback):
        def _on_step(self) -> bool:
            if self.n_calls == 20:
                if how == "callback":
                    return False
                raise KeyboardInterrupt
            return True

    settings: dict[str, Any] = {"learning_rate": 0.0, "n_steps": 12, "prior_kl_coef": 0.1}
    model = make_agent(make_envs(3, bars=2, reward_at="bar"), backbone, reward_model=Notes(), **settings)
    model.reference = disturbed_copy(model)
    if how == "callback":
        model.learn(72, BreakOff())
    else:
        with pytest.raises(KeyboardInterrupt):
            model.learn(72, BreakOff())
    rollouts = RolloutRecorder()
    model.learn(36 * 4, rollouts, reset_num_timesteps=False)
    assert rollouts.rollouts[0]["episode_starts"][:, 0].all()
    assert_consistent(model, rollouts)
    rewarded = np.concatenate([each["rewards"] for each in rollouts.rollouts])
    assert rewarded.max() > 0.05, "pieces were rewarded"


def test_a_failing_reward_leaves_the_history_intact(backbone: str) -> None:
    class Fails(Notes):
        def score(self, pieces: Pieces) -> np.ndarray:
            if failing:
                raise ZeroDivisionError("of mine")
            return super().score(pieces)

    failing = True
    model = make_agent(make_envs(3, bars=2), backbone, reward_model=Fails(), learning_rate=0.0)
    rollouts = RolloutRecorder()
    with pytest.raises(RewardModelError, match="of mine"):
        model.learn(72, rollouts)
    assert not rollouts.seen, "the callback did not see its end"
    rollouts.seen.append(observations_by_env(model.rollout_buffer))  # type: ignore[arg-type]
    failing = False
    model.learn(72 * 2, rollouts, reset_num_timesteps=False)
    assert not rollouts.rollouts[0]["episode_starts"][:, 0].all()
    assert_consistent(model, rollouts)


def test_any_genre() -> None:
    env = make_envs(3, bars=2, genre=None, reward=Notes())
    model, rollouts = make_agent(env, n_steps=40, learning_rate=0.0), RolloutRecorder()
    model.learn(240, rollouts)
    assert_consistent(model, rollouts)
    starts = [each["episode_starts"] for each in rollouts.rollouts]
    for seen, episode_starts in zip(rollouts.seen, starts, strict=True):
        observations = tensors_of(seen, torch.device("cpu"), time=True)
        np.testing.assert_array_equal(episode_starts_of(observations).numpy(), episode_starts.astype(bool))
