"""Diversity of a set of scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score


def diversity(scores: Sequence[Score]) -> np.ndarray:
    """(n,) how unlike each score is to the others of a set, in [0, 1]: their mean is 0 when all are the same.

    One minus the cosine similarity of the counts of successive pairs of steps, in the mean over the other scores. A
    step is how many semitones and ticks a note lies from the one before, in order of onset and pitch, so neither a
    transposition nor a shift in time tells scores apart. Two scores without such pairs are the same, one without is
    wholly unlike one with. A single score has 0.
    Source: the mean pairwise distance that Friedman & Dieng 2023, "The Vendi Score", compare with, on bigram counts.
    """
    vocabulary: dict[tuple[int, ...], int] = {}
    counted = []
    for score in scores:
        steps = np.stack([np.diff(score.notes[name].astype(np.int64)) for name in ("pitch", "onset_tick")], axis=1)
        steps[:, 1] *= TICKS_PER_BEAT
        steps[:, 1] //= score.ticks_per_beat
        pairs = np.concatenate([steps[:-1], steps[1:]], axis=1).tolist()
        counted.append([vocabulary.setdefault(tuple(pair), len(vocabulary)) for pair in pairs])
    counts = np.zeros((len(scores), len(vocabulary) + 1))
    for row, pairs in zip(counts, counted, strict=True):
        np.add.at(row, pairs, 1.0)
        row[-1] = not pairs
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    alike = np.clip(counts @ counts.T, 0.0, 1.0)
    others = max(len(scores) - 1, 1)
    return np.maximum(0.0, (others - (alike.sum(axis=1) - np.diag(alike))) / others) * (len(scores) > 1)
