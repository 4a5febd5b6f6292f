"""Maximum-likelihood fitting of sequence networks to real music, for priors and behaviour cloning."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import torch

from toccata.agents.devices import torch_compiled
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import SequenceNetwork
from toccata.agents.prior.fitting.batches import Chunks, epoch_batches, load_chunks
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.fitting.muon import Muon
from toccata.agents.prior.likelihood import Batch, log_prob, log_probs
from toccata.agents.prior.trajectories import Trajectories
from toccata.envs.excerpts import ExcerptDataset
from toccata.settings.options import ConfigError

WARM_UP = 0.02  # share of the fit in which the learning rate rises
MAX_GRAD_NORM = 1.0
BETAS = (0.9, 0.98)  # of AdamW: 0.999 would average the second moment over the warm-up of a short fit


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
        seconds: that the fit has taken.
        done: share of the fit, in [0, 1].
    """

    result: FitResult
    network: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    optimizers: dict[str, dict[str, torch.Tensor]]
    seconds: float
    done: float


def fit_network(
    network: SequenceNetwork,
    dataset: PassageDataset | ExcerptDataset,
    valid: Trajectories | None,
    *,
    epochs: int,
    epoch_notes: int,
    seed: int,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.1,
    batch_steps: int = 2048,
    row_steps: int = 0,
    genre_dropout: float = 0.0,
    patience: int = 2,
    minutes: float | None = None,
    muon: bool = False,
    amp: bool = False,
    compiles: bool = False,
    workers: int = 0,
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
        seed: of the passages, in [0, 2**63).
        learning_rate: the highest, after the warm-up; from there it falls linearly to 0.
        weight_decay: of matrices; embeddings, biases and norms have none.
        batch_steps: steps in a batch.
        row_steps: of packed passages; 0: they are batched by length. On a GPU packing saves the padding, a third of
            large batches; on a CPU attention over whole rows costs more than the 4 % of small batches.
        genre_dropout: share of passages whose genre is replaced by `NO_GENRE`.
        patience: epochs without improvement before the fit stops.
        minutes: at most; the learning rate falls within them. None: as long as the epochs take.
        muon: `Muon` for the matrices of the backbone, which needs fewer passages; else AdamW for all.
        amp: compute the backbone in bfloat16.
        compiles: compile the loss; for a transformer, with `row_steps`.
        workers: processes that record passages ahead; any number gives the same passages.
        resume: goes on from there; the other arguments must be those of the interrupted fit.
        on_batch: called after every batch with the fraction done, in [0, 1], the loss in nats an action and the steps.
        on_epoch: called after every epoch with what resumes the fit; it shares storage with it.

    Raises:
        ConfigError: when the loss is not finite.
    """
    optimizers = _optimizers(network, learning_rate, weight_decay, muon)
    result, best, seconds_before, done = FitResult(), {}, 0.0, 0.0
    if resume is not None:
        result, best, seconds_before, done = resume.result, resume.best, resume.seconds, resume.done
        network.load_state_dict(resume.network)
        _set_optimizer_state(network, optimizers, resume.optimizers)
    genres = network.config.genres
    chunks = Chunks(dataset, genres, epoch_notes, batch_steps, genre_dropout, seed, row_steps)
    first_epoch = len(result.train_losses)
    loaded = load_chunks(chunks, first_epoch * chunks.per_epoch, epochs * chunks.per_epoch, workers)
    device, distribution = next(network.parameters()).device, JointDistribution(dataset.piano)
    loss_of = torch_compiled(mean_nats, device, "the fit is") if compiles else mean_nats
    started = time.monotonic() - seconds_before
    for epoch in range(first_epoch, epochs):
        if result.best_epoch >= 0 and epoch - 1 - result.best_epoch >= patience:
            break
        network.train()
        network.amp = amp
        total, steps = 0.0, 0
        for fraction, batch in epoch_batches(loaded, chunks):
            before, done = done, (epoch + fraction) / epochs
            if minutes is not None:
                done = min(1.0, max(done, (time.monotonic() - started) / (60 * minutes)))
            for group in (group for each in optimizers for group in each.param_groups):
                group["lr"] = learning_rate * _learning_rate_factor((before + done) / 2)
            loss = loss_of(network, distribution, batch.to(device))
            network.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
            for optimizer in optimizers:
                optimizer.step()
            nats, count = loss.item(), int(batch.inside.sum())
            if not isfinite(nats):
                raise ConfigError(f"the loss is not finite in epoch {epoch + 1}; lower the learning rate")
            total, steps = total + nats * count, steps + count
            if on_batch is not None:
                on_batch(done, nats, count)
            if done == 1.0:
                break
        network.amp = False
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
            on_epoch(FitState(result, network.state_dict(), best, state, seconds, done))
        if done == 1.0:
            break
    if best:
        network.load_state_dict(best)
    return result


def mean_nats(network: SequenceNetwork, distribution: JointDistribution, batch: Batch) -> torch.Tensor:
    """(), the mean negative log-probability of the actions of a batch, in nats."""
    of_steps = log_probs(network, distribution, batch)
    return -torch.where(batch.inside, of_steps, 0.0).sum() / batch.inside.sum()


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
