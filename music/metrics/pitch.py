"""Metrics of pitch: entropy, scale, key, range."""

from __future__ import annotations

import numpy as np

from toccata.music.score import Score

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones above the tonic; natural minor scales are the same twelve sets
# How well each pitch class fits a key, in semitones above its tonic: Krumhansl & Kessler 1982, table in Krumhansl 1990.
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SAME_CORRELATION = 1e-9  # keys whose correlations differ by less fit equally well


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


def pitch_class_count(score: Score) -> float:
    """Number of different pitch classes, in [0, 12]; silence has 0.

    Source: Dong et al. 2018, "MuseGAN", objective metrics, used pitch classes, with the whole piece as its window.
    """
    return float(np.count_nonzero(_pitch_class_counts(score)))


def key_clarity(score: Score) -> float:
    """Correlation of the pitch classes, weighted by duration, with the profile of the best key, in [0, 1].

    Silence has 0, and so have notes that are spread evenly over the twelve pitch classes.
    Source: the algorithm of Krumhansl & Schmuckler (Krumhansl 1990, "Cognitive Foundations of Musical Pitch", chapter
    4), with the profiles of Krumhansl & Kessler 1982.
    """
    return float(np.clip(_key_correlations(score).max(), 0.0, 1.0))


def key(score: Score) -> str:
    """The key of `key_clarity`, such as "C major" or "Eb minor"; "" where no key fits better than another.

    Of keys that fit equally well it is the first in the order C major to B major, C minor to B minor.
    """
    keys = best_keys(score)
    if not keys:
        return ""
    return f"{PITCH_CLASSES[keys[0] % 12]} {'minor' if keys[0] >= 12 else 'major'}"


def best_keys(score: Score) -> list[int]:
    """The keys that fit equally well and best: 0 to 11 for C major to B major, 12 to 23 for the minor keys.

    Empty for silence and for notes that are spread evenly over the pitch classes.
    """
    correlations = _key_correlations(score)
    best = correlations.max()
    return np.flatnonzero(correlations >= best - SAME_CORRELATION).tolist() if best > SAME_CORRELATION else []


def _key_correlations(score: Score) -> np.ndarray:
    """(24,) Pearson correlations of the duration of each pitch class with the profile of each key; 0 if it is even."""
    durations = np.bincount(score.notes["pitch"] % 12, weights=score.notes["duration_ticks"], minlength=12)
    durations = durations - durations.mean()
    norm = np.linalg.norm(durations)
    return _PROFILES @ durations / norm if norm > 0 else np.zeros(24)


def _profiles() -> np.ndarray:
    """(24, 12) the profile of each key, of mean 0 and norm 1."""
    rows = np.array([np.roll(profile, tonic) for profile in (MAJOR_PROFILE, MINOR_PROFILE) for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


_PROFILES = _profiles()


def _pitch_class_counts(score: Score) -> np.ndarray:
    """(12,) number of notes of each pitch class, C first."""
    return np.bincount(score.notes["pitch"] % 12, minlength=12)
