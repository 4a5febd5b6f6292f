"""Advantages and losses of whole pieces: those of GRPO, and of the distillation of best-of-n sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.losses import Losses
from toccata.agents.prior.likelihood import Batch, distributions

SMALLEST_STD = 1e-8  # of the returns of a group; below it they are equal but for rounding


@dataclass(frozen=True)
class PieceRows:
    """Some pieces of a rollout, with what an update needs of them.

    Attributes:
        batch: a piece a row.
        log_probs: (rows, time) of the policy that played.
        reference: distributions (rows * time,) of the reference policy; None without one.
        advantages: (rows,) one a piece.
    """

    batch: Batch
    log_probs: torch.Tensor
    reference: JointDistribution | None
    advantages: torch.Tensor

    @property
    def steps(self) -> torch.Tensor:
        """() the number of steps, without the padding."""
        return self.batch.inside.sum()


def relative_advantages(returns: np.ndarray) -> np.ndarray:
    """(n,) returns less their mean, divided by their standard deviation; zeros where all are equal.

    Source: Shao et al. 2024, "DeepSeekMath" (arXiv 2402.03300), section 4.1.2.

    Args:
        returns: (n,) of one group, finite.
    """
    centred = returns - returns.mean()
    std = centred.std()
    return centred / std if std > SMALLEST_STD else np.zeros_like(centred)


def best_of_groups(returns: np.ndarray, n: int) -> np.ndarray:
    """(k * n,) `n` for the highest return of each `n` in a row, the first of equal ones, and 0 for the others."""
    groups = returns.reshape(-1, n)
    best = np.zeros_like(groups)
    best[np.arange(len(groups)), groups.argmax(axis=1)] = n
    return best.reshape(-1)


def piece_losses(
    policy: SequencePolicy,
    rows: PieceRows,
    total_steps: torch.Tensor,
    clip_range: float | None,
    entropy: float,
    kl: float,
) -> Losses:
    """The share of some pieces in the loss of a minibatch; shares add up to a mean over its steps.

    Args:
        policy: that is updated.
        rows: the pieces.
        total_steps: () of the minibatch.
        clip_range: of PPO's surrogate; None: the log-likelihood of the actions, weighted with the advantages.
        entropy: weight of the entropy bonus.
        kl: weight of a nat of the KL from the reference policy.
    """
    inside = rows.batch.inside
    distribution = distributions(policy.network, policy.action_dist, rows.batch)

    def mean(of_steps: torch.Tensor) -> torch.Tensor:
        return torch.where(inside, of_steps.view(inside.shape), 0.0).sum() / total_steps

    log_probs = distribution.log_prob(rows.batch.actions.flatten(0, 1)).view(inside.shape)
    advantages = rows.advantages[:, None]
    log_ratio = torch.where(inside, log_probs - rows.log_probs, 0.0)
    ratio = log_ratio.exp()
    if clip_range is None:
        policy_loss = -mean(advantages * log_probs)
    else:
        policy_loss = -mean(torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip_range, 1 + clip_range)))
    entropy_loss = -mean(distribution.entropy())
    total = policy_loss + entropy * entropy_loss
    if rows.reference is not None and kl:
        total = total + kl * mean(distribution.kl(rows.reference))
    with torch.no_grad():
        approx_kl = mean(ratio - 1 - log_ratio)
        clipped = mean(((ratio - 1).abs() > clip_range).float()) if clip_range is not None else torch.zeros_like(total)
    return Losses(total, entropy_loss.detach(), policy_loss.detach(), torch.zeros_like(approx_kl), approx_kl, clipped)
