"""Metrics of one set of scores: diversity and the Vendi score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score


def diversity(scores: Sequence[Score]) -> np.ndarray:
    """(n,) mean distance of each score to the other scores of the set, in [0, 1]; 0 if all are equal.

    The distance of two scores is one minus the cosine similarity of their bigram counts. A bigram is two successive
    steps, and a step is the difference in semitones and ticks between a note and the one before, in order of onset and
    pitch, so the distance is invariant under transposition and shifts in time. Two scores without bigrams have distance
    0; one without and one with bigrams have distance 1. A single score has 0.
    Source: the mean pairwise distance that Friedman & Dieng 2023, "The Vendi Score", compare with, on bigram counts.
    """
    similarity = _similarity(scores)
    others = max(len(scores) - 1, 1)
    return np.maximum(0.0, (others - (similarity.sum(axis=1) - np.diag(similarity))) / others) * (len(scores) > 1)


def vendi_score(scores: Sequence[Score]) -> float:
    """The effective number of different scores in the set, in [1, n]; 0 of no score.

    The exponential of the entropy of the eigenvalues of the similarity matrix divided by n; the similarity is that of
    `diversity`. n equal scores have 1, n scores without a bigram in common have n. It grows with n: compare sets of one
    size.
    Source: Friedman & Dieng 2023, "The Vendi Score: A Diversity Evaluation Metric for Machine Learning", equation 2.
    """
    if not len(scores):
        return 0.0
    eigenvalues = np.linalg.eigvalsh(_similarity(scores) / len(scores))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.clip(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()), 1.0, len(scores)))


def _similarity(scores: Sequence[Score]) -> np.ndarray:
    """(n, n) cosine similarities of the bigram counts of scores, in [0, 1]; 1 on the diagonal."""
    vocabulary: dict[tuple[int, ...], int] = {}
    indices = []
    for score in scores:
        steps = steps_of(score)
        bigrams = np.concatenate([steps[:-1], steps[1:]], axis=1).tolist()
        indices.append([vocabulary.setdefault(tuple(bigram), len(vocabulary)) for bigram in bigrams])
    counts = np.zeros((len(scores), len(vocabulary) + 1))
    for row, score_indices in zip(counts, indices, strict=True):
        np.add.at(row, score_indices, 1.0)
        row[-1] = not score_indices
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    return np.clip(counts @ counts.T, 0.0, 1.0)


def steps_of(score: Score) -> np.ndarray:
    """(max(0, notes - 1), 2) int64: semitones and 24ths of a quarter from each note to the next, by onset and pitch."""
    steps = np.stack([np.diff(score.notes[name].astype(np.int64)) for name in ("pitch", "onset_tick")], axis=1)
    steps[:, 1] *= TICKS_PER_BEAT
    steps[:, 1] //= score.ticks_per_beat
    return steps
