"""A stack of dilated causal convolutions over steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from toccata.agents.policies.cache import Cache, Steps

DILATIONS = 10  # layers of a cycle: dilations of 1, 2, 4 ... 512 steps, then from 1 again (the paper, section 2.1)


class Layer(nn.Module):
    """A causal convolution over two steps, `dilation` apart, with a gated activation.

    The sigmoid gates the tanh; a linear layer then gives what is added to the residual stream, and what is added to
    the output of the network (skip connection). Source: equation 2 and figure 4 of the paper.
    """

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Linear(2 * width, 2 * width)  # of the step `dilation` before and the step itself
        self.out = nn.Linear(width, 2 * width)

    def forward(self, x: torch.Tensor, past: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The residual stream after this layer and its skip output, of `x` and its past (..., width)."""
        signal, gate = self.conv(torch.cat([past, x], dim=-1)).chunk(2, dim=-1)
        residual, skip = self.out(signal.tanh() * gate.sigmoid()).chunk(2, dim=-1)
        return x + residual, skip


class Wavenet(nn.Module):
    """Dilated causal convolutions (van den Oord et al. 2016, "WaveNet: A generative model for raw audio").

    An output depends on the last `receptive_field` steps of its episode. Steps before the beginning of the episode
    count as zeros. The sum of the skip outputs passes two linear layers with ReLU, as in the paper, and a LayerNorm, as
    in the other backbones. `step`, `forward` and `prefill` give the same numbers for the same steps.

    Args:
        width: channels of every layer, of the residual stream and of the skip outputs.
        layers: number of convolutions.
    """

    layers: Sequence[Layer]
    dilations: torch.Tensor  # (layers,) int64
    first_slots: torch.Tensor  # (layers,) int64, index of each layer's first slot in the cache

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        stack = nn.ModuleList(Layer(width, 2 ** (number % DILATIONS)) for number in range(layers))
        self.layers = stack  # type: ignore[assignment]  # a ModuleList, which is of any modules
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        dilations = torch.tensor([layer.dilation for layer in self.layers])
        self.register_buffer("dilations", dilations, persistent=False)
        # A layer keeps its last `dilation` inputs, and the newest one, in a ring of the cache's slots
        self.register_buffer("first_slots", (dilations + 1).cumsum(0) - (dilations + 1), persistent=False)

    @property
    def receptive_field(self) -> int:
        """Steps that an output depends on: its own, and those before."""
        return 1 + sum(layer.dilation for layer in self.layers)

    def empty_cache(self, rows: int) -> Cache:
        """The cache of `rows` rows before their first step."""
        device = self.norm.weight.device
        slots = self.receptive_field - 1 + len(self.layers)
        state = torch.zeros(1, slots, rows, len(self.norm.weight), device=device)
        return Cache(torch.zeros(rows, dtype=torch.int64, device=device), state)

    def step(self, x: torch.Tensor, steps: Steps, cache: Cache) -> tuple[torch.Tensor, Cache]:
        """One step: (rows, 1, width) to the same shape, and the cache after it."""
        lengths = cache.lengths.masked_fill(steps.episode_starts[:, 0], 0)
        rows = torch.arange(len(x), device=x.device)
        dilations = self.dilations[:, None]
        state = cache.state[0]
        past = state[self._slots(lengths - dilations), rows]  # (layers, rows, width)
        past = past.masked_fill((lengths < dilations)[..., None], 0.0)
        stream, inputs, skips = x[:, 0], [], torch.zeros_like(x[:, 0])
        for layer, of_layer in zip(self.layers, past, strict=True):
            inputs.append(stream)
            stream, skip = layer(stream, of_layer)
            skips = skips + skip
        state[self._slots(lengths.expand(len(inputs), -1)), rows] = torch.stack(inputs)
        return self._output(skips)[:, None], Cache(lengths + 1, cache.state, cache.room)

    def forward(self, x: torch.Tensor, steps: Steps, cache: Cache | None = None) -> torch.Tensor:
        """Sequences in one pass: (rows, time, width) to the same shape.

        `cache` is of the episodes that were under way before the first step.
        """
        return self._run(x, steps.episode_starts, cache)[0]

    def prefill(self, x: torch.Tensor, steps: Steps, lengths: torch.Tensor) -> Cache:
        """The cache after the first `lengths` (rows,) of the steps; each row is one episode from its start."""
        inputs = self._run(x, steps.episode_starts, None)[1]
        rows = torch.arange(len(x), device=x.device)
        state = []
        for layer, of_layer in zip(self.layers, inputs, strict=True):
            size = layer.dilation + 1
            slots = torch.arange(size, device=x.device)[:, None]
            latest = lengths - 1 - (lengths - 1 - slots) % size  # (slots, rows) the last step that was put there
            state.append(of_layer[rows, latest.clamp(min=0)])
        return Cache(lengths, torch.cat(state)[None])

    def _slots(self, numbers: torch.Tensor) -> torch.Tensor:
        """(layers, rows) int64, slots of the inputs of steps `numbers` (layers, rows) of their episodes.

        A ring has one slot more than its layer looks back, so that a step can be repeated from one cache.
        """
        return self.first_slots[:, None] + numbers % (self.dilations[:, None] + 1)

    def _run(
        self, x: torch.Tensor, episode_starts: torch.Tensor, cache: Cache | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(rows, time, width), and the inputs of every layer, of the same shape."""
        count, device = x.shape[1], x.device
        positions = torch.arange(count, device=device)
        # (rows, time): where the episode of each step begins in its row; -1 for one that began before
        start = positions.where(episode_starts, -1).cummax(dim=1).values
        before = torch.zeros_like(start[:, 0]) if cache is None else cache.lengths
        numbers = torch.where(start < 0, before[:, None] + positions, positions - start)
        inputs, skips = [], torch.zeros_like(x)
        for number, layer in enumerate(self.layers):
            inputs.append(x)
            past = F.pad(x, (0, 0, layer.dilation, 0))[:, :count]
            if cache is not None:
                seen = min(layer.dilation, count)
                past = torch.cat([self._cached(cache, number, layer.dilation, seen), past[:, seen:]], dim=1)
            x, skip = layer(x, past.masked_fill((numbers < layer.dilation)[..., None], 0.0))
            skips = skips + skip
        return self._output(skips), inputs

    def _cached(self, cache: Cache, number: int, dilation: int, count: int) -> torch.Tensor:
        """(rows, count, width), of the cache the inputs of layer `number` from `dilation` steps before the end on."""
        numbers = cache.lengths[:, None] - dilation + torch.arange(count, device=cache.lengths.device)
        slots = self.first_slots[number] + numbers % (dilation + 1)
        return cache.state[0, slots, torch.arange(len(slots), device=slots.device)[:, None]]

    def _output(self, skips: torch.Tensor) -> torch.Tensor:
        """The output of the sum of the skip outputs (..., width)."""
        return self.norm(self.head(skips))
