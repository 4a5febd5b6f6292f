"""Cross-entropies of events under a network, and what they are to be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log

import numpy as np
import torch
import torch.nn.functional as F

from toccata.agents.rivals.chord_lstm.classes import UNKNOWN, Events, Vocabulary
from toccata.agents.rivals.chord_lstm.network import ChordLSTM, network_inputs

PITCHES = 128


@dataclass(frozen=True)
class Sequences:
    """The classes of the events of each work."""

    chords: tuple[np.ndarray, ...]  # (events,) int64 each
    timings: tuple[np.ndarray, ...]  # (events,) int64 each

    @classmethod
    def of(cls, works: Sequence[Events], vocabulary: Vocabulary) -> Sequences:
        """The classes of works with at least one event."""
        kept = [events for events in works if len(events)]
        return cls(
            tuple(vocabulary.chord_classes(events.chords) for events in kept),
            tuple(vocabulary.timing_classes(events.timings) for events in kept),
        )

    def __len__(self) -> int:
        """Number of works."""
        return len(self.chords)


@dataclass(frozen=True)
class CrossEntropy:
    """Mean negative log-probabilities of works, over all events.

    Attributes:
        works, events, notes: counts.
        unknown: share of the events whose chord has no class of its own, in [0, 1].
        chord_nats: nats a class of chord; those without one count as the class `UNKNOWN`.
        timing_nats: nats a class of timing, given the chord.
        unigram_nats: chord_nats of the frequencies of the training works, each class counted once more.
        uniform_nats: log of the number of classes.
        spelling_nats: nats an event for the pitches of chords without a class: their number, then each of them, by the
            frequencies of the training works; 0 for the other chords.
    """

    works: int
    events: int
    notes: int
    unknown: float
    chord_nats: float
    timing_nats: float
    unigram_nats: float
    uniform_nats: float
    spelling_nats: float

    @property
    def bits_per_note(self) -> float:
        """Bits a note of chords, of the pitches of those without a class, and of timings as their classes have them."""
        return (self.chord_nats + self.spelling_nats + self.timing_nats) * self.events / self.notes / log(2)


def cross_entropy(
    network: ChordLSTM, vocabulary: Vocabulary, works: Sequence[Events], training: Sequence[Events]
) -> CrossEntropy | None:
    """Cross-entropy of whole works, each from its start; None of works without events.

    Args:
        network: in evaluation mode.
        vocabulary: its.
        works: to measure.
        training: works of the unigram baseline, those that the network was fitted to.
    """
    sequences = Sequences.of(works, vocabulary)
    if not len(sequences):
        return None
    counts = np.bincount(np.concatenate(Sequences.of(training, vocabulary).chords), minlength=vocabulary.classes)
    unigram = np.log((counts + 1.0)[UNKNOWN:] / (counts + 1.0)[UNKNOWN:].sum())
    chords = np.concatenate(sequences.chords)
    of_chord, of_timing = mean_nats(network, sequences)
    return CrossEntropy(
        works=len(sequences),
        events=len(chords),
        notes=sum(events.notes for events in works),
        unknown=float((chords == UNKNOWN).mean()),
        chord_nats=of_chord,
        timing_nats=of_timing,
        unigram_nats=float(-unigram[chords - UNKNOWN].mean()),
        uniform_nats=log(vocabulary.classes - UNKNOWN),
        spelling_nats=_spelling_nats(works, training, vocabulary) / len(chords),
    )


def _spelling_nats(works: Sequence[Events], training: Sequence[Events], vocabulary: Vocabulary) -> float:
    """Nats of the pitches of all chords without a class: the number of notes, then the pitches in any order.

    Both by the frequencies in the training works, in which each number and pitch is counted once more.
    """
    sizes, pitches = np.ones(PITCHES), np.ones(PITCHES)
    for chord in (chord for events in training for chord in events.chords):
        sizes[len(chord) - 1] += 1
        pitches[list(chord)] += 1
    log_size, log_pitch = np.log(sizes / sizes.sum()), np.log(pitches / pitches.sum())
    return -sum(
        float(log_size[len(chord) - 1] + log_pitch[list(chord)].sum() + lgamma(len(chord) + 1))
        for events in works
        for chord, number in zip(events.chords, vocabulary.chord_classes(events.chords), strict=True)
        if number == UNKNOWN
    )


def mean_nats(network: ChordLSTM, sequences: Sequences) -> tuple[float, float]:
    """Mean nats of the classes of chords and of timings of whole works, over all events."""
    device = next(network.parameters()).device
    sums, events = np.zeros(2), 0
    with torch.no_grad():
        for chords, timings in zip(sequences.chords, sequences.timings, strict=True):
            of_chord, of_timing = event_nats(network, *inputs_and_targets(chords, timings, device))
            sums += [float(of_chord.sum()), float(of_timing.sum())]
            events += len(chords)
    return float(sums[0] / events), float(sums[1] / events)


def inputs_and_targets(chords: np.ndarray, timings: np.ndarray, device: torch.device) -> tuple[torch.Tensor, ...]:
    """A row for `event_nats`: inputs (1, events) of chords and of timings, and targets, of the events of one work."""
    inputs = network_inputs(chords[:-1], timings[:-1])
    return tuple(torch.as_tensor(each, device=device)[None] for each in (*inputs, chords, timings))


def event_nats(
    network: ChordLSTM,
    input_chords: torch.Tensor,
    input_timings: torch.Tensor,
    chords: torch.Tensor,
    timings: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, events) nats of each target class of a chord, and of a timing given the chord.

    Args:
        network: either mode.
        input_chords: (rows, events) int64, `START` and the classes before each target.
        input_timings: (rows, events) int64, likewise, as `ChordLSTM.forward` takes them.
        chords: (rows, events) int64 targets.
        timings: (rows, events) int64 targets.
    """
    features, _ = network(input_chords, input_timings)
    of_chord = F.cross_entropy(network.chord_logits(features).flatten(0, 1), chords.flatten(), reduction="none")
    of_timing = F.cross_entropy(
        network.timing_logits(features, chords).flatten(0, 1), timings.flatten(), reduction="none"
    )
    return of_chord.view_as(chords), of_timing.view_as(timings)
