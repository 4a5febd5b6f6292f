"""Fitting sequence networks to real music by maximum likelihood: priors, and what PPO starts from without one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.config import ConfigError
from toccata.agents.fit_prior_config import FitPriorConfig
from toccata.agents.parts import device_of
from toccata.agents.passages import NO_GENRE, Passages, Sequences, record
from toccata.agents.policies import JointDistribution
from toccata.agents.prior import CONFIG_FILE, Prior, frozen, sequence_log_probs
from toccata.agents.prior_report import write_prior_report
from toccata.agents.sequence_network import SHAPES, SequenceNetwork, Shape
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus, load_corpus

CHUNK = 256  # passages that are drawn and recorded together
WARM_UP = 0.02  # share of all batches in which the learning rate rises
LEAST_RATE = 0.05  # of the learning rate, at the end
MOST_NORM = 1.0  # of a gradient


@dataclass
class Fit:
    """How a fit went: losses in nats an action, by epoch."""

    train: list[float] = field(default_factory=list)
    valid: list[float] = field(default_factory=list)
    best: int = -1  # the epoch whose weights were kept


def fit_network(
    network: SequenceNetwork,
    music: Passages,
    valid: Sequences | None,
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
    """
    distribution = JointDistribution(music.piano)
    decayed = {id(m.weight) for m in network.modules() if isinstance(m, torch.nn.Linear)}
    decayed |= {id(p) for m in network.modules() if isinstance(m, torch.nn.LSTM) for p in m.parameters() if p.ndim > 1}
    groups = [
        {"params": [p for p in network.parameters() if id(p) in decayed], "weight_decay": weight_decay},
        {"params": [p for p in network.parameters() if id(p) not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)
    fit = Fit()
    best: dict[str, torch.Tensor] = {}
    for epoch in range(epochs):
        network.train()
        total, steps, heard = 0.0, 0, 0
        while heard < epoch_notes:
            pieces = music.sample(min(CHUNK, epoch_notes), rng)
            drawn = record(pieces, music.piano)
            chunk_notes = sum(len(piece.score) for piece in pieces)
            batches = list(batches_of(drawn, batch_steps, rng))
            for number, rows in enumerate(batches):
                share = min(1.0, (heard + chunk_notes * (number + 1) / len(batches)) / epoch_notes)
                done = (epoch + share) / epochs
                rate = min(1.0, done / WARM_UP) * (LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + np.cos(np.pi * done)))
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * rate
                genres = drawn.observations["genre"][rows, 0]
                genres = np.where(rng.random(len(rows)) < genre_dropout, NO_GENRE, genres)
                found = sequence_log_probs(network, distribution, drawn, rows, genres, amp)
                inside = torch.arange(found.shape[1], device=found.device) < torch.as_tensor(
                    drawn.lengths[rows, None], device=found.device
                )
                loss = -found[inside].mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), MOST_NORM)
                optimizer.step()
                count = int(drawn.lengths[rows].sum())
                total, steps = total + loss.item() * count, steps + count
                if on_batch is not None:
                    on_batch(done, loss.item())
            heard += chunk_notes
        network.eval()
        fit.train.append(total / steps)
        if valid is None:
            fit.best = epoch
        else:
            fit.valid.append(mean_loss(network, music.piano, valid, amp))
            if fit.valid[-1] <= min(fit.valid):
                fit.best, best = epoch, copy.deepcopy(network.state_dict())
        if on_epoch is not None:
            on_epoch(fit)
        if valid is not None and epoch - fit.best >= patience:
            break
    if best:
        network.load_state_dict(best)
    return fit


def batches_of(sequences: Sequences, batch_steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of sequences, all of them once, together those of about equal length, of at most `batch_steps` steps padded."""
    order = np.argsort(sequences.lengths + rng.uniform(0, 8, len(sequences)))  # not always the same ones together
    batches, batch = [], []
    for row in order[::-1]:
        longest = sequences.lengths[batch[0]] if batch else sequences.lengths[row]
        if batch and (len(batch) + 1) * longest > batch_steps:
            batches.append(np.array(batch))
            batch = []
        batch.append(row)
    batches.append(np.array(batch))
    for index in rng.permutation(len(batches)):
        yield batches[index]


def mean_loss(network: SequenceNetwork, piano: Piano, sequences: Sequences, amp: bool = False) -> float:
    """Nats an action, over all steps of all sequences."""
    total = 0.0
    order = np.argsort(sequences.lengths, kind="stable")
    for start in range(0, len(order), 16):
        rows = order[start : start + 16]
        with torch.no_grad():
            found = sequence_log_probs(network, JointDistribution(piano), sequences, rows, amp=amp).cpu().numpy()
        total -= sum(values[: sequences.lengths[row]].sum() for row, values in zip(rows, found, strict=True))
    return float(total / sequences.lengths.sum())


def shape_of(config: FitPriorConfig) -> Shape:
    """The size of the network that the configuration asks for.

    Raises:
        ConfigError: for sizes that do not go together.
    """
    given = {name: getattr(config, name) for name in ("width", "layers", "heads") if getattr(config, name) is not None}
    try:
        return replace(SHAPES[config.backbone], **given)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def fit_prior(config: FitPriorConfig, console: Console | None = None) -> Prior:
    """Fit a prior as `config` says, write it and a report into `config.out`.

    Raises:
        ConfigError, CorpusError: before anything is written, when it cannot be fitted.
    """
    console = console or Console(stderr=True)
    if (config.out / CONFIG_FILE).exists():
        raise ConfigError(f"{config.out}: holds a prior already; choose another --out")
    device = device_of(config.device)
    amp = device.type == "cuda" if config.amp is None else config.amp
    corpus = load_corpus(list(config.data))
    parts = {name: _part(corpus, name) for name in ("train", "valid", "test")}
    try:
        music = {name: Passages(part, max_steps=config.max_steps) for name, part in parts.items()}
    except ValueError as error:
        raise ConfigError(str(error)) from error
    torch.manual_seed(config.seed)
    try:
        network = SequenceNetwork(Piano(), shape_of(config)).to(device)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    weights = sum(parameter.numel() for parameter in network.parameters())
    notes = sum(len(work.score) for work in music["train"].works)
    console.print(f"{weights:,} weights, {len(music['train'].works):,} works, {notes:,} notes", highlight=False)
    valid = record(music["valid"].whole())
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as bar:
        task = bar.add_task("fitting", total=1.0, note="")

        def on_epoch(fit: Fit) -> None:
            bar.console.print(
                f"epoch {len(fit.train)}: {fit.train[-1]:.3f} nats an action, held out {fit.valid[-1]:.3f}",
                highlight=False,
            )

        fit = fit_network(
            network,
            music["train"],
            valid,
            epochs=config.epochs,
            epoch_notes=notes,
            rng=np.random.default_rng(config.seed),
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            batch_steps=config.batch_steps,
            genre_dropout=config.genre_dropout,
            patience=config.patience,
            amp=amp,
            on_batch=lambda done, loss: bar.update(task, completed=done, note=f"{loss:.2f} nats an action"),
            on_epoch=on_epoch,
        )
    counts = {
        genre: {name: sum(work.genre == genre for work in part.works) for name, part in music.items()}
        for genre in corpus.genres
    }
    about = {
        "nats_per_action": {"train": fit.train, "valid": fit.valid, "best_epoch": fit.best},
        "works": counts,
        "data": [str(name).rstrip("/").rpartition("/")[2] for name in config.data],
        "seed": config.seed,
    }
    prior = Prior(frozen(network.cpu()), music["train"].piano, about)
    prior.save(config.out)
    prior = Prior.load(config.out, device)
    write_prior_report(prior, music["train"], music["test"], config.out, console)
    return prior


def _part(corpus: Corpus, name: str) -> Corpus:
    """The works of a part; a corpus so small that none is there gives all of it."""
    part = corpus.split(name)
    return part if len(part) else corpus
