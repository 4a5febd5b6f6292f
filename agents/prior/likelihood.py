"""Log-probabilities of given pieces under a sequence network, and the KL between two networks along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import SequenceNetwork, tensors_of
from toccata.agents.prior.trajectories import Trajectories
from toccata.envs.instrument import Piano

BATCH_ROWS = 16  # trajectories in one forward pass
TENSORS = ("episode_starts", "actions", "masks", "inside")  # fields of a `Batch`


def log_prob(network: SequenceNetwork, piano: Piano, trajectories: Trajectories) -> list[np.ndarray]:
    """(length,) log-probabilities in nats of the actions of each trajectory.

    Those of genres that the network does not know are unconditional.
    """
    trajectories = trajectories.with_genres(network.config.genres)
    device, distribution = next(network.parameters()).device, JointDistribution(piano)
    results: list[np.ndarray] = [np.empty(0)] * len(trajectories.lengths)
    order = np.argsort(trajectories.lengths, kind="stable")
    for start in range(0, len(order), BATCH_ROWS):
        rows = order[start : start + BATCH_ROWS]
        batch = batch_of(trajectories, rows).to(device)
        with torch.no_grad():
            of_batch = log_probs(network, distribution, batch).cpu().numpy()
        for row, values in zip(rows, of_batch, strict=True):
            results[row] = values[: trajectories.lengths[row]]
    return results


def kl_per_piece(
    network: SequenceNetwork, other: SequenceNetwork, trajectories: Trajectories, piano: Piano
) -> np.ndarray:
    """(n,) KL of `network` from `other` along each trajectory, in nats: exact at every step, summed over the steps.

    The networks have the same genres.
    """
    trajectories = trajectories.with_genres(network.config.genres)
    device, distribution = next(network.parameters()).device, JointDistribution(piano)
    results = np.zeros(len(trajectories))
    for start in range(0, len(trajectories), BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, len(trajectories)))
        batch = batch_of(trajectories, rows).to(device)
        with torch.no_grad():
            kl = distributions(network, distribution, batch).kl(distributions(other, distribution, batch))
        results[rows] = np.where(batch.inside.cpu(), kl.view(batch.inside.shape).cpu(), 0.0).sum(axis=1)
    return results


class Batch(NamedTuple):
    """Steps of pieces, in rows of one piece each, or packed: of several, one after the other.

    Attributes:
        observations: (rows, time, ...) each.
        episode_starts: (rows, time) bool, the steps with which a piece begins.
        actions: (rows, time, 2).
        masks: (rows, time, ceil((whats + values) / 8)) uint8, packed bits of the legal actions.
        inside: (rows, time) bool; the others are padding.
        packed: rows may hold several pieces.
    """

    observations: dict[str, torch.Tensor]
    episode_starts: torch.Tensor
    actions: torch.Tensor
    masks: torch.Tensor
    inside: torch.Tensor
    packed: bool = False

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return self.each(lambda tensor: tensor.to(device))

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """The batch of changed tensors."""
        observations = {key: change(tensor) for key, tensor in self.observations.items()}
        others: dict[str, Any] = {name: change(getattr(self, name)) for name in TENSORS}
        return self._replace(observations=observations, **others)


def batch_of(trajectories: Trajectories, rows: np.ndarray) -> Batch:
    """A batch of some of the trajectories, one a row, padded to the longest of them.

    Args:
        trajectories: with their masks.
        rows: (k,) indices of the batch.
    """
    lengths = trajectories.lengths[rows]
    time = int(lengths.max())
    inside = torch.as_tensor(np.arange(time) < lengths[:, None])
    episode_starts = torch.zeros_like(inside)
    episode_starts[:, 0] = True
    return Batch(
        {key: torch.as_tensor(each[rows, :time]) for key, each in trajectories.observations.items()},
        episode_starts,
        torch.as_tensor(trajectories.actions[rows, :time]),
        torch.as_tensor(trajectories.masks[rows, :time]),
        inside,
    )


def distributions(network: SequenceNetwork, distribution: JointDistribution, batch: Batch) -> JointDistribution:
    """The distributions (rows * time,) over the actions of a batch; those of the padding are meaningless.

    Args:
        network: on the device of the batch.
        distribution: any of the network's piano.
        batch: whose genres the network knows.
    """
    observations = tensors_of(batch.observations, batch.actions.device, time=True)
    cache = replace(network.empty_cache(len(batch.actions)), room=0) if batch.packed else None
    logits, _ = network(observations, batch.episode_starts, cache)
    return distribution.of(logits.flatten(0, 1), unpacked(batch.masks, sum(network.vocabulary[:2])).flatten(0, 1))


def log_probs(network: SequenceNetwork, distribution: JointDistribution, batch: Batch) -> torch.Tensor:
    """(rows, time) log-probabilities of the actions of a batch; arguments as `distributions`."""
    of_steps = distributions(network, distribution, batch).log_prob(batch.actions.flatten(0, 1))
    return of_steps.view(batch.inside.shape)


def unpacked(bits: torch.Tensor, count: int) -> torch.Tensor:
    """(..., count) bool of (..., ceil(count / 8)) uint8, the inverse of `np.packbits`."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    return ((bits[..., None] >> shifts) & 1).bool().flatten(-2)[..., :count]
