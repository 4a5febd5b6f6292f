"""A causal transformer over steps that can be run step by step or over whole sequences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from toccata.agents.policies.cache import Memory, Steps

ROOM = 64  # steps that a memory has room for at first; it doubles when one needs more
LONGEST_WAVE_TICKS = 8192.0  # about 85 bars of 4/4: nothing that is attended to lies further away
SHORTEST_WAVE_TICKS = 12.0  # an eighth note
STEP_BASE = 1000.0  # of the rotary waves over steps: the longest is some 6,000 steps


class Block(nn.Module):
    """Self-attention, all heads of which share one key and one value (Shazeer 2019), then a feed-forward network.

    One key makes what is remembered of a step small, so that a step costs about as much late in a piece as early.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.norm = nn.LayerNorm(width)
        self.into = nn.Linear(width, width + 2 * self.head_width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def questions(self, x: torch.Tensor, waves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries (rows, time, heads, head width), and the one key and value (rows, time, head width)."""
        mixed = self.into(self.norm(x))
        queries, key, value = mixed.split([x.shape[-1], self.head_width, self.head_width], dim=-1)
        queries = queries.unflatten(-1, (self.heads, self.head_width))
        return rotated(queries, waves[:, :, None]), rotated(key, waves), value

    def answer(self, x: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """What the block makes of `x` (rows, time, width) with what its heads heard, of the same shape."""
        x = x + self.out(heard)
        return x + self.feed(x)


class Transformer(nn.Module):
    """A causal transformer with rotary positions (Su et al. 2021), half of them over steps and half over ticks.

    By the ticks it can look a beat or a bar back, however many steps that is.

    Args:
        width: of the residual stream; `heads` divides it into an even number of channels that is a multiple of 4.
        layers: blocks.
        heads: of attention.
    """

    waves_of_steps: torch.Tensor
    waves_of_ticks: torch.Tensor
    blocks: Sequence[Block]

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        if width % (4 * heads):
            raise ValueError(f"width must be a multiple of 4 * heads = {4 * heads}, got {width}")
        blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.blocks = blocks  # type: ignore[assignment]  # a ModuleList, which is of any modules
        self.norm = nn.LayerNorm(width)
        count = width // heads // 4
        rising = torch.arange(count, dtype=torch.float64) / max(count - 1, 1)
        shortest, longest = 2 * torch.pi / SHORTEST_WAVE_TICKS, 2 * torch.pi / LONGEST_WAVE_TICKS
        self.register_buffer("waves_of_steps", STEP_BASE**-rising, persistent=False)
        self.register_buffer("waves_of_ticks", shortest * (longest / shortest) ** rising, persistent=False)
        for block in self.blocks:  # the residual stream keeps its size, however deep (GPT-2)
            for last in (block.out, block.feed[-1]):
                nn.init.normal_(last.weight, std=0.02 / (2 * layers) ** 0.5)  # type: ignore[arg-type]  # of a Linear

    def waves(self, numbers: torch.Tensor, ticks: torch.Tensor) -> torch.Tensor:
        """(rows, time, 2, head width / 2) cosines and sines of the places of steps, given their numbers and ticks.

        In double precision until the end: at tick 10,000 a float32 is wrong by more than a thousandth of a wave.
        """
        angles = torch.cat(
            [numbers[..., None].double() * self.waves_of_steps, ticks[..., None].double() * self.waves_of_ticks], dim=-1
        )
        return torch.stack([angles.cos(), angles.sin()], dim=-2).float()

    def fresh(self, rows: int) -> Memory:
        """The memory of `rows` rows that have not begun."""
        block, device = self.blocks[0], self.norm.weight.device
        shape = len(self.blocks), 2, rows, ROOM, block.head_width
        return Memory(torch.zeros(rows, dtype=torch.int64, device=device), torch.zeros(shape, device=device))

    def step(self, x: torch.Tensor, steps: Steps, memory: Memory) -> tuple[torch.Tensor, Memory]:
        """(rows, 1, width) out of the same, and what is remembered then."""
        lengths = memory.lengths.masked_fill(steps.begins[:, 0], 0)
        most = int(lengths.max()) + 1
        state = memory.state
        if most > state.shape[3]:
            state = F.pad(state, (0, 0, 0, max(state.shape[3], most - state.shape[3])))
        rows = torch.arange(len(x), device=x.device)
        allowed = torch.arange(most, device=x.device) <= lengths[:, None]
        waves = self.waves(lengths[:, None], steps.ticks)
        for block, (keys, values) in zip(self.blocks, state, strict=True):
            queries, key, value = block.questions(x, waves)
            keys[rows, lengths], values[rows, lengths] = key[:, 0], value[:, 0]
            scores = queries[:, 0] @ keys[:, :most].transpose(1, 2) * block.head_width**-0.5  # (rows, heads, most)
            weights = scores.masked_fill(~allowed[:, None], -torch.inf).softmax(dim=-1)
            x = block.answer(x, (weights @ values[:, :most]).flatten(1)[:, None])
        return self.norm(x), Memory(lengths + 1, state)

    def whole(self, x: torch.Tensor, steps: Steps, memory: Memory | None = None) -> torch.Tensor:
        """(rows, time, width) out of the same, where `memory` is of the episodes that go on from before."""
        return self._pass(x, steps, memory)[0]

    def remember(self, x: torch.Tensor, steps: Steps, lengths: torch.Tensor) -> Memory:
        """The memory after the first `lengths` (rows,) of the steps; each row is one episode from its beginning."""
        return Memory(lengths, torch.stack([torch.stack(pair) for pair in self._pass(x, steps, None)[1]]))

    def _pass(self, x: torch.Tensor, steps: Steps, memory: Memory | None) -> tuple[torch.Tensor, list]:
        count, device = x.shape[1], x.device
        places = torch.arange(count, device=device)
        begun = places.where(steps.begins, -1).cummax(dim=1).values  # (rows, time): where its episode began; -1 before
        before = torch.zeros_like(begun[:, 0]) if memory is None else memory.lengths
        numbers = torch.where(begun < 0, before[:, None] + places, places - begun)
        waves = self.waves(numbers, steps.ticks)
        room = 0 if memory is None else int(memory.lengths.max())
        mask = None
        if room or bool((begun[:, -1:] > 0).any()):
            same = (begun[:, :, None] == begun[:, None, :]) & (places <= places[:, None])
            old = torch.arange(room, device=device) < before[:, None, None]
            mask = torch.cat([old & (begun < 0)[:, :, None], same], dim=2)[:, None]
        made = []
        for layer, block in enumerate(self.blocks):
            queries, key, value = block.questions(x, waves)
            made.append((key, value))
            if room and memory is not None:
                key = torch.cat([memory.state[layer, 0, :, :room].to(key.dtype), key], dim=1)
                value = torch.cat([memory.state[layer, 1, :, :room].to(value.dtype), value], dim=1)
            heard = F.scaled_dot_product_attention(
                queries.transpose(1, 2),
                key[:, None].expand(-1, block.heads, -1, -1),
                value[:, None].expand(-1, block.heads, -1, -1),
                attn_mask=mask,
                is_causal=mask is None,
            )
            x = block.answer(x, heard.transpose(1, 2).flatten(2))
        return self.norm(x), made


def rotated(x: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """`x` (..., channels), pairs of whose channels are turned by `waves` (..., 2, channels / 2)."""
    cosine, sine = waves.to(x.dtype).unbind(dim=-2)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
