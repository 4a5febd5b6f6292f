"""What a causal backbone keeps of the steps before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch


class Steps(NamedTuple):
    """Where steps stand; every tensor is (rows, time)."""

    begins: torch.Tensor  # bool: an episode begins with this step
    ticks: torch.Tensor  # int64: since the beginning of its episode


@dataclass(frozen=True)
class Memory:
    """What each row remembers of its episode so far.

    Attributes:
        lengths: (rows,) int64 steps that are remembered.
        state: of a `Transformer` (layers, 2, rows, room, head width), keys and values; of an `Lstm` (2, layers, rows,
            width), hidden and cell state. `Transformer.step` writes its next entry into it, behind what is remembered.
    """

    lengths: torch.Tensor
    state: torch.Tensor

    def __getitem__(self, rows: torch.Tensor) -> Memory:
        """What some rows (k,) remember."""
        return Memory(self.lengths[rows], self.state[:, :, rows])
