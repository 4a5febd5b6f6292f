"""Metrics of pitch: entropy, scale, range."""

from __future__ import annotations

import numpy as np

from toccata.music.score import Score

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones above the tonic; natural minor scales are the same twelve sets


def pitch_class_entropy(score: Score) -> float:
    """Shannon entropy of the histogram of pitch classes, in bits, in [0, log2 12 = 3.585].

    Every note counts once, independent of its duration. Silence and one repeated note have 0.
    Source: Wu & Yang 2020, "The Jazz Transformer on the Front Line", section 5, pitch-class histogram
    entropy, with the whole piece as its window.
    """
    counts = np.sort(_pitch_class_counts(score))  # sorted, so that the sum does not depend on the transposition
    shares = counts[counts > 0] / max(len(score), 1)
    return float((shares * np.log2(1 / shares)).sum())


def scale_consistency(score: Score) -> float:
    """Share of the notes that belong to the best fitting major or natural minor scale, in [0, 1].

    At least 7/12 for a score with notes. Silence has 0.
    Source: Mogren 2016, "C-RNN-GAN", evaluation, scale consistency.
    """
    in_scale = np.zeros((12, 12), np.int64)  # (tonic, pitch class)
    for tonic in range(12):
        in_scale[tonic, (tonic + np.array(MAJOR_SCALE)) % 12] = 1
    return float((in_scale @ _pitch_class_counts(score)).max() / max(len(score), 1))


def pitch_range(score: Score) -> float:
    """Semitones from the lowest note to the highest, in [0, 127]; silence and a single note have 0.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", pitch range.
    """
    return float(np.ptp(score.notes["pitch"])) if len(score) else 0.0


def distinct_pitches(score: Score) -> float:
    """Number of different pitches, in [0, 128]; silence has 0.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", pitch count.
    """
    return float(len(np.unique(score.notes["pitch"])))


def _pitch_class_counts(score: Score) -> np.ndarray:
    """(12,) number of notes of each pitch class, C first."""
    return np.bincount(score.notes["pitch"] % 12, minlength=12)
