"""The network of the typicality, reward and judge: a GRU over the actions of a piece that predicts the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.music.score import TICKS_PER_BEAT

MAX_BEATS = 16  # beats of a bar that have an embedding of their own
NO_PITCH_CLASS = 12  # of rests
BATCH = 32  # pieces in a forward pass


class ActionBatch(NamedTuple):
    """Actions of n pieces, padded to the longest."""

    actions: torch.Tensor  # (n, steps, 2) int64, `(what, value)`
    ticks: torch.Tensor  # (n, steps) int64: since the bar line when each is played
    inside: torch.Tensor  # (n, steps) bool; the others are padding


class ActionModel(nn.Module):
    """A GRU (Cho et al. 2014) that predicts `what`, then `value` given `what`, from the actions before.

    Unlike the networks that agents have it is no transformer and no LSTM, knows no genre, and is not told which actions
    are legal.

    Args:
        piano: the instrument.
        width: of embeddings and layers.
        layers: of the GRU.
    """

    pitch_class_of: torch.Tensor

    def __init__(self, piano: Piano, width: int = 256, layers: int = 2) -> None:
        super().__init__()
        self.whats, self.values = piano.nvec[:2]
        self.begin = self.whats  # the `what` before the first action
        keys = (np.arange(piano.lowest, piano.highest + 1)) % 12
        chords = piano.chord_pitches[:, 0].astype(np.int64) % 12
        classes = np.concatenate([[NO_PITCH_CLASS], keys, chords, [NO_PITCH_CLASS]])
        self.register_buffer("pitch_class_of", torch.as_tensor(classes), persistent=False)  # (whats + 1,)
        self.what = nn.Embedding(self.whats + 1, width)
        self.pitch_class = nn.Embedding(13, width)
        self.value = nn.Embedding(self.values, width)
        self.tick = nn.Embedding(TICKS_PER_BEAT, width)
        self.beat = nn.Embedding(MAX_BEATS, width)
        for embedding in self.children():
            nn.init.normal_(embedding.weight, std=0.1)  # type: ignore[arg-type]  # all of them so far are Embeddings
        self.gru = nn.GRU(width, width, layers, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.of_what = nn.Linear(width, self.whats)
        self.given_what = nn.Embedding(self.whats, width)
        self.of_value = nn.Linear(width, self.values)

    def hidden(self, batch: ActionBatch) -> torch.Tensor:
        """(n, steps, width) last hidden states, from which each action is predicted: of the actions before it."""
        what, value = batch.actions.unbind(dim=-1)
        before = F.pad(what[:, :-1], (1, 0), value=self.begin)
        value_before = F.pad(value[:, :-1], (1, 0))
        x = (
            self.what(before)
            + self.pitch_class(self.pitch_class_of[before])
            + self.value(value_before)
            + self.tick(batch.ticks % TICKS_PER_BEAT)
            + self.beat((batch.ticks // TICKS_PER_BEAT).clamp(max=MAX_BEATS - 1))
        )
        return self.norm(self.gru(x)[0])

    def forward(self, batch: ActionBatch) -> torch.Tensor:
        """(n, steps) log-probabilities of the actions in nats; those of the padding are meaningless."""
        what, value = batch.actions.unbind(dim=-1)
        x = self.hidden(batch)
        of_what = self.of_what(x).log_softmax(dim=-1).gather(-1, what[..., None])
        given = F.gelu(x + self.given_what(what))
        of_value = self.of_value(given).log_softmax(dim=-1).gather(-1, value[..., None])
        return (of_what + of_value).squeeze(-1)


def action_batch(actions: Sequence[np.ndarray], ticks_per_bar: Sequence[int], piano: Piano) -> ActionBatch:
    """A batch of pieces given by their actions (steps, 2), which begin at a bar line.

    Args:
        actions: of each piece; a piece without any has one step of padding. The model predicts no velocities: columns
            beyond `(what, value)` are left out.
        ticks_per_bar: of each piece.
        piano: the instrument.
    """
    longest = max(1, *map(len, actions))
    rows = np.zeros((len(actions), longest, 2), np.int64)
    for row, each in zip(rows, actions, strict=True):
        row[: len(each)] = each[:, :2]
    rests = np.array(piano.values)[rows[..., 1]] * (rows[..., 0] == 0)
    ticks = (np.cumsum(rests, axis=1) - rests) % np.array(ticks_per_bar)[:, None]
    inside = np.arange(longest) < np.array([len(each) for each in actions])[:, None]
    return ActionBatch(torch.as_tensor(rows), torch.as_tensor(ticks), torch.as_tensor(inside))


def action_bits(network: ActionModel, pieces: Pieces) -> list[np.ndarray]:
    """(steps,) float64 bits of each action of each piece, at least 0.

    Args:
        network: of the default piano.
        pieces: to be predicted.
    """
    bits = [np.empty(0)] * len(pieces)
    for rows, batch in _batches(network, pieces):
        with torch.no_grad():
            of_batch = -network(batch).double().cpu().numpy() / np.log(2)
        for row, values in zip(rows, of_batch, strict=True):
            bits[row] = values[: len(pieces.actions[row])]
    return bits


def bits_an_action(network: ActionModel, pieces: Pieces) -> np.ndarray:
    """(n,) float64 bits an action, at least 0; of a piece without actions those of the uniform distribution.

    Args:
        network: of the default piano.
        pieces: to be predicted.
    """
    uniform = float(np.log2(network.whats * network.values))
    return np.array([each.mean() if len(each) else uniform for each in action_bits(network, pieces)])


def mean_hidden_states(network: ActionModel, pieces: Pieces) -> np.ndarray:
    """(n, width) float64 means over the actions of the last hidden states; 0 for a piece without actions.

    Args:
        network: of the default piano.
        pieces: to be embedded.
    """
    means = np.zeros((len(pieces), network.gru.hidden_size))
    for rows, batch in _batches(network, pieces):
        with torch.no_grad():
            hidden = torch.where(batch.inside[..., None], network.hidden(batch), 0.0).sum(dim=1).double().cpu().numpy()
        counts = batch.inside.sum(dim=1).cpu().numpy()
        means[rows] = hidden / np.maximum(counts, 1)[:, None]
    return means


def _batches(network: ActionModel, pieces: Pieces) -> Iterator[tuple[np.ndarray, ActionBatch]]:
    """The numbers (k,) and the actions of pieces of similar length, on the device of the network."""
    piano, device = Piano(), network.of_what.weight.device
    bars = [piece.score.ticks_per_bar * TICKS_PER_BEAT // piece.score.ticks_per_beat for piece in pieces]
    order = np.argsort([len(each) for each in pieces.actions], kind="stable")
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = action_batch([pieces.actions[row] for row in rows], [bars[row] for row in rows], piano)
        yield rows, ActionBatch(*(each.to(device) for each in batch))
