"""An index of the n-grams of a corpus, and the passages that a piece shares with its works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from toccata.music.originality.cardinality import Points, points_of
from toccata.music.originality.fingerprints import Fingerprints
from toccata.music.originality.ngrams import NGRAM, VOICES, Events, events_of, ngram_hashes
from toccata.music.score import Score


class Passage(NamedTuple):
    """A passage that a piece and a work have in common, up to transposition and note values."""

    notes: int  # of the piece
    work: str  # name
    piece_bars: tuple[int, int]  # first and last, counted from 1
    work_bars: tuple[int, int]  # likewise
    voice: str  # "melody" or "texture"


class Shared(NamedTuple):
    """What a piece shares with the works of an index."""

    found: dict[str, np.ndarray]  # by voice (n-grams of the piece,) bool: whether some work has it
    counts: np.ndarray  # (works,) int64, n-grams of the piece that each has, of both voices
    longest: np.ndarray  # (works,) int64, notes of the longest shared passage; 0 without a shared n-gram
    passage: Passage | None  # the longest of all


@dataclass(frozen=True)
class _Voice:
    """The n-grams of all works in one voice, e onsets in all."""

    hashes: np.ndarray  # (n,) uint64, ascending
    onsets: np.ndarray  # (n,) int64, number of the onset with which each begins; ascending among equal hashes
    works: np.ndarray  # (e,) int64, number of the work of each onset
    bars: np.ndarray  # (e,) int64, bar of each onset in its work, from 1


@dataclass(frozen=True)
class OriginalityIndex:
    """The n-grams and notes of the works of a corpus; made by `build`.

    Attributes:
        names: of the works.
        points: their notes, as `cardinality_score` compares them.
        fingerprints: which of them are worth comparing.
    """

    names: tuple[str, ...]
    points: tuple[Points, ...]
    fingerprints: Fingerprints
    _voices: dict[str, _Voice]

    def __len__(self) -> int:
        """Number of works."""
        return len(self.names)

    @classmethod
    def build(cls, scores: Sequence[Score], names: Sequence[str]) -> OriginalityIndex:
        """An index of works; it takes about a millisecond a work.

        Args:
            scores: whole works. A piece that is compared must not be among them.
            names: of each, as they are reported.

        Raises:
            ValueError: when there are not as many names as scores.
        """
        if len(scores) != len(names):
            raise ValueError(f"there are {len(scores)} scores, but {len(names)} names")
        voices = {voice: _voice(scores, [events_of(score, voice) for score in scores]) for voice in VOICES}
        points = tuple(points_of(score) for score in scores)
        return cls(tuple(names), points, Fingerprints.build(points), voices)

    def shared(self, score: Score) -> Shared:
        """What a piece shares with the works."""
        found: dict[str, np.ndarray] = {}
        counts, longest = np.zeros(len(self), np.int64), np.zeros(len(self), np.int64)
        passage: Passage | None = None
        for name, voice in self._voices.items():
            events = events_of(score, name)
            hashes = ngram_hashes(events)
            first, end = (np.searchsorted(voice.hashes, hashes, side) for side in ("left", "right"))
            found[name] = end > first
            notes, place = _passages(voice, events, first, end, counts, longest)
            if place is not None and (passage is None or notes > passage.notes):
                piece_first, work_first, length = place
                bars = events.onset_ticks // score.ticks_per_bar + 1
                passage = Passage(
                    notes,
                    self.names[voice.works[work_first]],
                    (int(bars[piece_first]), int(bars[piece_first + length - 1])),
                    (int(voice.bars[work_first]), int(voice.bars[work_first + length - 1])),
                    name,
                )
        return Shared(found, counts, longest, passage)


def _voice(scores: Sequence[Score], events: Sequence[Events]) -> _Voice:
    """The sorted n-grams of works, given by their onsets."""
    sizes = [len(each.tops) for each in events]
    bars = [each.onset_ticks // score.ticks_per_bar + 1 for score, each in zip(scores, events, strict=True)]
    hashes = [ngram_hashes(each) for each in events]
    starts = np.cumsum([0, *sizes])
    onsets = [start + np.arange(len(each)) for start, each in zip(starts, hashes, strict=False)]
    all_hashes = np.concatenate([np.empty(0, np.uint64), *hashes])
    order = np.argsort(all_hashes, kind="stable")
    return _Voice(
        all_hashes[order],
        np.concatenate([np.empty(0, np.int64), *onsets])[order],
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate([np.empty(0, np.int64), *bars]),
    )


def _passages(
    voice: _Voice, events: Events, first: np.ndarray, end: np.ndarray, counts: np.ndarray, longest: np.ndarray
) -> tuple[int, tuple[int, int, int] | None]:
    """Find all shared passages: runs of n-grams that follow each other both in the piece and in a work.

    Two n-grams that follow each other share six times between onsets, so that a passage has one ratio of note values.

    Args:
        voice: of the works.
        events: of the piece.
        first: (n-grams of the piece,) where its equals begin in `voice.hashes`.
        end: likewise, where they end.
        counts: (works,) increased by the n-grams that each work has.
        longest: (works,) raised to the notes of the longest passage with each work.

    Returns:
        notes of the longest passage, and its place: first onset in the piece, first onset in all works, and number of
        onsets; None if there is none.
    """
    notes_before = np.concatenate([[0], np.cumsum(events.counts)])
    best, place = 0, None
    before, lengths_before = np.empty(0, np.int64), np.empty(0, np.int64)  # of the n-gram before
    for i in range(len(first)):
        onsets = voice.onsets[first[i] : end[i]]
        lengths = np.ones(len(onsets), np.int64)  # n-grams of the run that ends at each
        if len(onsets) and len(before):
            at = np.minimum(np.searchsorted(before, onsets - 1), len(before) - 1)
            lengths += np.where(before[at] == onsets - 1, lengths_before[at], 0)
        before, lengths_before = onsets, lengths
        if not len(onsets):
            continue
        notes = notes_before[i + NGRAM] - notes_before[i - lengths + 1]
        works = voice.works[onsets]
        starts = np.flatnonzero(np.diff(works, prepend=-1))  # onsets ascend, and so do their works
        counts[works[starts]] += 1
        longest[works[starts]] = np.maximum(longest[works[starts]], np.maximum.reduceat(notes, starts))
        top = int(np.argmax(notes))
        if notes[top] > best:
            best, length = int(notes[top]), int(lengths[top])
            place = (i - length + 1, int(onsets[top]) - length + 1, length + NGRAM - 1)
    return best, place
