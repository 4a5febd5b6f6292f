"""The update of sequence policies: that of `MaskablePPO`, with rows of the rollout as minibatches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.logger import configure

import toccata  # noqa: F401  # registers the environments
from helpers.rounding import float32_rounding
from helpers.sequence_agents import (
    NEAR,
    Notes,
    disturb,
    make_agent,
    make_envs,
)
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO


@pytest.fixture(params=["transformer", "lstm"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


class Shuffled(torch.nn.Module):
    """A policy for `MaskablePPO.train`, which draws its only minibatch in the order `order`."""

    def __init__(self, model: SequenceComposerPPO, order: np.ndarray) -> None:
        super().__init__()
        self.model, self.order = [model], torch.as_tensor(order)
        self.policy = model.policy
        self.optimizer = model.policy.optimizer

    def set_training_mode(self, mode: bool) -> None:
        self.policy.set_training_mode(mode)

    def evaluate_actions(self, observations: Any, actions: torch.Tensor, action_masks: Any) -> tuple[torch.Tensor, ...]:
        model = self.model[0]
        assert model.rollout is not None
        buffer = model.rollout_buffer
        back = self.order.argsort()
        in_order = {key: value[back].unflatten(0, (model.n_envs, model.n_steps)) for key, value in observations.items()}
        values, log_prob, distribution = self.policy.evaluate_actions(
            in_order,
            actions[back].view(model.n_envs, model.n_steps, 2),
            model.rollout.initial_cache,
            torch.as_tensor(action_masks)[back].view(model.n_envs, model.n_steps, -1),
        )
        np.testing.assert_array_equal(
            action_masks[back].reshape(-1), buffer.action_masks.reshape(len(back), -1).ravel()
        )
        return values[self.order, None], log_prob[self.order], distribution.entropy()[self.order]  # type: ignore[union-attr]


PLAIN: dict[str, Any] = {"ent_coef": 0.01, "max_grad_norm": 0.7}


@pytest.mark.parametrize(
    "changes",
    [PLAIN, {**PLAIN, "clip_range_vf": 0.05}, {"normalize_advantage": False, "vf_coef": 0.1}, {"target_kl": 1e-9}],
    ids=["plain", "clipped values", "as they are", "stopped"],
)
def test_an_update_equals_that_of_maskable_ppo(backbone: str, changes: dict[str, Any]) -> None:
    """The same figures and the same gradient, from the same rollout and weights that have moved on since."""
    ours = make_agent(make_envs(3, bars=2, reward=Notes()), backbone, batch_size=None, learning_rate=0.0, **changes)
    ours.learn(3 * 24 * 3)
    disturb(ours.policy, 0.02)
    figures, gradients = [], []
    for train in (lambda: ours.train(), lambda: MaskablePPO.train(ours)):
        ours.policy.optimizer.zero_grad()
        ours.set_logger(configure(None, []))
        ours._n_updates = 0
        np.random.seed(3)  # noqa: NPY002  # SB3 draws from it
        if figures:
            order = np.random.permutation(3 * 24)  # noqa: NPY002
            np.random.seed(3)  # noqa: NPY002
            ours.policy = Shuffled(ours, order)  # type: ignore[assignment]
        train()
        figures.append({name: float(value) for name, value in ours.logger.name_to_value.items()})
        gradients.append([None if p.grad is None else p.grad.clone() for p in ours.policy.parameters()])
    assert figures[0] == pytest.approx(figures[1], rel=NEAR["atol"], abs=float32_rounding(3 * 24))
    assert figures[0]["train/clip_fraction"] > 0.01, "weights have moved"
    largest = max((float(each.abs().max()) for each in gradients[1] if each is not None), default=0.0)
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None) == ("target_kl" in changes)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=float32_rounding(4 * 3 * 24, largest))


def test_minibatches_are_whole_rows() -> None:
    model = make_agent(make_envs(7, reward=Notes()), n_steps=6, batch_size=13, n_epochs=2)
    seen = []
    original = model.policy.evaluate_actions

    def watched(observations: Any, *arguments: Any) -> Any:
        seen.append(tuple(observations["genre"].shape))
        return original(observations, *arguments)

    model.policy.evaluate_actions = watched  # type: ignore[method-assign]
    model.learn(42)
    assert seen == [(2, 6), (2, 6), (2, 6), (1, 6)] * 2


def test_one_step_of_one_environment() -> None:
    model = make_agent(make_envs(1, reward=Notes()), n_steps=1, batch_size=1)
    model.learn(30)
    assert all(torch.isfinite(each).all() for each in model.policy.parameters())
