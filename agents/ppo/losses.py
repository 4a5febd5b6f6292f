"""The loss of a minibatch of sequences, which may be compiled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_policy import SequencePolicy


@dataclass(frozen=True)
class Sequences:
    """Rows of a rollout, each one environment's steps, with what an update needs of them.

    With primers, `observations` are of more steps than the agent's own, which stand at `positions`.
    """

    observations: dict[str, torch.Tensor]  # (rows, longest, ...) each
    positions: torch.Tensor | None  # (rows, time) int64
    cache: Cache  # (rows) of the steps before
    actions: torch.Tensor  # (rows, time, 2)
    masks: torch.Tensor  # (rows, time, whats + values) bool
    old_values: torch.Tensor  # (rows, time), as are those below: of the rollout
    old_log_probs: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    reference_logits: torch.Tensor | None  # (rows, time, whats + kinds * values)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.actions)

    def __getitem__(self, rows: torch.Tensor) -> Sequences:
        """Some of the rows (k,)."""

        def some(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: each[rows] for key, each in value.items()}
            return None if value is None else value[rows]

        return Sequences(*(some(getattr(self, field.name)) for field in fields(self)))

    def passes(self, rows: int) -> Iterator[Sequences]:
        """The rows in parts of at most `rows`."""
        if len(self) <= rows:
            yield self
            return
        for part in torch.arange(len(self), device=self.actions.device).split(rows):
            yield self[part]

    def with_normalised_advantages(self) -> tuple[Sequences, torch.Tensor]:
        """With advantages of mean 0 and standard deviation 1, and the standard deviation of before."""
        advantages = self.advantages.flatten()
        std = torch.ones((), device=advantages.device)
        if len(advantages) > 1:
            std = advantages.std() + 1e-8
            advantages = (advantages - advantages.mean()) / std
        return replace(self, advantages=advantages.view_as(self.advantages)), std


class LossWeights(NamedTuple):
    """The constants of PPO's loss."""

    clip_range: float
    clip_range_vf: float | None  # None: values are not clipped
    entropy: float
    value: float
    kl: float  # per nat of the KL from the reference policy


class Losses(NamedTuple):
    """Means over the steps of a pass, (); `total` has the gradient."""

    total: torch.Tensor
    entropy: torch.Tensor
    policy: torch.Tensor
    value: torch.Tensor
    approx_kl: torch.Tensor
    clipped: torch.Tensor


def losses_of(policy: SequencePolicy, rows: Sequences, weights: LossWeights, std: torch.Tensor) -> Losses:
    """PPO's loss (Schulman et al. 2017) of the rows; their advantages were divided by `std` ()."""
    values, log_prob, distribution = policy.evaluate_actions(
        rows.observations, rows.actions, rows.cache, rows.masks, rows.positions
    )
    advantage = rows.advantages.flatten()
    log_ratio = log_prob - rows.old_log_probs.flatten()
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - weights.clip_range, 1 + weights.clip_range)
    policy_loss = -torch.min(advantage * ratio, advantage * clipped).mean()
    if weights.clip_range_vf is not None:
        before = rows.old_values.flatten()
        values = before + (values - before).clamp(-weights.clip_range_vf, weights.clip_range_vf)
    value_loss = F.mse_loss(rows.returns.flatten(), values)
    entropy_loss = -distribution.entropy().mean()
    total = policy_loss + weights.entropy * entropy_loss + weights.value * value_loss
    if rows.reference_logits is not None:
        reference_logits = rows.reference_logits.flatten(0, 1)
        reference = policy.distribution(reference_logits, rows.masks.reshape(ratio.numel(), -1))
        total = total + weights.kl / std * distribution.kl(reference).mean()  # in units of the advantages
    with torch.no_grad():
        approx_kl = (ratio - 1 - log_ratio).mean()
        clipped_share = ((ratio - 1).abs() > weights.clip_range).float().mean()
    return Losses(total, entropy_loss.detach(), policy_loss.detach(), value_loss.detach(), approx_kl, clipped_share)
