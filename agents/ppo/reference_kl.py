"""The KL of a rollout from the reference policy, by step and by piece, and the coefficient of its penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import SequenceNetwork, episode_starts_of, tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.history import observations_by_env
from toccata.agents.ppo.primers import PrimerSteps, with_primers

CPU_ROWS_PER_PASS = 16  # of a pass of the reference policy: more would need more memory and gain nothing
GPU_STEPS_PER_PASS = 32_768  # a GPU is idle with less
GAIN = 0.1  # relative change of the coefficient for a relative error of 1
MIN_COEF, MAX_COEF = 1e-5, 1e5  # of an adapted coefficient; outside, hundreds of rollouts would be needed to return


@dataclass
class AdaptiveKLController:
    """A coefficient that is moved in proportion to the relative distance of the KL from its target.

    Source: Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences" (arXiv 1909.08593), section 2.2,
    with the relative error clipped to [-1, 1] instead of [-0.2, 0.2]: a rollout here holds whole pieces of one length,
    so that its mean KL is known better than that of a batch of theirs.

    Args:
        coef: reward per nat, at least 0.
        target: nats a piece that the KL is kept near; None leaves the coefficient as it is.

    Raises:
        ValueError: for a coefficient or target out of range.
    """

    coef: float
    target: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.coef < np.inf:
            raise ValueError(f"prior_kl_coef must be finite and at least 0, got {self.coef}")
        if self.target is not None and not (0 < self.target < np.inf and self.coef > 0):
            raise ValueError(
                f"prior_kl_target needs to be positive, and a positive prior_kl_coef, got {self.target} and {self.coef}"
            )

    def update(self, nats: float) -> None:
        """Adapt the coefficient to the mean KL of a rollout's pieces, in nats."""
        if self.target is not None:
            error = float(np.clip(nats / self.target - 1, -1, 1))
            self.coef = float(np.clip(self.coef * (1 + GAIN * error), MIN_COEF, MAX_COEF))


def kl_of_steps(
    policy: SequencePolicy,
    reference: SequenceNetwork,
    buffer: MaskableDictRolloutBuffer,
    logits: torch.Tensor,
    cache: Cache,
    primers: list[dict[int, PrimerSteps]],
) -> tuple[np.ndarray, torch.Tensor]:
    """The exact KL of the policy from the reference at each step of a rollout, on the device of the logits.

    Args:
        policy: that played the rollout.
        reference: of the same piano.
        buffer: full.
        logits: (steps, envs, ...) of the policy.
        cache: (envs) of the reference, before the first step.
        primers: of each step, those of the environments whose piece begins with it, by environment.

    Returns:
        (envs, steps) float64 nats, and (envs, steps, ...) logits of the reference.
    """
    device = logits.device
    steps, envs = logits.shape[:2]
    observations, positions = with_primers(observations_by_env(buffer), primers)
    reference_logits = []
    kl = np.empty((envs, steps))
    rows_per_pass = CPU_ROWS_PER_PASS
    if device.type != "cpu":
        rows_per_pass = max(CPU_ROWS_PER_PASS, GPU_STEPS_PER_PASS // steps)
    with torch.no_grad():
        for start in range(0, envs, rows_per_pass):
            stop = min(start + rows_per_pass, envs)
            rows = torch.arange(start, stop, device=device)
            some = tensors_of({key: value[start:stop] for key, value in observations.items()}, device, True)
            theirs_of_all = reference(some, episode_starts_of(some), cache[rows])[0]
            if positions is not None:
                own = torch.as_tensor(positions[start:stop], device=device)
                theirs_of_all = theirs_of_all[torch.arange(len(rows), device=device)[:, None], own]
            reference_logits.append(theirs_of_all)
            masks = np.swapaxes(buffer.action_masks[:, start:stop], 0, 1)
            masks = masks.reshape(-1, masks.shape[-1])
            ours = policy.distribution(logits[:, rows].transpose(0, 1).flatten(0, 1), masks)
            theirs = policy.distribution(theirs_of_all.flatten(0, 1), masks)
            kl[start:stop] = ours.kl(theirs).view(len(rows), -1).cpu().numpy()
    return kl, torch.cat(reference_logits)


def kl_of_pieces(
    kl: np.ndarray, episode_starts: np.ndarray, dones: np.ndarray, before: np.ndarray
) -> tuple[list[float], np.ndarray]:
    """The KL of the pieces that ended in a rollout, and of those under way after it.

    Args:
        kl: (envs, steps) nats.
        episode_starts: (steps, envs) bool.
        dones: (envs,) bool, whose piece ended with the last step.
        before: (envs,) nats of the pieces under way before the rollout.

    Returns:
        nats of each piece that ended, and (envs,) nats of the pieces under way.
    """
    ends = np.concatenate([episode_starts[1:], dones[None]]).T  # (envs, steps): a piece ends with this step
    total = np.where(episode_starts[0], 0.0, before)
    of_pieces: list[float] = []
    for step in range(kl.shape[1]):
        total += kl[:, step]
        of_pieces += total[ends[:, step]].tolist()
        total[ends[:, step]] = 0.0
    return of_pieces, total
