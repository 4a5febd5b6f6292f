"""The network of the sequence policies: actions played so far in, logits of the next action and its value out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from toccata.agents.policies.cache import Memory, Steps
from toccata.agents.policies.distribution import JointDistribution, chord_shapes
from toccata.agents.policies.lstm import Lstm
from toccata.agents.policies.transformer import Transformer
from toccata.agents.prior.trajectories import NO_GENRE
from toccata.envs.instrument import Piano
from toccata.music.score import TICKS_PER_BEAT

MOST_BEATS = 16  # of a bar that are told apart
MOST_BARS = 32  # of those finished, and of those to come, that are told apart
STEPS_AT_ONCE = 65_536  # of a pass that remembers: all of thousands of pianos would need tens of gigabytes
OBSERVED = ("place", "top", "last", "genre")  # what of an observation is read


@dataclass(frozen=True)
class Shape:
    """How large a network is.

    Args:
        backbone: "transformer" or "lstm".
        width: channels of a layer.
        layers: how many.
        heads: of a transformer's attention.
    """

    backbone: str = "transformer"
    width: int = 192
    layers: int = 5
    heads: int = 3

    def __post_init__(self) -> None:
        if self.backbone not in ("transformer", "lstm"):
            raise ValueError(f"backbone must be transformer or lstm, got {self.backbone!r}")
        for name, most in (("width", 4096), ("layers", 64), ("heads", 64)):
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= most:
                raise ValueError(f"{name} must be a whole number in 1..{most}, got {size!r}")


SHAPES = {"transformer": Shape(), "lstm": Shape("lstm", 328, 2)}  # of equal size, about two million parameters


class SequenceNetwork(nn.Module):
    """Embeddings of what was played and of where in the piece that was, a causal backbone, and three heads.

    Keys are told both as such and by their interval from the highest key that was struck last, so that what is learnt
    in one key helps in all.

    Args:
        piano: the instrument.
        shape: of the backbone.
    """

    chord_lowest: torch.Tensor
    chord_shape: torch.Tensor

    def __init__(self, piano: Piano, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.keys = piano.keys
        width = shape.width
        whats, values = piano.nvec
        self.what = nn.Embedding(whats, width)
        self.value = nn.Embedding(values, width)
        self.top = nn.Embedding(self.keys + 1, width)
        self.begin = nn.Embedding(1, width)
        self.tick = nn.Embedding(TICKS_PER_BEAT, width)
        self.beat = nn.Embedding(MOST_BEATS, width)
        self.bar_beats = nn.Embedding(MOST_BEATS + 1, width)
        self.bars_finished = nn.Embedding(MOST_BARS, width)
        self.bars_left = nn.Embedding(MOST_BARS + 1, width)
        self.genre = nn.Embedding(NO_GENRE + 1, width)
        for part in self.children():
            nn.init.normal_(part.weight, std=0.1)  # type: ignore[arg-type]  # an Embedding, all of them so far
        self.backbone: Transformer | Lstm
        if shape.backbone == "transformer":
            self.backbone = Transformer(width, shape.layers, shape.heads)
        else:
            self.backbone = Lstm(width, shape.layers)

        chord_lowest = torch.as_tensor(piano.chord_pitches[:, 0].astype(np.int64)) - piano.lowest
        shapes = chord_shapes(piano)
        self.register_buffer("chord_lowest", chord_lowest, persistent=False)  # (chords,) key index of the lowest note
        self.register_buffer("chord_shape", torch.as_tensor(shapes), persistent=False)  # (chords,)
        distribution = JointDistribution(piano)
        self.intervals = 2 * self.keys - 1
        self.chord_logits = 12 * (int(shapes.max()) + 1 if len(shapes) else 0)  # by shape and interval modulo an octave
        self.value_logits = distribution.kinds * distribution.values
        self.actor = nn.Linear(width, 1 + self.keys + self.intervals + self.chord_logits + self.value_logits)
        nn.init.normal_(self.actor.weight, std=0.01)
        nn.init.zeros_(self.actor.bias)
        self.critic = nn.Sequential(nn.Linear(width, width), nn.GELU(approximate="tanh"), nn.Linear(width, 1))

    # What the backbone is given, and what is made of what it answers

    def embed(self, observations: Mapping[str, torch.Tensor], begins: torch.Tensor) -> tuple[torch.Tensor, Steps]:
        """Embeddings (rows, time, width) of observations (rows, time, ...), and where they stand."""
        tick, bar_ticks, finished, left = observations["place"].long().unbind(dim=-1)
        what, value = observations["last"].long().unbind(dim=-1)
        played = self.what(what) + self.value(value)
        x = (
            torch.where(begins[..., None], self.begin.weight[0], played)
            + self.top(observations["top"].long())
            + self.tick(tick % TICKS_PER_BEAT)
            + self.beat((tick // TICKS_PER_BEAT).clamp(max=MOST_BEATS - 1))
            + self.bar_beats((bar_ticks // TICKS_PER_BEAT).clamp(max=MOST_BEATS))
            + self.bars_finished(finished.clamp(max=MOST_BARS - 1))
            + self.bars_left(left.clamp(max=MOST_BARS))
            + self.genre(observations["genre"].long())
        )
        return x, Steps(begins, finished * bar_ticks + tick)

    def heads(self, x: torch.Tensor, top: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of `JointDistribution` (steps, whats + kinds * values) and values (steps,), of `x` (steps, width)."""
        out = self.actor(x)
        wait, by_key, by_interval, by_chord, values = out.split(
            [1, self.keys, self.intervals, self.chord_logits, self.value_logits], dim=-1
        )
        reference = torch.where(top > 0, top - 1, self.keys // 2)[:, None]  # before the first note, the middle
        intervals = torch.arange(self.keys, device=x.device) - reference + self.keys - 1
        chords = self.chord_shape * 12 + (self.chord_lowest - reference) % 12
        by_key = by_key + by_interval.gather(1, intervals)
        logits = torch.cat([wait, by_key, by_chord.gather(1, chords), values], dim=-1)
        return logits.float(), self.critic(x).squeeze(-1).float()

    # The three ways to run it

    def fresh(self, rows: int) -> Memory:
        """The memory of `rows` rows that have not begun."""
        return self.backbone.fresh(rows)

    def step(
        self, observations: Mapping[str, torch.Tensor], begins: torch.Tensor, memory: Memory
    ) -> tuple[torch.Tensor, torch.Tensor, Memory]:
        """One step of every row.

        Args:
            observations: (rows, ...) each, of `PianoEnv` with `observation="actions"`.
            begins: (rows,) bool, whose episode begins with this step; what they remember is forgotten.
            memory: of the steps before.

        Returns:
            logits (rows, whats + kinds * values), values (rows,), and the memory after this step. It shares its room
            with `memory`: a second step from that one overwrites the first.
        """
        x, steps = self.embed({key: observations[key][:, None] for key in OBSERVED}, begins[:, None])
        x, memory = self.backbone.step(x, steps, memory)
        return *self.heads(x[:, 0], observations["top"].long()), memory

    def whole(
        self, observations: Mapping[str, torch.Tensor], begins: torch.Tensor, memory: Memory | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sequences in one pass: what `step` would answer to each step in turn.

        Args:
            observations: (rows, time, ...) each.
            begins: (rows, time) bool, with which steps an episode begins.
            memory: of the episodes that were under way before; no gradient goes into it. None: there were none.

        Returns:
            logits (rows, time, whats + kinds * values) and values (rows, time).
        """
        x, steps = self.embed(observations, begins)
        x = self.backbone.whole(x, steps, memory)
        logits, values = self.heads(x.flatten(0, 1), observations["top"].long().flatten())
        return logits.unflatten(0, begins.shape), values.unflatten(0, begins.shape)

    def remember(self, observations: Mapping[str, torch.Tensor], lengths: torch.Tensor) -> Memory:
        """The memory after the first `lengths` (rows,) of observations (rows, time, ...), each row one episode."""
        rows, count = observations["genre"].shape
        if not count or not int(lengths.max()):
            return self.fresh(rows)
        begins = torch.zeros(rows, count, dtype=torch.bool, device=lengths.device)
        begins[:, 0] = True
        parts = []
        at_once = max(1, STEPS_AT_ONCE // count)
        for start in range(0, rows, at_once):
            some = slice(start, start + at_once)
            x, steps = self.embed({key: observations[key][some] for key in OBSERVED}, begins[some])
            parts.append(self.backbone.remember(x, steps, lengths[some]).state)
        return Memory(lengths, torch.cat(parts, dim=2))


def tensors_of(observations: Mapping[str, Any], device: torch.device, time: bool = False) -> dict[str, torch.Tensor]:
    """Observations as `SequenceNetwork` reads them: int64, (rows, ...) or with `time` (rows, time, ...) each."""
    axes = 2 if time else 1
    answer = {}
    for key in OBSERVED:
        tensor = torch.as_tensor(observations[key], device=device).long()
        answer[key] = tensor.flatten(axes) if key in ("place", "last") else tensor.reshape(tensor.shape[:axes])
    return answer
