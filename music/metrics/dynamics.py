"""Metrics of dynamics: mean, range and entropy of velocities."""

from __future__ import annotations

import numpy as np

from toccata.music.score import Score

BIN_VELOCITIES = 4  # in a bin of the entropy: 32 bins, as velocities in Oore et al. 2018


def velocity_mean(score: Score) -> float:
    """Mean velocity of the notes, in [1, 127], each note counted once; silence has 0."""
    return float(score.notes["velocity"].mean()) if len(score) else 0.0


def velocity_range(score: Score) -> float:
    """95th minus 5th percentile of the velocities, in [0, 126]; silence and a single velocity have 0.

    Percentiles are interpolated linearly, each note counts once.
    """
    low, high = np.percentile(score.notes["velocity"], (5, 95)) if len(score) else (0.0, 0.0)
    return float(high - low)


def velocity_entropy(score: Score) -> float:
    """Shannon entropy of the histogram of velocities in 32 bins of 4, in bits, in [0, 5]; silence has 0.

    Source of the bins: Oore et al. 2018, "This time with feeling: learning expressive musical performance".
    """
    counts = np.bincount(score.notes["velocity"] // BIN_VELOCITIES)
    shares = counts[counts > 0] / max(len(score), 1)
    return float((shares * np.log2(1 / shares)).sum())
