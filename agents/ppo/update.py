"""The update of a sequence policy: passes over a rollout, whose minibatches are whole rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.composer_ppo import ADVICE, DivergenceError
from toccata.agents.ppo.history import observations_by_env
from toccata.agents.ppo.losses import Losses, LossWeights, Sequences
from toccata.agents.ppo.primers import PrimerSteps, with_primers

PASS_STEPS = 65_536  # of one forward pass: some 5 GB for two million parameters; a GPU is busy with half of it
APPROX_KL = Losses._fields.index("approx_kl")


class UpdateSettings(NamedTuple):
    """How PPO updates a policy."""

    losses_of: Callable[..., Losses]  # `losses.losses_of`, or that compiled
    weights: LossWeights
    rows_per_batch: int  # of a minibatch
    normalize_advantage: bool  # in each minibatch
    max_grad_norm: float
    target_kl: float | None  # of a minibatch, in nats: the update stops early above 1.5 times that; None: never
    amp: bool  # the backbone in bfloat16


def sequences_of(
    buffer: MaskableDictRolloutBuffer,
    cache: Cache,
    primers: list[dict[int, PrimerSteps]],
    reference_logits: torch.Tensor | None,
    device: torch.device,
) -> Sequences:
    """The rows of a rollout, on the device.

    Args:
        buffer: full, with advantages.
        cache: (envs) of the policy, before the first step.
        primers: of each step, those of the environments whose piece begins with it, by environment.
        reference_logits: (envs, steps, ...) of the reference policy; None without one.
        device: of the policy.
    """
    arrays, own_steps = with_primers(observations_by_env(buffer), primers)
    actions, masks, values, log_probs, advantages, returns = (
        torch.as_tensor(array, device=device).transpose(0, 1)  # (envs, steps, ...)
        for array in (
            buffer.actions,
            buffer.action_masks.astype(bool, copy=False),
            buffer.values,
            buffer.log_probs,
            buffer.advantages,
            buffer.returns,
        )
    )
    return Sequences(
        observations={key: torch.as_tensor(value, device=device) for key, value in arrays.items()},
        positions=None if own_steps is None else torch.as_tensor(own_steps, device=device),
        cache=cache,
        actions=actions,
        masks=masks,
        old_values=values,
        old_log_probs=log_probs,
        advantages=advantages,
        returns=returns,
        reference_logits=reference_logits,
    )


def update_epoch(
    policy: SequencePolicy, rollout: Sequences, settings: UpdateSettings, num_timesteps: int
) -> tuple[list[torch.Tensor], bool]:
    """One pass over a rollout in random order, with an optimizer step for each minibatch.

    Args:
        policy: in training mode.
        rollout: all its rows.
        settings: of the update.
        num_timesteps: of the agent so far, for the message of an error.

    Returns:
        `Losses` (6,) of each minibatch, and whether the update stops early, with the last of them, which had no step.

    Raises:
        DivergenceError: when a gradient is not finite; on a CPU before it is used, else after the pass.
    """
    device = rollout.actions.device
    waits = device.type == "cpu"  # for nothing, so that a gradient is checked before it is used
    logs: list[torch.Tensor] = []
    norms: list[torch.Tensor] = []
    stops_early = False
    order = torch.as_tensor(np.random.permutation(len(rollout)))  # noqa: NPY002  # as SB3's buffers draw
    for rows in order.to(device).split(settings.rows_per_batch):
        policy.optimizer.zero_grad()
        losses, stops_early = add_gradient(policy, rollout[rows], settings)
        logs.append(losses)
        if stops_early:
            break
        norms.append(torch.nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm))
        if waits:
            check_gradients(norms[-1:], losses, num_timesteps)
        policy.optimizer.step()
    if norms and not waits:
        check_gradients(norms, logs[-1], num_timesteps)
    return logs, stops_early


def add_gradient(policy: SequencePolicy, batch: Sequences, settings: UpdateSettings) -> tuple[torch.Tensor, bool]:
    """Add the gradient of a minibatch's mean loss, in as many forward and backward passes as memory needs.

    Returns:
        `Losses` (6,) of the minibatch, and whether the policy is too far from that of the rollout: then the gradient of
        the last pass is missing.
    """
    rows, steps = batch.actions.shape[:2]
    std = torch.ones((), device=batch.actions.device)
    if settings.normalize_advantage:
        batch, std = batch.with_normalised_advantages()
    means, too_far, done = torch.zeros(len(Losses._fields), device=batch.actions.device), False, 0
    for part in batch.passes(max(1, PASS_STEPS // steps)):
        with bfloat16_backbone(policy.network, settings.amp):
            losses = settings.losses_of(policy, part, settings.weights, std)
        share, done = len(part) / rows, done + len(part)
        means += share * torch.stack([losses.total.detach(), *losses[1:]])
        too_far = done == rows and is_too_far(means, settings.target_kl)
        if not too_far:
            (share * losses.total).backward()
    return means, too_far


def is_too_far(losses: torch.Tensor, target_kl: float | None) -> bool:
    """Whether an update stops early, given the `Losses` (6,) of a minibatch."""
    return target_kl is not None and float(losses[APPROX_KL]) > 1.5 * target_kl


def check_gradients(norms: list[torch.Tensor], losses: torch.Tensor, num_timesteps: int) -> None:
    """Raise DivergenceError when one of the gradients' norms is not finite."""
    if not torch.isfinite(torch.stack(norms)).all():
        raise DivergenceError(
            f"training diverged at step {num_timesteps:,}: the gradient of the loss, "
            f"{losses[0].item():g}, is not finite; {ADVICE}"
        )


@contextmanager
def bfloat16_backbone(network: SequenceNetwork, on: bool) -> Iterator[None]:
    """A block in which `network` computes its backbone in bfloat16 if `on`."""
    network.amp = on
    try:
        yield
    finally:
        network.amp = False


def update_figures(epochs: Sequence[Sequence[torch.Tensor]]) -> dict[str, float]:
    """What is logged of an update, by name, from the `Losses` (6,) of each minibatch of each epoch.

    Means over the minibatches; `approx_kl` over those of the last epoch, `loss` of the last minibatch.
    """
    logs = [losses for epoch in epochs for losses in epoch]
    total, entropy, policy_loss, value_loss, _, clipped = torch.stack(logs).cpu().double().numpy().T
    kls = torch.stack([losses[APPROX_KL] for losses in epochs[-1]]).cpu().double().numpy()
    return {
        "train/entropy_loss": float(np.mean(entropy)),
        "train/policy_gradient_loss": float(np.mean(policy_loss)),
        "train/value_loss": float(np.mean(value_loss)),
        "train/approx_kl": float(np.mean(kls)),
        "train/clip_fraction": float(np.mean(clipped)),
        "train/loss": float(total[-1]),
    }
