"""The update of sequence policies: that of `MaskablePPO`, with rows of the rollout as minibatches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.logger import configure

import toccata  # noqa: F401  # registers the environments
from helpers.devices import DEVICES
from helpers.rounding import float32_rounding
from helpers.sequence_agents import (
    NEAR,
    Notes,
    disturb,
    disturbed_copy,
    make_agent,
    make_envs,
)
from toccata.agents.ppo import update
from toccata.agents.ppo.losses import losses_of
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
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


def update_of(model: SequenceComposerPPO) -> tuple[dict[str, float], list[torch.Tensor]]:
    """The figures of an update, and its last gradients."""
    model.set_logger(configure(None, []))
    np.random.seed(3)  # noqa: NPY002  # SB3 draws from it
    model.train()
    figures = {name: float(value) for name, value in model.logger.name_to_value.items()}
    return figures, [each.grad.clone() for each in model.policy.parameters() if each.grad is not None]


@pytest.mark.parametrize("steps_at_once", [1, 24, 2 * 24, 4 * 24])
def test_a_minibatch_in_passes_has_the_gradient_of_the_whole(
    backbone: str, steps_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fits into memory, an optimizer step is that of `batch_size` steps; the last pass may be smaller."""
    model = make_agent(make_envs(5, bars=2, reward=Notes()), backbone, batch_size=None, learning_rate=0.0, **PLAIN)
    model.reference, model.kl_controller.coef = disturbed_copy(model), 0.1
    model.learn(5 * 24 * 2)
    disturb(model.policy, 0.02)
    whole, gradients = update_of(model)
    monkeypatch.setattr(update, "PASS_STEPS", steps_at_once)
    passes = []
    original = model.policy.evaluate_actions
    monkeypatch.setattr(
        model.policy, "evaluate_actions", lambda *arguments: passes.append(len(arguments[1])) or original(*arguments)
    )
    in_passes, others = update_of(model)
    rows = max(1, steps_at_once // 24)
    assert passes == [min(rows, 5 - start) for start in range(0, 5, rows)]
    del whole["train/n_updates"], in_passes["train/n_updates"]
    assert in_passes == pytest.approx(whole, rel=NEAR["atol"], abs=float32_rounding(5 * 24))
    largest = max(float(each.abs().max()) for each in gradients)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=float32_rounding(4 * 5 * 24, largest))


@pytest.mark.parametrize("device", DEVICES)
def test_amp_changes_an_update_by_the_digits_of_bfloat16(device: str) -> None:
    model = make_agent(make_envs(4, bars=2, reward=Notes()), learning_rate=0.0, device=device)
    model.learn(4 * 24 * 2)
    plain, _ = update_of(model)
    model.amp = True
    rounded, gradients = update_of(model)
    assert rounded["train/value_loss"] != plain["train/value_loss"]
    for name in ("train/value_loss", "train/entropy_loss"):
        assert rounded[name] == pytest.approx(plain[name], rel=0.05)
    assert all(each.dtype == torch.float32 for each in gradients)
    assert not model.policy.network.amp, "only in updates"


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_update_equals_the_plain_one(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one graph, without breaks, whose caches have a bound as on a GPU; there it is really compiled."""
    model = make_agent(make_envs(4, bars=2, reward=Notes()), learning_rate=0.0, device=device, **PLAIN)
    model.reference, model.kl_controller.coef = disturbed_copy(model), 0.1
    model.learn(4 * 24 * 2)
    monkeypatch.setattr(model, "_bounded", lambda cache: replace(cache, room=cache.state.shape[3]))
    disturb(model.policy, 0.02)
    plain, gradients = update_of(model)
    model.compiles = True
    backend = "inductor" if device == "cuda" else "eager"
    model.losses_of = torch.compile(losses_of, fullgraph=True, backend=backend)
    compiled, others = update_of(model)
    del plain["train/n_updates"], compiled["train/n_updates"]
    assert compiled == pytest.approx(plain, rel=1e-4, abs=1e-5)
    largest = max(float(each.abs().max()) for each in gradients)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * largest)


def test_without_a_compiler_updates_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Any) -> Any:
        raise RuntimeError("no C++ compiler\nwas found")

    monkeypatch.setattr(torch, "compile", broken)
    model = make_agent(make_envs(2, reward=Notes()))
    model.compiles = True
    with pytest.warns(UserWarning, match="updates are not compiled, so slower: no C\\+\\+ compiler was found"):
        model.learn(48)
    model.learn(48)
    assert model.losses_of is losses_of, "it is tried once"
