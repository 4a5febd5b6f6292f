"""What a causal backbone is given about each step, and what it keeps of the steps before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch


class Steps(NamedTuple):
    """Where steps stand in their episodes; every tensor is (rows, time)."""

    episode_starts: torch.Tensor  # bool: an episode begins with this step
    ticks: torch.Tensor  # int64: since the beginning of its episode
    bar_ticks: torch.Tensor  # int64: of a bar
    top: torch.Tensor  # int64: the highest key of the latest onset, counted from 1; 0 before the first


@dataclass(frozen=True)
class Cache:
    """What a backbone keeps of each row's episode: as keys and values, as a state, or as inputs of layers.

    Attributes:
        lengths: (rows,) int64 steps of the episode so far.
        state: of a `Transformer` (layers, 2, rows, capacity, head width), keys and values; of an `Lstm` (2, layers,
            rows, width), hidden and cell state; of a `Wavenet` (1, slots, rows, width), the latest inputs of its
            layers. The steps of `Transformer` and `Wavenet` write their next entry in place.
        room: no length exceeds it, nor does one in the next step; at most the capacity. None: `lengths` is read where
            such a bound is needed, for which a program waits for its GPU.
    """

    lengths: torch.Tensor
    state: torch.Tensor
    room: int | None = None

    def __getitem__(self, rows: torch.Tensor) -> Cache:
        """The cache of some rows (k,)."""
        return Cache(self.lengths[rows], self.state[:, :, rows], self.room)

    def put(self, rows: torch.Tensor, other: Cache) -> Cache:
        """A copy in which the rows `rows` (k,) are those of `other`, which has k."""
        states = [self.state, other.state]
        room = max(state.shape[3] for state in states)  # of a transformer the capacity; of the others all are equal
        state, new = (
            torch.cat([each, each.new_zeros(*each.shape[:3], room - each.shape[3], *each.shape[4:])], dim=3)
            for each in states
        )
        state[:, :, rows] = new
        return Cache(self.lengths.index_copy(0, rows, other.lengths), state)

    def clone(self) -> Cache:
        """A copy whose steps do not write into this one."""
        return Cache(self.lengths, self.state.clone(), self.room)
