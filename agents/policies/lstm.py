"""A stack of LSTM layers over steps that can be run step by step or over whole sequences."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from toccata.agents.policies.cache import Memory, Steps


class Lstm(nn.Module):
    """A stack of long short-term memories (Hochreiter & Schmidhuber 1997).

    Args:
        width: of every layer, its inputs and outputs.
        layers: of the stack.
    """

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.LSTM(width, width, layers)
        self.norm = nn.LayerNorm(width)

    def fresh(self, rows: int) -> Memory:
        """The memory of `rows` rows that have not begun."""
        device = self.norm.weight.device
        state = torch.zeros(2, self.layers.num_layers, rows, self.layers.hidden_size, device=device)
        return Memory(torch.zeros(rows, dtype=torch.int64, device=device), state)

    def step(self, x: torch.Tensor, steps: Steps, memory: Memory) -> tuple[torch.Tensor, Memory]:
        """(rows, 1, width) out of the same, and what is remembered then."""
        begins = steps.begins[:, 0]
        hidden, cell = memory.state.masked_fill(begins[:, None], 0.0).unbind(0)
        out, states = x[:, 0], []
        for weights, *state in zip(self.layers.all_weights, hidden, cell, strict=True):
            out, cell_state = torch.lstm_cell(out, state, *weights)  # of the layers at once it repacks the weights
            states.append(torch.stack([out, cell_state]))
        lengths = memory.lengths.masked_fill(begins, 0) + 1
        return self.norm(out[:, None]), Memory(lengths, torch.stack(states, dim=1))

    def whole(self, x: torch.Tensor, steps: Steps, memory: Memory | None = None) -> torch.Tensor:
        """(rows, time, width) out of the same, where `memory` is of the episodes that go on from before."""
        return self._pass(x, steps.begins, memory, None)[0]

    def remember(self, x: torch.Tensor, steps: Steps, lengths: torch.Tensor) -> Memory:
        """The memory after the first `lengths` (rows,) of the steps; each row is one episode from its beginning."""
        begins = torch.zeros_like(steps.begins)
        begins[:, :1] = True
        state = self._pass(x, begins, None, lengths)[1]
        return replace(self.fresh(len(x)), lengths=lengths, state=state)

    def _pass(
        self, x: torch.Tensor, begins: torch.Tensor, memory: Memory | None, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The episodes of all rows side by side, the longest first, as far as so many of them go on.

        torch has a fast kernel for sequences of one length only; `PackedSequence` does not use it.
        """
        rows, count = begins.shape
        cuts = begins.clone()
        cuts[:, 0] = True
        row, start = cuts.nonzero(as_tuple=True)  # of each episode, or part of one, row by row
        end = torch.cat([start[1:], start.new_tensor([0])])
        end = torch.where(end == 0, count, end)
        if lengths is not None:
            end = lengths.clamp(min=1)  # each row is one episode; one that has not begun is cleared below
        span = end - start
        order = span.argsort(descending=True, stable=True)
        row, start, span = row[order], start[order], span[order]
        times = torch.arange(int(span[0]), device=x.device)
        inside = times[:, None] < span  # (time, episodes)
        index = (row * count + start + times[:, None])[inside]
        before = self.fresh(len(row)).state if memory is None else memory.state[:, :, row]
        goes_on = (start == 0) & ~begins[row, 0]
        state = before.masked_fill(~goes_on[:, None], 0.0)
        under_way, steps = inside.sum(dim=1).unique_consecutive(return_counts=True)
        made, ended = [], []
        for part, some in zip(
            x.flatten(0, 1)[index].split((under_way * steps).tolist()), under_way.tolist(), strict=True
        ):
            ended.append(state[:, :, some:])
            hidden, cell = state[:, :, :some].unbind(0)
            out, states = self.layers(part.unflatten(0, (-1, some)), (hidden.contiguous(), cell.contiguous()))
            state = torch.stack(list(states))
            made.append(out.flatten(0, 1))
        after = torch.cat([state, *ended[::-1]], dim=2)[:, :, order.argsort()]
        out = torch.cat(made)
        flat = x.new_zeros(rows * count, out.shape[-1]).to(out.dtype).index_copy(0, index, out)
        if lengths is not None:
            after = after.masked_fill((lengths == 0)[:, None], 0.0)
        return self.norm(flat.unflatten(0, (rows, count))), after
