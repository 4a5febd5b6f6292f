"""Rollouts by a `DeviceStep`: on a CPU, where nothing is captured, and on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers.devices import DEVICES, GPU
from helpers.sequence_agents import (
    NEAR,
    Notes,
    RolloutRecorder,
    assert_consistent,
    disturbed_copy,
    make_agent,
    make_envs,
)
from toccata.agents.policies.cache import Cache
from toccata.agents.policies.distribution import draw_checked, draw_unchecked
from toccata.agents.ppo.device_step import ROOM_STEP, DeviceStep, captured
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.music.score import Score


def packed_agent(env: Any, backbone: str = "transformer", **changes: Any) -> SequenceComposerPPO:
    model = make_agent(env, backbone, **changes)
    model.packs_steps = True
    return model


def learn(model: SequenceComposerPPO, rollouts: int = 3) -> RolloutRecorder:
    recorder = RolloutRecorder()
    model.learn(rollouts * model.n_envs * model.n_steps, recorder)
    return recorder


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_packed_rollouts_equal_those_of_the_policy(backbone: str) -> None:
    """From one seed, with a reference policy, pieces that begin and end, primers, and truncated pieces."""
    primer = Score([(0, 12, 60, 80), (12, 12, 62, 80)], length_ticks=24, beats_per_bar=1)
    recorded = []
    for packs in (False, True):
        env = make_envs(3, bars=2, reward=Notes(), primer=primer, max_steps=17)
        env.seed(1)
        model = make_agent(env, backbone, reference=None, prior_kl_coef=0.0, learning_rate=1e-3)
        model.reference, model.kl_controller.coef = disturbed_copy(model), 0.1
        model.packs_steps = packs
        recorded.append(learn(model).rollouts)
    for plain, packed in zip(*recorded, strict=True):
        for name, values in plain.items():
            np.testing.assert_allclose(packed[name], values, **NEAR, err_msg=name)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_a_packed_rollout_is_what_one_pass_gives(device: str, backbone: str) -> None:
    model = packed_agent(make_envs(3, bars=2, reward=Notes()), backbone, device=device, learning_rate=0.0)
    recorder = learn(model)
    model.policy.to("cpu")
    assert_consistent(model, recorder)
    assert model.device_step is not None


def test_graphs_are_kept_from_rollout_to_rollout_and_dropped_with_their_policy() -> None:
    model = packed_agent(make_envs(2, reward=Notes()))
    learn(model, 1)
    first = model.device_step
    learn(model, 1)
    assert model.device_step is first
    model.policy.network.backbone.norm.weight.data = model.policy.network.backbone.norm.weight.data.clone()
    learn(model, 1)
    assert model.device_step is not first


def test_the_room_grows_in_steps() -> None:
    """An episode that outgrows the room gives the logits of one that had it from the beginning."""
    envs = make_envs(2, bars=64)
    model = packed_agent(envs)
    count = ROOM_STEP + 9
    step = DeviceStep(model.policy, 2, count, keep_logits=True)
    step.begin(model.policy.network.empty_cache(2), np.zeros(2, np.int64))
    observations = envs.reset()
    cache: Cache | None = None
    for number in range(count):
        with torch.no_grad():
            logits, values, cache = model.policy._step(observations, cache)
        actions = step.play(observations, envs.action_masks())
        torch.testing.assert_close(step.logits[number], logits, **NEAR)
        torch.testing.assert_close(step.last()[0], values, **NEAR)
        observations = envs.step(actions)[0]
    assert step.cache.room == 2 * ROOM_STEP
    assert step.cache.lengths.tolist() == [count, count]


@pytest.mark.parametrize("device", DEVICES)
def test_unchecked_draws_are_those_of_multinomial(device: str) -> None:
    probs = torch.rand(200, 37, generator=torch.Generator().manual_seed(0)).to(device)
    probs[:, ::3] = 0.0
    drawn = []
    for draw in (draw_checked, draw_unchecked):
        torch.manual_seed(1)
        drawn.append((draw(probs), torch.rand(3, device=device)))
    for one, other in zip(*drawn, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not (drawn[0][0] % 3 == 0).any()


@pytest.mark.parametrize("device", [GPU])
def test_a_captured_function_does_what_the_function_does(device: str) -> None:
    count, out = torch.zeros(1, device=device), torch.zeros(4, device=device)

    def function() -> None:
        count.add_(1)
        out.copy_(torch.rand(4, device=device) + 10 * count)

    torch.manual_seed(3)
    call = captured(function, [count], torch.device(device))
    assert count.item() == 0
    seen = []
    for _ in range(3):
        call()
        seen.append(out.cpu().clone())
    torch.manual_seed(3)
    for number, values in enumerate(seen, start=1):
        torch.testing.assert_close(values, (torch.rand(4, device=device) + 10 * number).cpu())
