"""The batches that a prior is fitted to: chunks of recorded passages, in rows of one each or packed."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from toccata.agents.policies.sequence_network import NO_GENRE
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.likelihood import TENSORS, Batch, batch_of
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Piece

CHUNK_NOTES = 100_000  # of passages that are recorded together: fewer would be slower a step
LENGTH_JITTER = 8.0  # steps of noise on the lengths that batches are sorted by, so that their composition varies
PREFETCH = 2  # chunks that each worker process makes ahead


@dataclass(frozen=True)
class Chunks(Dataset):
    """Random passages in numbered chunks, each a list of batches.

    A chunk depends on its number and the fields alone, not on the process that makes it or on the chunks before it.

    Args:
        dataset: of the passages.
        genres: of the network.
        epoch_notes: notes of the passages of an epoch, which is `per_epoch` chunks; about as many, as passages are
            whole.
        batch_steps: steps in a batch, the padding included.
        genre_dropout: share of passages whose genre is replaced by `NO_GENRE`.
        seed: of the passages.
        row_steps: steps in a row of packed passages; 0: the rows have a passage each, of similar length in a batch.
    """

    dataset: PassageDataset | ExcerptDataset
    genres: Sequence[str]
    epoch_notes: int
    batch_steps: int
    genre_dropout: float
    seed: int
    row_steps: int = 0

    @property
    def per_epoch(self) -> int:
        """Chunks in an epoch."""
        return max(1, round(self.epoch_notes / CHUNK_NOTES))

    def __getitem__(self, number: int) -> list[Batch]:
        """Chunk `number`, counted from the first epoch on. If it is packed, one batch of all its rows."""
        rng = np.random.default_rng([self.seed, number])
        pieces: list[Piece] = []
        notes = 0
        while notes < self.epoch_notes / self.per_epoch:
            pieces += self.dataset.sample(1, rng)
            notes += max(1, len(pieces[-1].score))
        trajectories = record_trajectories(pieces, self.dataset.piano, self.genres)
        trajectories.observations["genre"][rng.random(len(pieces)) < self.genre_dropout] = NO_GENRE
        if self.row_steps:
            return [packed(trajectories, self.row_steps, rng)]
        return [batch_of(trajectories, rows) for rows in bucketed(trajectories.lengths, self.batch_steps, rng)]


def load_chunks(chunks: Chunks, first: int, end: int, workers: int = 0) -> Iterator[list[Batch]]:
    """The chunks `first` to `end`, the latter left out, in order; the same for any number of worker processes."""
    if not workers:
        return map(chunks.__getitem__, range(first, end))
    return iter(
        DataLoader(
            chunks,
            batch_size=None,
            sampler=range(first, end),
            num_workers=workers,
            prefetch_factor=PREFETCH,
            worker_init_fn=_ignore_interrupts,
            generator=torch.Generator(),  # else it would draw from the global one
        )
    )


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C is for the main process, which then stops its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def epoch_batches(loaded: Iterator[list[Batch]], chunks: Chunks) -> Iterator[tuple[float, Batch]]:
    """The batches of the next epoch of loaded chunks, each with the fraction of the epoch that is done after it.

    Packed batches all have `batch_steps` steps, so that a network can be compiled for their shape: the last rows that
    fill none are left out, unless they are the only ones.
    """
    rows_per_batch = max(1, chunks.batch_steps // chunks.row_steps) if chunks.row_steps else 0
    waiting: Batch | None = None
    given = 0
    for number, batches in enumerate(islice(loaded, chunks.per_epoch)):
        if chunks.row_steps:
            waiting = joined([*([waiting] if waiting else []), *batches])
            is_last = number + 1 == chunks.per_epoch and not given
            count = len(waiting.actions) // rows_per_batch or is_last
            batches = [
                waiting.each(itemgetter(slice(i * rows_per_batch, (i + 1) * rows_per_batch))) for i in range(count)
            ]
            waiting = waiting.each(itemgetter(slice(count * rows_per_batch, None)))
        for i, batch in enumerate(batches):
            given += 1
            yield (number + (i + 1) / len(batches)) / chunks.per_epoch, batch


def bucketed(lengths: np.ndarray, batch_steps: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Partition sequences into batches of similar length, in random order.

    A batch has at most `batch_steps` steps when it is padded to its longest; a longer sequence is a batch by itself.

    Args:
        lengths: (n,) steps of each sequence.
        batch_steps: steps in a batch, the padding included.
        rng: random number generator.

    Yields:
        (k,) int64 indices of a batch.
    """
    order = np.argsort(lengths + rng.uniform(0, LENGTH_JITTER, len(lengths)))
    batches: list[list[int]] = [[]]
    longest = 0
    for index in order:
        longest = max(longest, int(lengths[index]))
        if batches[-1] and (len(batches[-1]) + 1) * longest > batch_steps:
            batches.append([])
            longest = int(lengths[index])
        batches[-1].append(int(index))
    for number in rng.permutation(len(batches)):
        yield np.array(batches[number])


def packed(trajectories: Trajectories, row_steps: int, rng: np.random.Generator) -> Batch:
    """All trajectories in rows of `row_steps` steps, one after the other, with little padding; rows in random order.

    Each goes into the fullest row with room for it, the longest first; what is longer than a row is cut.
    """
    lengths = np.minimum(trajectories.lengths, row_steps)
    room: list[int] = []  # of each row
    row_of, start_of = np.empty(len(lengths), np.int64), np.empty(len(lengths), np.int64)
    for i in np.argsort(-lengths, kind="stable").tolist():
        fitting = [row for row, steps in enumerate(room) if steps >= lengths[i]]
        row = min(fitting, key=room.__getitem__, default=len(room))
        if row == len(room):
            room.append(row_steps)
        row_of[i], start_of[i] = row, row_steps - room[row]
        room[row] -= int(lengths[i])
    row_of = rng.permutation(len(room))[row_of]

    piece, step = np.nonzero(np.arange(trajectories.actions.shape[1]) < lengths[:, None])
    place = row_of[piece], start_of[piece] + step

    def in_rows(values: np.ndarray, dtype: np.dtype | type | None = None) -> torch.Tensor:
        out = np.zeros((len(room), row_steps, *values.shape[2:]), dtype or values.dtype)
        out[place] = values[piece, step]
        return torch.from_numpy(out)

    inside = np.zeros((len(room), row_steps), np.bool_)
    inside[place] = True
    episode_starts = ~inside  # each step of the padding by itself, so that nothing attends to it
    episode_starts[row_of, start_of] = True
    return Batch(
        {key: in_rows(each, np.int32) for key, each in trajectories.observations.items()},
        torch.from_numpy(episode_starts),
        in_rows(trajectories.actions, np.int16),
        in_rows(trajectories.masks),
        torch.from_numpy(inside),
        packed=True,
    )


def joined(batches: Sequence[Batch]) -> Batch:
    """The rows of several packed batches."""
    observations = {key: torch.cat([each.observations[key] for each in batches]) for key in batches[0].observations}
    others: dict[str, Any] = {name: torch.cat([getattr(each, name) for each in batches]) for name in TENSORS}
    return batches[0]._replace(observations=observations, **others)
