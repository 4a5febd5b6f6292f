"""The LSTM over events: the class of the chord, and then its timing given the chord."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from toccata.agents.rivals.chord_lstm.classes import START, Vocabulary

UNITS = 256  # of the report
CHORD_WIDTH, TIMING_WIDTH = 96, 32  # of the embeddings
DROPOUT = 0.3

State = tuple[Tensor, Tensor]  # hidden and cell, (1, rows, UNITS) each


def network_inputs(chords: np.ndarray, timings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(1 + events,) int64 inputs of chords and of timings: the start, then the events with these classes (events,)."""
    return np.append(START, chords), np.append(0, 1 + timings)


class ChordLSTM(nn.Module):
    """One LSTM layer over the events before, and a softmax over the chord classes of the next one.

    The output layer of the chords shares the weights of their embedding (Press & Wolf 2017, "Using the output embedding
    to improve language models"). A second output has the timing of the event, given its chord.

    Args:
        vocabulary: of the genre.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.chord_embedding = nn.Embedding(vocabulary.classes, CHORD_WIDTH)
        self.timing_embedding = nn.Embedding(1 + len(vocabulary.timings), TIMING_WIDTH)  # 0: before the first event
        self.lstm = nn.LSTM(CHORD_WIDTH + TIMING_WIDTH, UNITS, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.to_chord = nn.Linear(UNITS, CHORD_WIDTH)
        self.chord_bias = nn.Parameter(torch.zeros(vocabulary.classes))
        self.to_timing = nn.Sequential(
            nn.Linear(UNITS + CHORD_WIDTH, CHORD_WIDTH), nn.ReLU(), nn.Linear(CHORD_WIDTH, len(vocabulary.timings))
        )

    def forward(self, chords: Tensor, timings: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features of what comes after each event.

        Args:
            chords: (rows, events) int64 classes of chords, `START` before the first event.
            timings: (rows, events) int64, 1 + the classes of their timings; 0 before the first event.
            state: after the events before; None: there are none.

        Returns:
            (rows, events, UNITS) features, and the state after the last event.
        """
        inputs = torch.cat([self.chord_embedding(chords), self.timing_embedding(timings)], dim=-1)
        features, state = self.lstm(self.dropout(inputs), state)
        return self.dropout(features), state

    def chord_logits(self, features: Tensor) -> Tensor:
        """(..., classes) logits of the next chord; that of `START` is minus infinity."""
        logits = self.to_chord(features) @ self.chord_embedding.weight.T + self.chord_bias
        never = torch.zeros_like(self.chord_bias, dtype=torch.bool)
        never[START] = True
        return logits.masked_fill(never, -torch.inf)

    def timing_logits(self, features: Tensor, chords: Tensor) -> Tensor:
        """(..., timings) logits of the timing of the next event, whose classes of chords are (...)."""
        return self.to_timing(torch.cat([features, self.chord_embedding(chords)], dim=-1))
