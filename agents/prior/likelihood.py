"""Log-probabilities of given pieces under a sequence network, and the KL between two networks along them."""

from __future__ import annotations

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import SequenceNetwork, tensors_of
from toccata.agents.prior.trajectories import Trajectories
from toccata.envs.instrument import Piano

ROWS = 16  # sequences that are judged in one pass


def log_prob(network: SequenceNetwork, piano: Piano, sequences: Trajectories) -> list[np.ndarray]:
    """(length,) log-probabilities in nats of the actions of each sequence."""
    answer: list[np.ndarray] = [np.empty(0)] * len(sequences.lengths)
    order = np.argsort(sequences.lengths, kind="stable")
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        with torch.no_grad():
            found = sequence_log_probs(network, JointDistribution(piano), sequences, rows).cpu().numpy()
        for row, values in zip(rows, found, strict=True):
            answer[row] = values[: sequences.lengths[row]]
    return answer


def kl_per_piece(network: SequenceNetwork, other: SequenceNetwork, sequences: Trajectories, piano: Piano) -> np.ndarray:
    """(n,) KL of `network` from `other` along each sequence: exact at every step, summed over its steps, in nats."""
    found = np.zeros(len(sequences))
    for start in range(0, len(sequences), ROWS):
        rows = np.arange(start, min(start + ROWS, len(sequences)))
        with torch.no_grad():
            ours = sequence_distributions(network, JointDistribution(piano), sequences, rows)
            theirs = sequence_distributions(other, JointDistribution(piano), sequences, rows)
            kl = ours.kl(theirs).view(len(rows), -1).cpu().numpy()
        inside = np.arange(kl.shape[1]) < sequences.lengths[rows, None]
        found[rows] = np.where(inside, kl, 0.0).sum(axis=1)
    return found


def sequence_log_probs(
    network: SequenceNetwork,
    distribution: JointDistribution,
    sequences: Trajectories,
    rows: np.ndarray,
    genres: np.ndarray | None = None,
    amp: bool = False,
) -> torch.Tensor:
    """(rows, time) log-probabilities of the actions of some sequences; see `sequence_distributions`."""
    judged = sequence_distributions(network, distribution, sequences, rows, genres, amp)
    time = int(sequences.lengths[rows].max())
    device = judged.what_log_probs.device
    actions = torch.as_tensor(sequences.actions[rows, :time].reshape(-1, 2), device=device)
    return judged.log_prob(actions).view(len(rows), time)


def sequence_distributions(
    network: SequenceNetwork,
    distribution: JointDistribution,
    sequences: Trajectories,
    rows: np.ndarray,
    genres: np.ndarray | None = None,
    amp: bool = False,
) -> JointDistribution:
    """The distributions, (rows * time), over the actions of some sequences; behind a sequence's end they mean nothing.

    Args:
        network: on any device.
        distribution: of the network's piano.
        sequences: to be judged.
        rows: (k,) which of them.
        genres: (k,) the genres that the network is told; None: each sequence's own.
        amp: compute in bfloat16 where that is safe.
    """
    device = next(network.parameters()).device
    time = int(sequences.lengths[rows].max())
    observations = {key: value[rows, :time] for key, value in sequences.observations.items()}
    if genres is not None:
        observations["genre"] = np.repeat(genres[:, None], time, axis=1)
    begins = torch.zeros(len(rows), time, dtype=torch.bool, device=device)
    begins[:, 0] = True
    with torch.autocast(device.type, torch.bfloat16, enabled=amp):
        logits, _ = network(tensors_of(observations, device, time=True), begins)
    distribution.proba_distribution(logits.flatten(0, 1))
    distribution.apply_masking(sequences.mask_of(rows)[:, :time].reshape(len(rows) * time, -1))
    return distribution
