"""Maximum-likelihood fitting of sequence networks to real music, for priors and behaviour cloning."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, SequenceNetwork
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.likelihood import batch_log_probs, log_prob
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.excerpts import ExcerptDataset
from toccata.settings.options import ConfigError

CHUNK = 256  # passages that are sampled and recorded together
WARM_UP = 0.02  # share of all batches in which the learning rate rises
FINAL_LEARNING_RATE = 0.05  # as a share of the highest
MAX_GRAD_NORM = 1.0
BETAS = (0.9, 0.98)  # of AdamW: 0.999 would average the second moment over the warm-up of a short fit
LENGTH_JITTER = 8.0  # steps of noise on the lengths that batches are sorted by, so that their composition varies


@dataclass
class FitResult:
    """Losses of a fit by epoch, in nats an action."""

    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)  # empty without validation data
    best_epoch: int = -1  # the epoch whose weights were kept


def fit_network(
    network: SequenceNetwork,
    dataset: PassageDataset | ExcerptDataset,
    valid: Trajectories | None,
    *,
    epochs: int,
    epoch_notes: int,
    rng: np.random.Generator,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.1,
    batch_steps: int = 2048,
    genre_dropout: float = 0.0,
    patience: int = 2,
    amp: bool = False,
    on_batch: Callable[[float, float], None] | None = None,
    on_epoch: Callable[[FitResult], None] | None = None,
) -> FitResult:
    """Fit a network to passages by maximum likelihood over the legal actions; the critic is not trained.

    Args:
        network: is changed in place, to the weights of the epoch that is best on `valid`.
        dataset: of the training passages.
        valid: validation passages; None keeps the last epoch.
        epochs: at most.
        epoch_notes: notes of the passages of an epoch.
        rng: random number generator.
        learning_rate: the highest, after the warm-up.
        weight_decay: of matrices; embeddings, biases and norms have none.
        batch_steps: steps in a batch.
        genre_dropout: share of passages whose genre is replaced by `NO_GENRE`.
        patience: epochs without improvement before the fit stops.
        amp: compute in bfloat16 where that is safe.
        on_batch: called after every batch with the fraction done, in [0, 1], and the loss in nats an action.
        on_epoch: called after every epoch with the losses so far.

    Raises:
        ConfigError: when the loss is not finite.
    """
    optimizer = _optimizer(network, learning_rate, weight_decay)
    distribution = JointDistribution(dataset.piano)
    result = FitResult()
    best: dict[str, torch.Tensor] = {}
    for epoch in range(epochs):
        network.train()
        total, steps = 0.0, 0
        for fraction, trajectories, rows in _epoch_batches(
            dataset, network.config.genres, epoch_notes, batch_steps, rng
        ):
            done = (epoch + fraction) / epochs
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _learning_rate_factor(done)
            genres = trajectories.observations["genre"][rows, 0]
            genres = np.where(rng.random(len(rows)) < genre_dropout, NO_GENRE, genres)
            log_probs = batch_log_probs(network, distribution, trajectories, rows, genres, amp)
            lengths = torch.as_tensor(trajectories.lengths[rows], device=log_probs.device)
            inside = torch.arange(log_probs.shape[1], device=log_probs.device) < lengths[:, None]
            loss = -log_probs[inside].mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            nats, count = loss.item(), int(trajectories.lengths[rows].sum())
            if not isfinite(nats):
                raise ConfigError(f"the loss is not finite in epoch {epoch + 1}; lower the learning rate")
            total, steps = total + nats * count, steps + count
            if on_batch is not None:
                on_batch(done, nats)
        network.eval()
        result.train_losses.append(total / steps)
        if valid is None:
            result.best_epoch = epoch
        else:
            result.valid_losses.append(-float(np.concatenate(log_prob(network, dataset.piano, valid)).mean()))
            if result.best_epoch < 0 or result.valid_losses[-1] < result.valid_losses[result.best_epoch]:
                result.best_epoch, best = epoch, copy.deepcopy(network.state_dict())
        if on_epoch is not None:
            on_epoch(result)
        if epoch - result.best_epoch >= patience:
            break
    if best:
        network.load_state_dict(best)
    return result


def _optimizer(network: SequenceNetwork, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW with weight decay on the matrices of linear and LSTM layers only."""
    matrices = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.LSTM))
        for parameter in module.parameters()
        if parameter.ndim > 1
    }
    groups = [
        {"params": [p for p in network.parameters() if id(p) in matrices], "weight_decay": weight_decay},
        {"params": [p for p in network.parameters() if id(p) not in matrices], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)


def _learning_rate_factor(done: float) -> float:
    """Factor of the learning rate at the fraction `done` of all batches: linear warm-up, then cosine decay."""
    cosine = FINAL_LEARNING_RATE + (1 - FINAL_LEARNING_RATE) * 0.5 * (1 + np.cos(np.pi * done))
    return min(1.0, done / WARM_UP) * cosine


def _epoch_batches(
    dataset: PassageDataset | ExcerptDataset,
    genres: Sequence[str],
    epoch_notes: int,
    batch_steps: int,
    rng: np.random.Generator,
) -> Iterator[tuple[float, Trajectories, np.ndarray]]:
    """Batches of an epoch: the fraction of the epoch that is done after each, trajectories, and the batch's rows."""
    notes_done = 0
    while notes_done < epoch_notes:
        pieces = dataset.sample(min(CHUNK, epoch_notes - notes_done), rng)
        notes = notes_done + np.cumsum([max(1, len(piece.score)) for piece in pieces])
        pieces = pieces[: 1 + int(np.searchsorted(notes, epoch_notes))]
        trajectories = record_trajectories(pieces, dataset.piano, genres)
        chunk_end = min(int(notes[len(pieces) - 1]), epoch_notes)
        batches = list(bucketed_batches(trajectories.lengths, batch_steps, rng))
        for number, rows in enumerate(batches):
            fraction = (notes_done + (chunk_end - notes_done) * (number + 1) / len(batches)) / epoch_notes
            yield fraction, trajectories, rows
        notes_done = chunk_end


def bucketed_batches(lengths: np.ndarray, batch_steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Partition sequences into batches of similar length, in random order.

    A batch has at most `batch_steps` steps when it is padded to its longest; a longer sequence is a batch by itself.

    Args:
        lengths: (n,) steps of each sequence.
        batch_steps: steps in a batch, the padding included.
        rng: random number generator.

    Yields:
        (k,) int64 indices of a batch.
    """
    order = np.argsort(lengths + rng.uniform(0, LENGTH_JITTER, len(lengths)))
    batches: list[list[int]] = [[]]
    longest = 0
    for index in order:
        longest = max(longest, int(lengths[index]))
        if batches[-1] and (len(batches[-1]) + 1) * longest > batch_steps:
            batches.append([])
            longest = int(lengths[index])
        batches[-1].append(int(index))
    for number in rng.permutation(len(batches)):
        yield np.array(batches[number])
