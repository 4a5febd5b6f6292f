"""The network of the sequence policies and priors: the actions so far in, logits of the next action and a value out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from toccata.agents.policies.cache import Cache, Steps
from toccata.agents.policies.distribution import JointDistribution, chord_shapes
from toccata.agents.policies.lstm import Lstm
from toccata.agents.policies.transformer import Transformer
from toccata.agents.policies.wavenet import Wavenet
from toccata.envs.instrument import Piano
from toccata.music.score import TICKS_PER_BEAT
from toccata.settings.genres import GENRES, check_genres

NO_GENRE = -1  # genre index of unconditional music, whose embedding is the last row
MAX_BEATS = 16  # beats of a bar that have an embedding of their own
MAX_BARS = 32  # bars finished, and bars left, that have an embedding of their own
PREFILL_STEPS = 65_536  # in one pass of a prefill: all steps of thousands of pianos would need tens of gigabytes
OBSERVATION_KEYS = ("place", "top", "last", "genre")  # what is read of `PianoEnv`'s observation="actions"


@dataclass(frozen=True)
class NetworkConfig:
    """Kind and size of a sequence network.

    Args:
        backbone: a key of `BACKBONES`.
        width: channels of a layer.
        layers: how many.
        heads: of a transformer's attention.
        genres: names of the genres it is conditioned on, in the order of their index.

    Raises:
        ValueError: for a field outside its range, naming it.
    """

    backbone: str = "transformer"
    width: int = 192
    layers: int = 5
    heads: int = 3
    genres: tuple[str, ...] = GENRES

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {self.backbone!r}")
        for name, most in (("width", 4096), ("layers", 64), ("heads", 64)):
            size = getattr(self, name)
            if type(size) is not int or not 1 <= size <= most:
                raise ValueError(f"{name} must be a whole number in 1..{most}, got {size!r}")
        object.__setattr__(self, "genres", check_genres(self.genres))  # a tuple, where a file has a list


BACKBONES: dict[str, Callable[[NetworkConfig], Transformer | Lstm | Wavenet]] = {
    "transformer": lambda config: Transformer(config.width, config.layers, config.heads),
    "lstm": lambda config: Lstm(config.width, config.layers),
    "wavenet": lambda config: Wavenet(config.width, config.layers),
}
DEFAULT_NETWORKS = {  # of equal size, about two million parameters
    "transformer": NetworkConfig(),
    "lstm": NetworkConfig("lstm", 328, 2),
    "wavenet": NetworkConfig("wavenet", 176, 10),
}


class SequenceNetwork(nn.Module):
    """Embeddings of actions and of positions in the piece, a causal backbone, and three heads.

    The heads give the logits of `what`, the logits of `value` for each kind of `what`, and the value function. Notes
    are scored by key, by pitch class, and by their interval from the highest key of the latest onset, so that what is
    learnt in one octave or key transfers to all.

    Args:
        piano: the instrument.
        config: of the backbone.

    Attributes:
        amp: `forward` computes the backbone in bfloat16 by autocast, and the heads, whose logits need more digits, in
            float32.
    """

    chord_lowest: torch.Tensor
    chord_shape: torch.Tensor
    class_of_what: torch.Tensor
    class_of_top: torch.Tensor

    def __init__(self, piano: Piano, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.amp = False
        self.keys = piano.keys
        width = config.width
        distribution = JointDistribution(piano)
        self.what = nn.Embedding(distribution.whats, width)
        self.value = nn.Embedding(distribution.values, width)
        self.pitch_class = nn.Embedding(13, width)  # of the last action's lowest note, and 12: none
        self.top = nn.Embedding(self.keys + 1, width)
        self.top_class = nn.Embedding(13, width)
        self.begin = nn.Embedding(1, width)
        self.tick = nn.Embedding(TICKS_PER_BEAT, width)
        self.beat = nn.Embedding(MAX_BEATS, width)
        self.bar_beats = nn.Embedding(MAX_BEATS + 1, width)
        self.bars_finished = nn.Embedding(MAX_BARS, width)
        self.bars_left = nn.Embedding(MAX_BARS + 1, width)
        self.genre = nn.Embedding(len(config.genres) + 1, width)  # and unconditional music, `NO_GENRE`
        for embedding in self.children():
            nn.init.normal_(embedding.weight, std=0.1)  # type: ignore[arg-type]  # an Embedding, all of them so far
        self.backbone = BACKBONES[config.backbone](config)

        chord_lowest = torch.as_tensor(piano.chord_pitches[:, 0].astype(np.int64)) - piano.lowest
        shapes = chord_shapes(piano)
        self.register_buffer("chord_lowest", chord_lowest, persistent=False)  # (chords,) key index of the lowest note
        self.register_buffer("chord_shape", torch.as_tensor(shapes), persistent=False)  # (chords,)
        key_class = (torch.arange(self.keys) + piano.lowest) % 12
        chord_class = key_class[chord_lowest]
        none = torch.tensor([12])
        self.register_buffer("class_of_what", torch.cat([none, key_class, chord_class]), persistent=False)  # (whats,)
        self.register_buffer("class_of_top", torch.cat([none, key_class]), persistent=False)  # (keys + 1,)
        self.intervals = 2 * self.keys - 1
        self.chord_logits = 12 * (int(shapes.max()) + 1 if len(shapes) else 0)  # by shape and interval modulo an octave
        self.value_logits = distribution.kinds * distribution.values
        self.actor = nn.Linear(width, 1 + 12 + self.keys + self.intervals + self.chord_logits + self.value_logits)
        nn.init.normal_(self.actor.weight, std=0.01)
        nn.init.zeros_(self.actor.bias)
        self.critic = nn.Sequential(nn.Linear(width, width), nn.GELU(approximate="tanh"), nn.Linear(width, 1))

    @property
    def vocabulary(self) -> tuple[int, int, int]:
        """How many whats, values and keys the network distinguishes; equal for networks of one piano."""
        return self.what.num_embeddings, self.value.num_embeddings, self.keys

    def embed(
        self, observations: Mapping[str, torch.Tensor], episode_starts: torch.Tensor
    ) -> tuple[torch.Tensor, Steps]:
        """Embeddings (rows, time, width) of observations (rows, time, ...), and where they stand."""
        tick, bar_ticks, finished, left = observations["place"].long().unbind(dim=-1)
        what, value = observations["last"].long().unbind(dim=-1)
        last_action = self.what(what) + self.pitch_class(self.class_of_what[what]) + self.value(value)
        top = observations["top"].long()
        genre = observations["genre"].long()
        x = (
            torch.where(episode_starts[..., None], self.begin.weight[0], last_action)
            + self.top(top)
            + self.top_class(self.class_of_top[top])
            + self.tick(tick % TICKS_PER_BEAT)
            + self.beat((tick // TICKS_PER_BEAT).clamp(max=MAX_BEATS - 1))
            + self.bar_beats((bar_ticks // TICKS_PER_BEAT).clamp(max=MAX_BEATS))
            + self.bars_finished(finished.clamp(max=MAX_BARS - 1))
            + self.bars_left(left.clamp(max=MAX_BARS))
            + self.genre(torch.where(genre == NO_GENRE, len(self.config.genres), genre))
        )
        return x, Steps(episode_starts, finished * bar_ticks + tick, bar_ticks, top)

    def heads(self, x: torch.Tensor, top: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of `JointDistribution` (steps, whats + kinds * values) and values (steps,), of `x` (steps, width)."""
        out = self.actor(x)
        rest, by_class, by_key, by_interval, by_chord, values = out.split(
            [1, 12, self.keys, self.intervals, self.chord_logits, self.value_logits], dim=-1
        )
        reference = torch.where(top > 0, top - 1, self.keys // 2)[:, None]  # before the first note, the middle
        intervals = torch.arange(self.keys, device=x.device) - reference + self.keys - 1
        chords = self.chord_shape * 12 + (self.chord_lowest - reference) % 12
        by_key = by_key + by_interval.gather(1, intervals)
        notes = torch.cat([by_key, by_chord.gather(1, chords)], dim=-1) + by_class[:, self.class_of_what[1:]]
        logits = torch.cat([rest, notes, values], dim=-1)
        return logits.float(), self.critic(x).squeeze(-1).float()

    # Three ways to run it, which give the same numbers for the same steps

    def empty_cache(self, rows: int) -> Cache:
        """The cache of `rows` rows before their first step."""
        return self.backbone.empty_cache(rows)

    def step(
        self, observations: Mapping[str, torch.Tensor], episode_starts: torch.Tensor, cache: Cache
    ) -> tuple[torch.Tensor, torch.Tensor, Cache]:
        """One step of every row.

        Args:
            observations: (rows, ...) each, of `PianoEnv` with `observation="actions"`.
            episode_starts: (rows,) bool, whose episode begins with this step; their cache is dropped.
            cache: of the steps before.

        Returns:
            logits (rows, whats + kinds * values), values (rows,), and the cache after this step. It shares storage with
            `cache`: a second step from that one overwrites the first.
        """
        x, steps = self.embed({key: observations[key][:, None] for key in OBSERVATION_KEYS}, episode_starts[:, None])
        x, cache = self.backbone.step(x, steps, cache)
        return *self.heads(x[:, 0], observations["top"].long()), cache

    def forward(
        self, observations: Mapping[str, torch.Tensor], episode_starts: torch.Tensor, cache: Cache | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Whole sequences in one causal pass.

        Args:
            observations: (rows, time, ...) each.
            episode_starts: (rows, time) bool, the steps with which an episode begins; a row may hold several.
            cache: of the episodes that were under way before; no gradient goes into it. None: there were none.

        Returns:
            logits (rows, time, whats + kinds * values) and values (rows, time).
        """
        x, steps = self.embed(observations, episode_starts)
        with torch.autocast(x.device.type, torch.bfloat16) if self.amp else nullcontext():
            x = self.backbone(x, steps, cache)
        x = x.float() if self.amp else x
        logits, values = self.heads(x.flatten(0, 1), observations["top"].long().flatten())
        return logits.unflatten(0, episode_starts.shape), values.unflatten(0, episode_starts.shape)

    def prefill(self, observations: Mapping[str, torch.Tensor], lengths: torch.Tensor) -> Cache:
        """The cache after the first `lengths` (rows,) of observations (rows, time, ...), each row one episode."""
        rows, count = observations["genre"].shape
        if not count or not int(lengths.max()):
            return self.empty_cache(rows)
        episode_starts = torch.zeros(rows, count, dtype=torch.bool, device=lengths.device)
        episode_starts[:, 0] = True
        states = []
        at_once = max(1, PREFILL_STEPS // count)
        for start in range(0, rows, at_once):
            some = slice(start, start + at_once)
            x, steps = self.embed({key: observations[key][some] for key in OBSERVATION_KEYS}, episode_starts[some])
            states.append(self.backbone.prefill(x, steps, lengths[some]).state)
        return Cache(lengths, torch.cat(states, dim=2))


def with_genres(network: SequenceNetwork, genres: Sequence[str]) -> SequenceNetwork:
    """The network for other genres: itself if they are its own, else a copy.

    A genre keeps its embedding; that of a new one begins at the mean of the network's genres. Those that `genres` has
    not are left out. Unconditional music keeps its own.
    """
    known = network.config.genres
    if tuple(genres) == known:
        return network
    rows = network.genre.weight.detach()
    mean = rows[: len(known)].mean(dim=0)
    weight = torch.stack([*(rows[known.index(name)] if name in known else mean for name in genres), rows[-1]])
    extended = copy.deepcopy(network)
    extended.config = replace(network.config, genres=tuple(genres))
    extended.genre = nn.Embedding.from_pretrained(weight, freeze=not network.genre.weight.requires_grad)
    return extended.to(rows.device)  # a copied LSTM is in pieces on a GPU


def tensors_of(observations: Mapping[str, Any], device: torch.device, time: bool = False) -> dict[str, torch.Tensor]:
    """Observations as `SequenceNetwork` takes them: int64, (rows, ...) or with `time` (rows, time, ...) each."""
    axes = 2 if time else 1
    tensors = {}
    for key in OBSERVATION_KEYS:
        tensor = torch.as_tensor(observations[key], device=device).long()
        tensors[key] = tensor.flatten(axes) if key in ("place", "last") else tensor.reshape(tensor.shape[:axes])
    return tensors


def episode_starts_of(observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Bool, of the shape of observations["genre"]: steps with which an episode begins.

    Only then the clock stands at 0 and the last action started no note.
    """
    place, last = observations["place"], observations["last"]
    return (place[..., 0] == 0) & (place[..., 2] == 0) & (last[..., 0] == 0)
