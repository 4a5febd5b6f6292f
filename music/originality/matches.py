"""How much each piece of a set shares with the works of a corpus, and the means of the set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.music.originality.cardinality import cardinality_score, points_of, windows_of
from toccata.music.originality.index import OriginalityIndex, Passage, Shared
from toccata.music.originality.ngrams import NGRAM
from toccata.music.score import Score
from toccata.stats import Interval, bootstrap_mean

CANDIDATES = 8  # works whose notes are compared with those of a passage


@dataclass(frozen=True)
class Match:
    """What a piece shares with the works of a corpus.

    Attributes:
        longest_passage: notes of the longest passage shared with any work; 0 if no n-gram of eight onsets is.
        shared_ngram_share: share of the n-grams of the piece's melody that some work has, in [0, 1]; 0 of a melody of
            fewer than eight notes.
        originality_score: one minus the largest cardinality score of a passage of 16 beats, with the works that
            its fingerprints name, in [0, 1]. 1 where they name none, and of passages of fewer than eight notes.
        passage: the longest one; None if there is none.
        nearest_work: name of the work that has most of the n-grams, of melody and texture; of several the one with the
            longest passage. None if there is none.
        coinciding_work: name of the work of the largest cardinality score, the first of several. It is found where so
            many notes of a copy are changed that no n-gram is left. None if there is none.
    """

    longest_passage: int
    shared_ngram_share: float
    originality_score: float
    passage: Passage | None
    nearest_work: str | None
    coinciding_work: str | None


METRICS = ("longest_passage", "shared_ngram_share", "originality_score")  # the numbers of a `Match`


def originality(pieces: Sequence[Score], index: OriginalityIndex) -> list[Match]:
    """What each piece shares with the works of an index, which must not contain the pieces themselves."""
    return [_match(piece, index) for piece in pieces]


def metric_values(matches: Sequence[Match]) -> dict[str, np.ndarray]:
    """(n,) float64 of each of the `METRICS`."""
    return {name: np.array([getattr(match, name) for match in matches], float) for name in METRICS}


def summary(matches: Sequence[Match], rng: np.random.Generator) -> dict[str, Interval]:
    """The mean of each of the `METRICS` with its 95 % bootstrap interval; empty of no piece."""
    return {name: bootstrap_mean(values, rng) for name, values in metric_values(matches).items() if len(values)}


def _match(piece: Score, index: OriginalityIndex) -> Match:
    shared = index.shared(piece)
    melody = shared.found["melody"]
    scores = [
        (cardinality_score(window, index.points[work]), -int(work))
        for window in windows_of(points_of(piece))
        if len(window.ticks) >= NGRAM
        for work in index.fingerprints.candidates(window, CANDIDATES)
    ]
    largest, number = max(scores, default=(0.0, 0))
    return Match(
        longest_passage=shared.passage.notes if shared.passage else 0,
        shared_ngram_share=float(melody.mean()) if len(melody) else 0.0,
        originality_score=1.0 - largest,
        passage=shared.passage,
        nearest_work=_nearest(shared, index),
        coinciding_work=index.names[-number] if scores else None,
    )


def _nearest(shared: Shared, index: OriginalityIndex) -> str | None:
    """The name of the work that has most n-grams of a piece, of several the one with the longest passage."""
    if not shared.counts.any():
        return None
    return index.names[np.lexsort((-shared.longest, -shared.counts))[0]]
