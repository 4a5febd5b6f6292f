"""Fitting an LSTM over events to each genre by maximum likelihood."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from math import exp, isfinite

import numpy as np
import torch
from torch import Tensor

from toccata.agents.devices import resolve_device
from toccata.agents.prior.fitting.report import markdown_table
from toccata.agents.rivals.chord_lstm.classes import UNKNOWN, Events, Vocabulary, events_of
from toccata.agents.rivals.chord_lstm.likelihood import (
    CrossEntropy,
    Sequences,
    cross_entropy,
    event_nats,
    mean_nats,
)
from toccata.agents.rivals.chord_lstm.network import UNITS, ChordLSTM, network_inputs
from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.fitting.job import FitJob
from toccata.agents.rivals.fitting.state import (
    load_optimizer,
    load_state,
    optimizer_tensors,
    reading_state,
    save_state,
)
from toccata.weights import save_weights

EPOCHS = 40  # at most, unless the command says
PATIENCE = 4  # epochs without improvement on the validation works
WINDOW = 64  # events that a gradient goes back through
BATCH_WINDOWS = 16
LEARNING_RATE = 2e-3
MAX_GRAD_NORM = 1.0
SPLITS = ("train", "valid", "test")
PARTS = ("network", "best", "optimizer")


@dataclass
class Losses:
    """Losses of the fit of a genre by epoch, in nats an event: those of its chord and of its timing."""

    train: list[float] = field(default_factory=list)  # with dropout, as the weights change
    valid: list[float] = field(default_factory=list)  # empty without validation works
    best_epoch: int = -1

    def is_over(self) -> bool:
        """Whether the last epochs have brought no improvement."""
        return bool(self.valid) and len(self.valid) - 1 - self.best_epoch >= PATIENCE


def fit(job: FitJob) -> str:
    """Fit a network to each genre of `job`, and write all of them with their figures.

    Returns:
        the text of the model card.

    Raises:
        RivalError: for a loss that is not finite.
        WeightsError: for a damaged checkpoint.
    """
    device = resolve_device(job.config.device)
    files: dict[str, dict[str, Tensor]] = {}
    about: dict[str, dict[str, object]] = {}
    figures: dict[str, dict[str, CrossEntropy | None]] = {}
    for number, (genre, corpus) in enumerate(job.works.items()):
        works = {split: [events_of(work.score) for work in corpus.split(split)] for split in SPLITS}
        vocabulary = Vocabulary.of(works["train"])
        network, losses = _fit_genre(job, number, genre, vocabulary, works, device)
        figures[genre] = {
            split: cross_entropy(network, vocabulary, works[split], works["train"]) for split in ("train", "test")
        }
        files[genre] = {name: tensor.half() for name, tensor in network.state_dict().items()}
        measured = {split: None if each is None else asdict(each) for split, each in figures[genre].items()}
        about[genre] = {**vocabulary.to_json(), "losses": asdict(losses), "cross_entropy": measured}
    save_weights(job.folder, files, {"rival": "chord-lstm", "genres": about})
    return _card(figures, files)


def _fit_genre(
    job: FitJob,
    number: int,
    genre: str,
    vocabulary: Vocabulary,
    works: Mapping[str, Sequence[Events]],
    device: torch.device,
) -> tuple[ChordLSTM, Losses]:
    """The network of the genre `number`, in evaluation mode, with the weights of the best epoch on validation works."""
    train, valid = (Sequences.of(works[split], vocabulary) for split in ("train", "valid"))
    epochs = job.config.epochs or EPOCHS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed(job.config.seed, genre, epoch=0))
        network = ChordLSTM(vocabulary).to(device)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    losses, best, seconds = Losses(), {}, 0.0
    kept = load_state(job.checkpoint / genre, PARTS) if job.config.resume else None
    if kept is not None:
        tensors, about = kept
        with reading_state(job.checkpoint / genre):
            losses, best, seconds = Losses(**about["losses"]), tensors["best"], float(about["seconds"])
            network.load_state_dict(best)
            network.load_state_dict(tensors["network"])
            load_optimizer(optimizer, tensors["optimizer"])
    started = time.monotonic() - seconds
    for epoch in range(len(losses.train), epochs):
        if losses.is_over() or seconds >= job.seconds_per_genre:
            break
        losses.train.append(_fit_epoch(network, optimizer, train, job.config.seed, genre, epoch))
        if len(valid):
            losses.valid.append(sum(mean_nats(network.eval(), valid)))
        if not losses.valid or losses.valid[-1] <= min(losses.valid):
            losses.best_epoch = epoch
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        seconds = time.monotonic() - started
        state = {"network": network.state_dict(), "best": best, "optimizer": optimizer_tensors(optimizer)}
        save_state(job.checkpoint / genre, state, {"losses": asdict(losses), "seconds": seconds})
        shown = (losses.valid or losses.train)[-1]
        job.epoch_done(number, epoch + 1, epochs, seconds, f"{genre}: {shown:.3f} nats an event")
    network.load_state_dict(best)
    return network.eval(), losses


def _seed(seed: int, genre: str, epoch: int) -> int:
    """A seed for torch, of an epoch of the fit of a genre."""
    return int(np.random.default_rng([seed, epoch, *genre.encode()]).integers(2**63))


def _fit_epoch(
    network: ChordLSTM, optimizer: torch.optim.Optimizer, works: Sequences, seed: int, genre: str, epoch: int
) -> float:
    """One pass over the works; what is random in it depends on the last three arguments alone.

    Returns:
        the mean loss in nats an event.

    Raises:
        RivalError: when it is not finite.
    """
    device = next(network.parameters()).device
    network.train()
    total, events = 0.0, 0
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_seed(seed, genre, epoch + 1))
        for batch in _batches(works, np.random.default_rng([seed, epoch, *genre.encode()])):
            *classes, inside = (torch.as_tensor(each, device=device) for each in batch)
            of_chord, of_timing = event_nats(network, *classes)
            count = int(inside.sum())
            loss = ((of_chord + of_timing) * inside).sum() / count
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            total, events = total + loss.item() * count, events + count
    if not isfinite(total):
        raise RivalError(
            f"chord-lstm: the loss of genre {genre} is not finite in epoch {epoch + 1}; try another --seed"
        )
    return total / events


def _batches(works: Sequences, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
    """Random batches of windows of up to `WINDOW` successive events; all events of the works are in one window.

    Yields:
        input classes of chords and timings, target classes of both, all (rows, WINDOW) int64, and (rows, WINDOW) bool
        which places have an event.
    """
    windows = []
    for work, chords in enumerate(works.chords):
        first = int(rng.integers(1, WINDOW + 1))  # where the second window begins: others in every epoch
        edges = [0, *range(first, len(chords), WINDOW), len(chords)]
        windows += [(work, start, end) for start, end in pairwise(edges) if start < end]
    order = rng.permutation(len(windows))
    for begin in range(0, len(order), BATCH_WINDOWS):
        rows = [windows[index] for index in order[begin : begin + BATCH_WINDOWS]]
        batch = np.zeros((5, len(rows), WINDOW), np.int64)
        batch[2] = UNKNOWN  # of padding: START is never a target, its loss would be infinite
        for row, (work, start, end) in enumerate(rows):
            chords, timings = works.chords[work], works.timings[work]
            for part, values in enumerate((*network_inputs(chords, timings), chords, timings)):
                batch[part, row, : end - start] = values[start:end]
            batch[4, row, : end - start] = 1
        yield (*batch[:4], batch[4].astype(bool))


def _card(figures: Mapping[str, Mapping[str, CrossEntropy | None]], files: Mapping[str, Mapping[str, Tensor]]) -> str:
    """The text of the model card."""
    weights = {genre: sum(tensor.numel() for tensor in tensors.values()) for genre, tensors in files.items()}
    head = ["genre", "works", "events", "classes", "no class, %", "chord, nats", "unigram", "log classes"]
    rows = [[*head, "timing, nats", "bits a note"]]
    for genre, by_split in figures.items():
        for split, each in by_split.items():
            if each is None:
                rows.append([f"{genre}, {split}", "0", *[""] * 8])
                continue
            counts = [f"{each.works}", f"{each.events:,}", f"{round(exp(each.uniform_nats)):,}"]
            nats = [each.chord_nats, each.unigram_nats, each.uniform_nats, each.timing_nats]
            measured = [f"{100 * each.unknown:.1f}", *(f"{value:.3f}" for value in nats), f"{each.bits_per_note:.2f}"]
            rows.append([f"{genre}, {split}", *counts, *measured])
    return "\n".join(
        [
            "# Composer: chord-lstm",
            "",
            f"For each genre one LSTM layer of {UNITS} units over events: the set of pitches struck at an onset, and "
            "its timing. "
            + ", ".join(f"{genre}: {count:,} weights" for genre, count in weights.items())
            + "; float16 in the files.",
            "",
            f"Fitted by maximum likelihood with Adam, rate {LEARNING_RATE:g}, to windows of {WINDOW} events, "
            f"{BATCH_WINDOWS} a batch, in the keys that the works are written in; the epoch that is best on the "
            "validation works is kept.",
            "",
            'Cross-entropies of whole works; "train" are the works it was fitted to, "test" works held out:',
            "",
            markdown_table(rows),
            "",
            "Chords outside the vocabulary count as one class, so nats a class are to be compared with the unigram and "
            "the log of the classes beside them, and not across genres. Bits a note can be: they have chord and timing "
            "and, for chords outside the vocabulary, each of their pitches by its frequency.",
            "",
            "Limits: it knows neither bar lines nor keys, and a set of pitches that it has not seen it cannot play.",
        ]
    )
