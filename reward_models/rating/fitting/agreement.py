"""Agreement of predicted with observed popularity, a linear baseline, and the bound set by counting noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.reward_models.preferences import Preference, popularity
from toccata.stats import bootstrap_clusters, pearson, spearman

RIDGE_PENALTY = 10.0  # on standardised features; anything in 1..100 gives the same third digit
RESAMPLES = 500
DECILES = 10
NOISE_DRAWS = 20

TWO_BARS = 8 * TICKS_PER_BEAT
STEP = TICKS_PER_BEAT // 4  # a sixteenth
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])

FEATURES = (
    "log_notes",
    "mean_interval",
    "greatest_interval",
    "share_of_steps",
    "share_of_leaps",
    "share_of_repeats",
    "scale_fit",
    "pitch_class_entropy",
    "rhythm_entropy",
    "mean_duration",
    "share_of_rests",
    "range",
    "share_of_new_pitches",
    "net_rise",
    "share_of_turns",
    "share_on_beat",
    "last_onset",
)


@dataclass(frozen=True)
class Agreement:
    """Agreement of (n,) predictions with targets.

    Args:
        rank_correlation: Spearman's, in [-1, 1]; 0 for constant predictions.
        interval: its 95 % bootstrap interval, with groups resampled as clusters.
        correlation: Pearson's, in [-1, 1]; 0 for constant predictions.
        mean_squared_error: in units of the squared targets.
        pieces: n.
    """

    rank_correlation: float
    interval: tuple[float, float]
    correlation: float
    mean_squared_error: float
    pieces: int


def agreement(predictions: np.ndarray, targets: np.ndarray, groups: Sequence[str], seed: int = 0) -> Agreement:
    """Agreement of (n,) predictions with (n,) targets; `groups`, (n,), are the clusters of the bootstrap."""

    def rank_correlation(index: np.ndarray) -> float:
        return spearman(predictions[index], targets[index])

    interval = bootstrap_clusters(rank_correlation, groups, np.random.default_rng(seed), RESAMPLES)
    return Agreement(
        interval.mean,
        (interval.low, interval.high),
        pearson(predictions, targets),
        float(np.mean((predictions - targets) ** 2)),
        len(targets),
    )


def note_features(score: Score) -> np.ndarray:
    """(len(FEATURES),) float64 features of the melody, the highest note of each onset, for `ridge`; zeros for silence.

    Invariant to transposition and tempo. Intervals are in semitones, durations in sixteenths, entropies in bits,
    shares in [0, 1]; `log_notes` counts notes per two bars, `last_onset` is a share of the length.
    """
    notes = score.notes
    if not len(notes):
        return np.zeros(len(FEATURES))
    top = notes[np.append(np.diff(notes["onset_tick"]) > 0, True)]  # sorted by pitch within an onset
    pitch = top["pitch"].astype(np.int64)
    onset = top["onset_tick"].astype(np.int64)
    duration = top["duration_ticks"].astype(np.float64)
    intervals = np.diff(pitch)
    sizes = np.abs(intervals)
    turns = np.sign(intervals)
    classes = np.bincount(pitch % 12, duration, 12) / duration.sum()
    gaps = np.minimum(np.diff(onset) // STEP, 16)
    moves = max(len(intervals), 1)
    return np.array(
        [
            np.log(len(top) * TWO_BARS / score.length_ticks),
            sizes.sum() / moves,
            min(sizes.max(initial=0), 24),
            np.count_nonzero(sizes <= 2) / moves,
            np.count_nonzero(sizes > 7) / moves,
            np.count_nonzero(sizes == 0) / moves,
            max(classes[(MAJOR + key) % 12].sum() for key in range(12)),
            _entropy_bits(classes),
            _entropy_bits(np.bincount(gaps) / max(len(gaps), 1)),
            duration.mean() / STEP,
            1 - min(duration.sum() / score.length_ticks, 1),
            pitch.max() - pitch.min(),
            len(np.unique(pitch)) / len(pitch),
            pitch[-1] - pitch[0],
            np.count_nonzero(turns[1:] != turns[:-1]) / max(moves - 1, 1),
            np.count_nonzero(onset % TICKS_PER_BEAT == 0) / len(onset),
            onset[-1] / score.length_ticks,
        ]
    )


def ridge(features: np.ndarray, targets: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    """Predictions (m,) for `test_features` (m, k) of a ridge regression of (n,) targets on (n, k) features."""
    mean, scale = features.mean(0), features.std(0).clip(1e-9)
    x, offset = (features - mean) / scale, targets.mean()
    weights = np.linalg.solve(x.T @ x + RIDGE_PENALTY * np.eye(x.shape[1]), x.T @ (targets - offset))
    return offset + (test_features - mean) / scale @ weights


def calibration(predictions: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
    """Means of (n,) predictions and targets by decile of the prediction: `predicted`, `observed`, `pieces` of each.

    Fewer than ten pieces are one bin each.
    """
    bins = np.array_split(np.argsort(predictions, kind="stable"), min(DECILES, len(predictions)))
    return [
        {"predicted": float(predictions[b].mean()), "observed": float(targets[b].mean()), "pieces": len(b)}
        for b in bins
    ]


def noise_ceiling(preferences: Sequence[Preference], seed: int = 0) -> float:
    """Rank correlation of p with p of resampled counts, in [-1, 1]: an upper bound for predictions of p.

    Plays are resampled from Poisson and likes from binomial distributions with the observed rates; the result is the
    mean over `NOISE_DRAWS` draws. Only counting noise is included: who played a piece, and where, adds more.
    """
    rng = np.random.default_rng(seed)
    plays, likes = (np.array([getattr(p, name) for p in preferences]) for name in ("plays", "likes"))
    observed = np.array([preference.popularity for preference in preferences])
    correlations = []
    for _ in range(NOISE_DRAWS):
        new_plays = np.maximum(rng.poisson(plays), 1)
        new_likes = rng.binomial(new_plays, np.clip(likes / plays, 0, 1))
        resampled = [popularity(float(a), float(b)) for a, b in zip(new_likes, new_plays, strict=True)]
        correlations.append(spearman(observed, np.array(resampled)))
    return float(np.mean(correlations))


def _entropy_bits(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())
