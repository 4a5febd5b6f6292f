"""Fitting sequence networks to real music by maximum likelihood: priors, and what PPO starts from without one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, SequenceNetwork
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.likelihood import log_prob, sequence_log_probs
from toccata.agents.prior.trajectories import Trajectories, trajectories_of
from toccata.envs.excerpts import ExcerptDataset
from toccata.options import ConfigError

CHUNK = 256  # passages that are drawn and recorded together
WARM_UP = 0.02  # share of all batches in which the learning rate rises
LEAST_RATE = 0.05  # of the learning rate, at the end
MOST_NORM = 1.0  # of a gradient
BETAS = (0.9, 0.98)  # of AdamW: with 0.999 the second moment would still remember the warm-up of a short fit
LENGTH_JITTER = 8.0  # steps that a length is taken wrong by, lest the same passages always meet in a batch


@dataclass
class Fit:
    """How a fit went: losses in nats an action, by epoch."""

    train: list[float] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    best: int = -1  # the epoch whose weights were kept


def fit_network(
    network: SequenceNetwork,
    music: PassageDataset | ExcerptDataset,
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
    on_epoch: Callable[[Fit], None] | None = None,
) -> Fit:
    """Fit a network to passages by maximum likelihood over the legal actions; the critic is left alone.

    Args:
        network: is changed in place, to the epoch that is best on `valid`.
        music: where passages come from.
        valid: held-out passages; None keeps the last epoch.
        epochs: at most.
        epoch_notes: notes that are heard in an epoch.
        rng: the source of chance.
        learning_rate: the greatest.
        weight_decay: of matrices; embeddings, biases and norms have none.
        batch_steps: steps in a batch.
        genre_dropout: share of passages whose genre is not told.
        patience: epochs without improvement before it stops.
        amp: compute in bfloat16 where that is safe.
        on_batch: told the share done, in [0, 1], and the loss in nats an action, after every batch.
        on_epoch: told what is known after every epoch.

    Raises:
        ConfigError: when the loss stops being a number.
    """
    optimizer = _optimizer(network, learning_rate, weight_decay)
    distribution = JointDistribution(music.piano)
    fit = Fit()
    best: dict[str, torch.Tensor] = {}
    for epoch in range(epochs):
        network.train()
        total, steps = 0.0, 0
        for share, drawn, rows in _batches(music, epoch_notes, batch_steps, rng):
            done = (epoch + share) / epochs
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _rate(done)
            genres = drawn.observations["genre"][rows, 0]
            genres = np.where(rng.random(len(rows)) < genre_dropout, NO_GENRE, genres)
            found = sequence_log_probs(network, distribution, drawn, rows, genres, amp)
            lengths = torch.as_tensor(drawn.lengths[rows], device=found.device)
            loss = -found[torch.arange(found.shape[1], device=found.device) < lengths[:, None]].mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MOST_NORM)
            optimizer.step()
            nats, count = loss.item(), int(drawn.lengths[rows].sum())
            if not isfinite(nats):
                raise ConfigError(f"the fit lost its way in epoch {epoch + 1}; lower the learning rate")
            total, steps = total + nats * count, steps + count
            if on_batch is not None:
                on_batch(done, nats)
        network.eval()
        fit.train.append(total / steps)
        if valid is None:
            fit.best = epoch
        else:
            fit.valid.append(-float(np.concatenate(log_prob(network, music.piano, valid)).mean()))
            if fit.best < 0 or fit.valid[-1] < fit.valid[fit.best]:
                fit.best, best = epoch, copy.deepcopy(network.state_dict())
        if on_epoch is not None:
            on_epoch(fit)
        if epoch - fit.best >= patience:
            break
    if best:
        network.load_state_dict(best)
    return fit


def _optimizer(network: SequenceNetwork, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW that pulls on the matrices alone."""
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


def _rate(done: float) -> float:
    """Share of the learning rate when a share of all is `done`: it rises in a line, then falls along a cosine."""
    return min(1.0, done / WARM_UP) * (LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + np.cos(np.pi * done)))


def _batches(
    music: PassageDataset | ExcerptDataset, epoch_notes: int, batch_steps: int, rng: np.random.Generator
) -> Iterator[tuple[float, Trajectories, np.ndarray]]:
    """The batches of an epoch: share of the epoch that is done after it, passages, and which of them it is of."""
    heard = 0
    while heard < epoch_notes:
        pieces = music.sample(min(CHUNK, epoch_notes - heard), rng)
        notes = heard + np.cumsum([max(1, len(piece.score)) for piece in pieces])
        pieces = pieces[: 1 + int(np.searchsorted(notes, epoch_notes))]
        drawn = trajectories_of(pieces, music.piano)
        until = min(int(notes[len(pieces) - 1]), epoch_notes)
        batches = list(batches_of(drawn.lengths, batch_steps, rng))
        for number, rows in enumerate(batches):
            yield (heard + (until - heard) * (number + 1) / len(batches)) / epoch_notes, drawn, rows
        heard = until


def batches_of(lengths: np.ndarray, batch_steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Numbers of sequences of `lengths` (n,), each once, those of about equal length together, in a random order.

    A batch has at most `batch_steps` steps when it is padded to its longest; a longer sequence is a batch of its own.
    """
    order = np.argsort(lengths + rng.uniform(0, LENGTH_JITTER, len(lengths)))
    batches: list[list[int]] = [[]]
    longest = 0
    for number in order:
        longest = max(longest, int(lengths[number]))
        if batches[-1] and (len(batches[-1]) + 1) * longest > batch_steps:
            batches.append([])
            longest = int(lengths[number])
        batches[-1].append(int(number))
    for index in rng.permutation(len(batches)):
        yield np.array(batches[index])
