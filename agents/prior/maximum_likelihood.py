"""Maximum-likelihood fitting of sequence networks to real music, for priors and behaviour cloning."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import torch

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, SequenceNetwork
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.likelihood import batch_log_probs, log_prob
from toccata.agents.prior.muon import Muon
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.excerpts import ExcerptDataset
from toccata.settings.options import ConfigError

CHUNK = 256  # passages that are sampled and recorded together
WARM_UP = 0.02  # share of the fit in which the learning rate rises
MAX_GRAD_NORM = 1.0
BETAS = (0.9, 0.98)  # of AdamW: 0.999 would average the second moment over the warm-up of a short fit
LENGTH_JITTER = 8.0  # steps of noise on the lengths that batches are sorted by, so that their composition varies


@dataclass
class FitResult:
    """Losses of a fit by epoch, in nats an action."""

    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)  # empty without validation data
    best_epoch: int = -1  # the epoch whose weights were kept


@dataclass
class FitState:
    """All that a fit needs to go on after an epoch as if it had not been interrupted.

    Attributes:
        result: losses of the epochs so far.
        network: its weights.
        best: the weights of the best epoch; empty without validation data.
        optimizers: their state, by name of the parameter and of what is kept of it.
        rng: state of the random number generator.
        seconds: that the fit has taken.
        done: share of the fit, in [0, 1].
    """

    result: FitResult
    network: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    optimizers: dict[str, dict[str, torch.Tensor]]
    rng: dict[str, Any]
    seconds: float
    done: float


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
    minutes: float | None = None,
    muon: bool = False,
    amp: bool = False,
    resume: FitState | None = None,
    on_batch: Callable[[float, float, int], None] | None = None,
    on_epoch: Callable[[FitState], None] | None = None,
) -> FitResult:
    """Fit a network to passages by maximum likelihood over the legal actions; the critic is not trained.

    Args:
        network: is changed in place, to the weights of the epoch that is best on `valid`.
        dataset: of the training passages.
        valid: validation passages; None keeps the last epoch.
        epochs: at most.
        epoch_notes: notes of the passages of an epoch.
        rng: random number generator.
        learning_rate: the highest, after the warm-up; from there it falls linearly to 0.
        weight_decay: of matrices; embeddings, biases and norms have none.
        batch_steps: steps in a batch.
        genre_dropout: share of passages whose genre is replaced by `NO_GENRE`.
        patience: epochs without improvement before the fit stops.
        minutes: at most; the learning rate falls within them. None: as long as the epochs take.
        muon: `Muon` for the matrices of the backbone, which needs fewer passages; else AdamW for all.
        amp: compute in bfloat16 where that is safe.
        resume: goes on from there; the other arguments must be those of the interrupted fit, `rng` is set.
        on_batch: called after every batch with the fraction done, in [0, 1], the loss in nats an action and the steps.
        on_epoch: called after every epoch with what resumes the fit; it shares storage with it.

    Raises:
        ConfigError: when the loss is not finite.
    """
    optimizers = _optimizers(network, learning_rate, weight_decay, muon)
    distribution = JointDistribution(dataset.piano)
    result, best, seconds_before, done = FitResult(), {}, 0.0, 0.0
    if resume is not None:
        result, best, seconds_before, done = resume.result, resume.best, resume.seconds, resume.done
        network.load_state_dict(resume.network)
        _set_optimizer_state(network, optimizers, resume.optimizers)
        rng.bit_generator.state = resume.rng
    started = time.monotonic() - seconds_before
    for epoch in range(len(result.train_losses), epochs):
        if result.best_epoch >= 0 and epoch - 1 - result.best_epoch >= patience:
            break
        network.train()
        total, steps = 0.0, 0
        for fraction, trajectories, rows in _epoch_batches(
            dataset, network.config.genres, epoch_notes, batch_steps, rng
        ):
            before, done = done, (epoch + fraction) / epochs
            if minutes is not None:
                done = min(1.0, max(done, (time.monotonic() - started) / (60 * minutes)))
            for group in (group for each in optimizers for group in each.param_groups):
                group["lr"] = learning_rate * _learning_rate_factor((before + done) / 2)
            genres = trajectories.observations["genre"][rows, 0]
            genres = np.where(rng.random(len(rows)) < genre_dropout, NO_GENRE, genres)
            log_probs = batch_log_probs(network, distribution, trajectories, rows, genres, amp)
            lengths = torch.as_tensor(trajectories.lengths[rows], device=log_probs.device)
            inside = torch.arange(log_probs.shape[1], device=log_probs.device) < lengths[:, None]
            loss = -log_probs[inside].mean()
            network.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
            for optimizer in optimizers:
                optimizer.step()
            nats, count = loss.item(), int(trajectories.lengths[rows].sum())
            if not isfinite(nats):
                raise ConfigError(f"the loss is not finite in epoch {epoch + 1}; lower the learning rate")
            total, steps = total + nats * count, steps + count
            if on_batch is not None:
                on_batch(done, nats, count)
            if done == 1.0:
                break
        network.eval()
        result.train_losses.append(total / steps)
        if valid is None:
            result.best_epoch = epoch
        else:
            result.valid_losses.append(-float(np.concatenate(log_prob(network, dataset.piano, valid)).mean()))
            if result.best_epoch < 0 or result.valid_losses[-1] < result.valid_losses[result.best_epoch]:
                result.best_epoch, best = epoch, copy.deepcopy(network.state_dict())
        if on_epoch is not None:
            state = _optimizer_state(network, optimizers)
            seconds = time.monotonic() - started
            on_epoch(FitState(result, network.state_dict(), best, state, dict(rng.bit_generator.state), seconds, done))
        if done == 1.0:
            break
    if best:
        network.load_state_dict(best)
    return result


def _optimizer_state(
    network: SequenceNetwork, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, dict[str, torch.Tensor]]:
    """What the optimizers keep of each parameter, by its name."""
    states = {parameter: state for optimizer in optimizers for parameter, state in optimizer.state.items()}
    return {name: states[parameter] for name, parameter in network.named_parameters() if parameter in states}


def _set_optimizer_state(
    network: SequenceNetwork,
    optimizers: Sequence[torch.optim.Optimizer],
    state: Mapping[str, Mapping[str, torch.Tensor]],
) -> None:
    """The inverse of `_optimizer_state`."""
    names = {parameter: name for name, parameter in network.named_parameters()}
    for optimizer in optimizers:
        for parameter in (parameter for group in optimizer.param_groups for parameter in group["params"]):
            if names[parameter] in state:
                optimizer.state[parameter] = {k: v.to(parameter.device) for k, v in state[names[parameter]].items()}


def _optimizers(
    network: SequenceNetwork, learning_rate: float, weight_decay: float, muon: bool
) -> list[torch.optim.Optimizer]:
    """AdamW with weight decay on the matrices of linear and LSTM layers only; with `muon` it has the backbone's not."""
    matrices = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.LSTM))
        for parameter in module.parameters()
        if parameter.ndim > 1
    }
    in_backbone = [parameter for parameter in network.backbone.parameters() if id(parameter) in matrices]
    by_muon = {id(parameter) for parameter in in_backbone} if muon else set()
    by_adamw = [parameter for parameter in network.parameters() if id(parameter) not in by_muon]
    groups = [
        {"params": [p for p in by_adamw if id(p) in matrices], "weight_decay": weight_decay},
        {"params": [p for p in by_adamw if id(p) not in matrices], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)]
    if by_muon:
        optimizers.append(Muon(in_backbone, learning_rate, weight_decay=weight_decay))
    return optimizers


def _learning_rate_factor(done: float) -> float:
    """Factor of the learning rate at the fraction `done` of a fit: linear warm-up, then linear decay to 0."""
    return min(done / WARM_UP, (1 - done) / (1 - WARM_UP))


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
