"""A causal transformer with rotary positions over steps, ticks, bars and pitch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from toccata.agents.policies.cache import Cache, Steps

INITIAL_CAPACITY = 64  # steps that a cache has room for at first; it doubles when one needs more
LONGEST_PERIOD_TICKS = 8192.0  # about 85 bars of 4/4: nothing that is attended to lies further away
SHORTEST_PERIOD_TICKS = 12.0  # an eighth note
STEP_BASE = 1000.0  # of the rotary frequencies over steps: the longest period is some 6,000 steps
SHORTEST_PERIOD_BARS = 0.25  # the others are 2, 4, 8 ... times as long
LONGEST_PERIOD_SEMITONES = 128.0
SHORTEST_WIDE_PERIOD_SEMITONES = 36.0  # of the periods that tell registers apart; the others are parts of an octave


class Block(nn.Module):
    """Multi-query self-attention (Shazeer 2019: one key and value for all heads), then a feed-forward network.

    One key a step keeps the cache small, so that a step costs about as much late in a piece as early.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, width + 2 * self.head_width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def qkv(self, x: torch.Tensor, rotary: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (rows, time, heads, head width), and the shared key and value (rows, time, head width)."""
        mixed = self.to_qkv(self.norm(x))
        queries, key, value = mixed.split([x.shape[-1], self.head_width, self.head_width], dim=-1)
        queries = queries.unflatten(-1, (self.heads, self.head_width))
        return apply_rotary(queries, rotary[:, :, None]), apply_rotary(key, rotary), value

    def residual(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """(rows, time, width): `x` plus the projected attention output `attended` (same shape), plus the MLP."""
        x = x + self.to_out(attended)
        return x + self.mlp(x)


class Transformer(nn.Module):
    """A causal transformer with rotary positions (Su et al. 2021): over steps, ticks, bars and pitch, a quarter each.

    Ticks and bars let it attend a beat or a bar back, however many steps that is and whatever the metre. The position
    in pitch is the highest key of the latest onset: attention can compare keys by their interval, as in any key.
    `step`, `forward` and `prefill` give the same numbers for the same steps.

    Args:
        width: of the residual stream, a multiple of 4 * heads.
        layers: number of blocks.
        heads: of attention.

    Raises:
        ValueError: for a width that is no such multiple.
    """

    step_frequencies: torch.Tensor
    tick_frequencies: torch.Tensor
    bar_frequencies: torch.Tensor
    pitch_frequencies: torch.Tensor
    blocks: Sequence[Block]

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        if width % (4 * heads):
            raise ValueError(f"width must be a multiple of 4 * heads = {4 * heads}, got {width}")
        blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.blocks = blocks  # type: ignore[assignment]  # a ModuleList, which is of any modules
        self.norm = nn.LayerNorm(width)
        pairs = width // heads // 2  # of channels that are rotated
        steps, ticks, bars, pitches = ((pairs + rest) // 4 for rest in (3, 2, 1, 0))
        periods = {
            "step": geometric(1.0, STEP_BASE ** ((steps - 1) / max(steps, 1)), steps) * 2 * torch.pi,
            "tick": geometric(SHORTEST_PERIOD_TICKS, LONGEST_PERIOD_TICKS, ticks),
            "bar": SHORTEST_PERIOD_BARS * 2.0 ** torch.arange(bars),
            "pitch": pitch_periods(pitches),
        }
        for name, period in periods.items():
            self.register_buffer(f"{name}_frequencies", 2 * torch.pi / period.double(), persistent=False)
        for block in self.blocks:  # the residual stream keeps its size, however deep (GPT-2)
            for last in (block.to_out, block.mlp[-1]):
                nn.init.normal_(last.weight, std=0.02 / (2 * layers) ** 0.5)  # type: ignore[arg-type]  # of a Linear

    def rotary(self, step: torch.Tensor, steps: Steps) -> torch.Tensor:
        """(rows, time, 2, head width / 2) cosines and sines of positions, given step numbers (rows, time).

        In double precision until the end: at tick 10,000 a float32 angle is off by more than a thousandth of a period.
        """
        ticks = steps.ticks.double()
        positions = (
            (step.double(), self.step_frequencies),
            (ticks, self.tick_frequencies),
            (ticks / steps.bar_ticks.clamp(min=1), self.bar_frequencies),
            (steps.top.double(), self.pitch_frequencies),
        )
        angles = torch.cat([position[..., None] * frequencies for position, frequencies in positions], dim=-1)
        return torch.stack([angles.cos(), angles.sin()], dim=-2).float()

    def empty_cache(self, rows: int) -> Cache:
        """The cache of `rows` rows before their first step."""
        block, device = self.blocks[0], self.norm.weight.device
        shape = len(self.blocks), 2, rows, INITIAL_CAPACITY, block.head_width
        return Cache(torch.zeros(rows, dtype=torch.int64, device=device), torch.zeros(shape, device=device))

    def step(self, x: torch.Tensor, steps: Steps, cache: Cache) -> tuple[torch.Tensor, Cache]:
        """One step: (rows, 1, width) to the same shape, and the cache after it."""
        lengths = cache.lengths.masked_fill(steps.episode_starts[:, 0], 0)
        most = int(lengths.max()) + 1 if cache.room is None else cache.room
        state = cache.state
        if most > state.shape[3]:
            state = F.pad(state, (0, 0, 0, max(state.shape[3], most - state.shape[3])))
        rows = torch.arange(len(x), device=x.device)
        allowed = torch.arange(most, device=x.device) <= lengths[:, None]
        rotary = self.rotary(lengths[:, None], steps)
        for block, (keys, values) in zip(self.blocks, state, strict=True):
            queries, key, value = block.qkv(x, rotary)
            keys[rows, lengths], values[rows, lengths] = key[:, 0], value[:, 0]
            scores = queries[:, 0] @ keys[:, :most].transpose(1, 2) * block.head_width**-0.5  # (rows, heads, most)
            weights = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(dim=-1)
            x = block.residual(x, (weights @ values[:, :most]).flatten(1)[:, None])
        return self.norm(x), Cache(lengths + 1, state, cache.room)

    def forward(self, x: torch.Tensor, steps: Steps, cache: Cache | None = None) -> torch.Tensor:
        """Sequences in one pass: (rows, time, width) to the same shape.

        `cache` is of the episodes that were under way before the first step.
        """
        return self._attend(x, steps, cache)[0]

    def prefill(self, x: torch.Tensor, steps: Steps, lengths: torch.Tensor) -> Cache:
        """The cache after the first `lengths` (rows,) of the steps; each row is one episode from its start."""
        keys_and_values = self._attend(x, steps, None)[1]
        return Cache(lengths, torch.stack([torch.stack(pair) for pair in keys_and_values]))

    def _attend(self, x: torch.Tensor, steps: Steps, cache: Cache | None) -> tuple[torch.Tensor, list]:
        """(rows, time, width), and the key and value (rows, time, head width) of every layer."""
        count, device = x.shape[1], x.device
        positions = torch.arange(count, device=device)
        # (rows, time): where the episode of each step begins in its row; -1 for one that began before
        start = positions.where(steps.episode_starts, -1).cummax(dim=1).values
        before = torch.zeros_like(start[:, 0]) if cache is None else cache.lengths
        numbers = torch.where(start < 0, before[:, None] + positions, positions - start)
        rotary = self.rotary(numbers, steps)
        has_room = cache is not None and cache.room is not None  # then nothing here depends on a number on the device
        cached = 0 if cache is None else int(cache.lengths.max()) if cache.room is None else cache.room
        mask = None
        if has_room or cached or bool((start[:, -1:] > 0).any()):
            same_episode = (start[:, :, None] == start[:, None, :]) & (positions <= positions[:, None])
            in_cache = torch.arange(cached, device=device) < before[:, None, None]
            mask = torch.cat([in_cache & (start < 0)[:, :, None], same_episode], dim=2)[:, None]
        keys_and_values = []
        for layer, block in enumerate(self.blocks):
            queries, key, value = block.qkv(x, rotary)
            keys_and_values.append((key, value))
            if cached and cache is not None:
                key = torch.cat([cache.state[layer, 0, :, :cached].to(key.dtype), key], dim=1)
                value = torch.cat([cache.state[layer, 1, :, :cached].to(value.dtype), value], dim=1)
            attended = F.scaled_dot_product_attention(
                queries.transpose(1, 2),
                key[:, None].expand(-1, block.heads, -1, -1),
                value[:, None].expand(-1, block.heads, -1, -1),
                attn_mask=mask,
                is_causal=mask is None,
            )
            x = block.residual(x, attended.transpose(1, 2).flatten(2))
        return self.norm(x), keys_and_values


def geometric(shortest: float, longest: float, count: int) -> torch.Tensor:
    """(count,) float64 from `shortest` to `longest` in equal ratios."""
    rising = torch.arange(count, dtype=torch.float64) / max(count - 1, 1)
    return shortest * (longest / shortest) ** rising


def pitch_periods(count: int) -> torch.Tensor:
    """(count,) float64 semitones: a quarter tells registers apart, the others pitch classes, as parts of an octave."""
    wide = count // 4
    octave_parts = 12 / torch.arange(1, count - wide + 1, dtype=torch.float64)
    return torch.cat([geometric(SHORTEST_WIDE_PERIOD_SEMITONES, LONGEST_PERIOD_SEMITONES, wide), octave_parts])


def apply_rotary(x: torch.Tensor, rotary: torch.Tensor) -> torch.Tensor:
    """`x` (..., channels) with pairs of channels rotated by `rotary` (..., 2, channels / 2)."""
    cosine, sine = rotary.to(x.dtype).unbind(dim=-2)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
