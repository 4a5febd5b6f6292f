"""A stack of LSTM layers over steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from toccata.agents.policies.cache import Cache, Steps


class Lstm(nn.Module):
    """A stack of long short-term memories (Hochreiter & Schmidhuber 1997).

    `step`, `forward` and `prefill` give the same numbers for the same steps.

    Args:
        width: of every layer, its inputs and outputs.
        layers: of the stack.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)
        self.norm = nn.LayerNorm(width)

    def empty_cache(self, rows: int) -> Cache:
        """The cache of `rows` rows before their first step."""
        device = self.norm.weight.device
        state = torch.zeros(2, self.lstm.num_layers, rows, self.lstm.hidden_size, device=device)
        return Cache(torch.zeros(rows, dtype=torch.int64, device=device), state)

    def step(self, x: torch.Tensor, steps: Steps, cache: Cache) -> tuple[torch.Tensor, Cache]:
        """One step: (rows, 1, width) to the same shape, and the cache after it."""
        starts = steps.episode_starts[:, 0]
        hidden, cell = cache.state.masked_fill(starts[:, None], 0.0).unbind(0)
        out, states = x[:, 0], []
        for weights, *state in zip(self.lstm.all_weights, hidden, cell, strict=True):
            out, cell_state = torch.lstm_cell(out, state, *weights)  # of the layers at once it repacks the weights
            states.append(torch.stack([out, cell_state]))
        lengths = cache.lengths.masked_fill(starts, 0) + 1
        return self.norm(out[:, None]), Cache(lengths, torch.stack(states, dim=1), cache.room)

    def forward(self, x: torch.Tensor, steps: Steps, cache: Cache | None = None) -> torch.Tensor:
        """Sequences in one pass: (rows, time, width) to the same shape.

        `cache` is of the episodes that were under way before the first step.
        """
        return self._run(x, steps.episode_starts, cache, None)[0]

    def prefill(self, x: torch.Tensor, steps: Steps, lengths: torch.Tensor) -> Cache:
        """The cache after the first `lengths` (rows,) of the steps; each row is one episode from its start."""
        starts = torch.zeros_like(steps.episode_starts)
        starts[:, :1] = True
        state = self._run(x, starts, None, lengths)[1]
        return replace(self.empty_cache(len(x)), lengths=lengths, state=state)

    def _run(
        self, x: torch.Tensor, episode_starts: torch.Tensor, cache: Cache | None, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs (rows, time, width), and the state after the last step, or after `lengths` steps, of each row.

        Episodes are batched by descending length. Each call of the LSTM covers the steps up to the end of the shortest
        of the remaining episodes, so that all its sequences have one length: the fast kernel of torch needs that, and
        `PackedSequence` does not use it.
        """
        rows, count = episode_starts.shape
        cuts = episode_starts.clone()
        cuts[:, 0] = True
        row, start = cuts.nonzero(as_tuple=True)  # of each episode, or part of one, row by row
        end = torch.cat([start[1:], start.new_tensor([0])])
        end = torch.where(end == 0, count, end)
        if lengths is not None:
            end = lengths.clamp(min=1)  # each row is one episode; one of length 0 is cleared below
        span = end - start
        order = span.argsort(descending=True, stable=True)
        row, start, span = row[order], start[order], span[order]
        times = torch.arange(int(span[0]), device=x.device)
        inside = times[:, None] < span  # (time, episodes)
        index = (row * count + start + times[:, None])[inside]
        before = self.empty_cache(len(row)).state if cache is None else cache.state[:, :, row]
        goes_on = (start == 0) & ~episode_starts[row, 0]
        state = before.masked_fill(~goes_on[:, None], 0.0)
        under_way, steps = inside.sum(dim=1).unique_consecutive(return_counts=True)
        outputs, ended = [], []
        for part, some in zip(
            x.flatten(0, 1)[index].split((under_way * steps).tolist()), under_way.tolist(), strict=True
        ):
            ended.append(state[:, :, some:])
            hidden, cell = state[:, :, :some].unbind(0)
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # a GPU has the digits of `step` then
                out, states = self.lstm(part.unflatten(0, (-1, some)), (hidden.contiguous(), cell.contiguous()))
            state = torch.stack(list(states))
            outputs.append(out.flatten(0, 1))
        after = torch.cat([state, *ended[::-1]], dim=2)[:, :, order.argsort()]
        out = torch.cat(outputs)
        flat = x.new_zeros(rows * count, out.shape[-1]).to(out.dtype).index_copy(0, index, out)
        if lengths is not None:
            after = after.masked_fill((lengths == 0)[:, None], 0.0)
        return self.norm(flat.unflatten(0, (rows, count))), after
