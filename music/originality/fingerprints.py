"""Which works of a corpus may have a passage: votes for translations, by geometric hashing of triples of notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toccata.music.originality.cardinality import WINDOW_TICKS, Points

MAX_VOTES = 30_000  # of a passage, for the triples that are rarest in the corpus
LONGEST_TRIPLE = 2**15  # ticks from one note to the next: 340 bars of 4/4


class Triples(NamedTuple):
    """Three successive notes of the highest or the lowest line of a passage; n of them."""

    keys: np.ndarray  # (n,) int64, the two intervals and the two times between them
    ticks: np.ndarray  # (n,) int64, onset of the first note
    pitches: np.ndarray  # (n,) int64, of the first note


@dataclass(frozen=True)
class Fingerprints:
    """The triples of all works; made by `build`.

    Source: Arzt, Böck & Widmer 2012, "Fast Identification of Piece and Score Position via Symbolic Fingerprinting",
    ISMIR, with votes for translations in time and pitch, as tempi are equal here.
    """

    keys: np.ndarray  # (n,) int64, ascending
    ticks: np.ndarray  # (n,) int64, of the first note, the works one after the other
    pitches: np.ndarray  # (n,) int64, of the first note
    works: np.ndarray  # (n,) int64, number of the work

    @classmethod
    def build(cls, works: Sequence[Points]) -> Fingerprints:
        """The triples of the notes of works."""
        triples = [triples_of(work) for work in works]
        lengths = [int(work.ticks[-1]) + 2 * WINDOW_TICKS if len(work.ticks) else 0 for work in works]
        starts = np.cumsum([0, *lengths])
        none = np.empty(0, np.int64)
        keys = np.concatenate([none, *(each.keys for each in triples)])
        ticks = np.concatenate([none, *(each.ticks + start for each, start in zip(triples, starts, strict=False))])
        pitches = np.concatenate([none, *(each.pitches for each in triples)])
        numbers = np.repeat(np.arange(len(works)), [len(each.keys) for each in triples])
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], ticks[order], pitches[order], numbers[order])

    def candidates(self, window: Points, most: int) -> np.ndarray:
        """(k,) numbers of the works, at most `most`, in which some translation has the most triples of a passage."""
        triples = triples_of(window)
        first, end = (np.searchsorted(self.keys, triples.keys, side) for side in ("left", "right"))
        counts = np.minimum(end - first, MAX_VOTES)  # at the least the first places of the rarest triple have votes
        rare = np.argsort(counts, kind="stable")
        rare = rare[np.cumsum(counts[rare]) <= MAX_VOTES]
        counts = counts[rare]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        hits = np.repeat(first[rare], counts) + within
        rows = np.repeat(rare, counts)
        translations = (self.ticks[hits] - triples.ticks[rows]) * 256 + self.pitches[hits] - triples.pitches[rows]
        _, index, votes = np.unique(translations, return_index=True, return_counts=True)
        works = self.works[hits[index[np.argsort(-votes, kind="stable")[: 8 * most]]]]
        return works[np.sort(np.unique(works, return_index=True)[1])][:most]


def triples_of(points: Points) -> Triples:
    """The triples of the highest and of the lowest note of each onset; those with long rests are left out."""
    last = np.flatnonzero(np.diff(points.ticks, append=-1))  # pitches ascend at one onset
    first = np.concatenate([[0], last[:-1] + 1]).astype(np.int64)[: len(last)]
    lines = [last] if np.array_equal(first, last) else [last, first]
    triples = [_triples(points.ticks[line], points.pitches[line]) for line in lines]
    return Triples(*(np.concatenate(each) for each in zip(*triples, strict=True)))


def _triples(ticks: np.ndarray, pitches: np.ndarray) -> Triples:
    """The triples of one line."""
    times, intervals = np.diff(ticks), np.diff(pitches) + 128
    keys = (((intervals[:-1] << 8) + intervals[1:] << 16) + times[:-1] << 16) + times[1:]
    near = np.maximum(times[:-1], times[1:]) < LONGEST_TRIPLE
    return Triples(keys[near], ticks[:-2][near], pitches[:-2][near])
