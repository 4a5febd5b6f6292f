"""Log-probabilities of given pieces under a sequence network, and the KL between two networks along them."""

from __future__ import annotations

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import SequenceNetwork, tensors_of
from toccata.agents.prior.trajectories import Trajectories
from toccata.envs.instrument import Piano

BATCH_ROWS = 16  # trajectories in one forward pass


def log_prob(network: SequenceNetwork, piano: Piano, trajectories: Trajectories) -> list[np.ndarray]:
    """(length,) log-probabilities in nats of the actions of each trajectory.

    Those of genres that the network does not know are unconditional.
    """
    trajectories = trajectories.with_genres(network.config.genres)
    results: list[np.ndarray] = [np.empty(0)] * len(trajectories.lengths)
    order = np.argsort(trajectories.lengths, kind="stable")
    for start in range(0, len(order), BATCH_ROWS):
        rows = order[start : start + BATCH_ROWS]
        with torch.no_grad():
            log_probs = batch_log_probs(network, JointDistribution(piano), trajectories, rows).cpu().numpy()
        for row, values in zip(rows, log_probs, strict=True):
            results[row] = values[: trajectories.lengths[row]]
    return results


def kl_per_piece(
    network: SequenceNetwork, other: SequenceNetwork, trajectories: Trajectories, piano: Piano
) -> np.ndarray:
    """(n,) KL of `network` from `other` along each trajectory, in nats: exact at every step, summed over the steps.

    The networks have the same genres.
    """
    trajectories = trajectories.with_genres(network.config.genres)
    results = np.zeros(len(trajectories))
    for start in range(0, len(trajectories), BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, len(trajectories)))
        with torch.no_grad():
            ours = batch_distributions(network, JointDistribution(piano), trajectories, rows)
            theirs = batch_distributions(other, JointDistribution(piano), trajectories, rows)
            kl = ours.kl(theirs).view(len(rows), -1).cpu().numpy()
        inside = np.arange(kl.shape[1]) < trajectories.lengths[rows, None]
        results[rows] = np.where(inside, kl, 0.0).sum(axis=1)
    return results


def batch_log_probs(
    network: SequenceNetwork,
    distribution: JointDistribution,
    trajectories: Trajectories,
    rows: np.ndarray,
    genres: np.ndarray | None = None,
    amp: bool = False,
) -> torch.Tensor:
    """(k, time) log-probabilities of the actions of a batch of trajectories; arguments as `batch_distributions`."""
    distributions = batch_distributions(network, distribution, trajectories, rows, genres, amp)
    time = int(trajectories.lengths[rows].max())
    device = distributions.what_log_probs.device
    actions = torch.as_tensor(trajectories.actions[rows, :time].reshape(-1, 2), device=device)
    return distributions.log_prob(actions).view(len(rows), time)


def batch_distributions(
    network: SequenceNetwork,
    distribution: JointDistribution,
    trajectories: Trajectories,
    rows: np.ndarray,
    genres: np.ndarray | None = None,
    amp: bool = False,
) -> JointDistribution:
    """The distributions (k * time,) over the actions of a batch of trajectories; those of the padding are meaningless.

    Args:
        network: on any device.
        distribution: of the network's piano; its logits and masks are replaced.
        trajectories: with their masks.
        rows: (k,) indices of the batch.
        genres: (k,) genre indices to condition on; None: those of the trajectories.
        amp: compute in bfloat16 where that is safe.
    """
    device = next(network.parameters()).device
    time = int(trajectories.lengths[rows].max())
    observations = {key: value[rows, :time] for key, value in trajectories.observations.items()}
    if genres is not None:
        observations["genre"] = np.repeat(genres[:, None], time, axis=1)
    episode_starts = torch.zeros(len(rows), time, dtype=torch.bool, device=device)
    episode_starts[:, 0] = True
    with torch.autocast(device.type, torch.bfloat16, enabled=amp):
        logits, _ = network(tensors_of(observations, device, time=True), episode_starts)
    distribution.proba_distribution(logits.flatten(0, 1))
    distribution.apply_masking(trajectories.unpacked_masks(rows)[:, :time].reshape(len(rows) * time, -1))
    return distribution
