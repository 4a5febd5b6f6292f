"""Note features of a melody, for the ridge regression that is the baseline of a rating network."""

from __future__ import annotations

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

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


def note_features(score: Score) -> np.ndarray:
    """(len(FEATURES),) float64 features of the melody, the highest note of each onset; zeros for silence.

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


def _entropy_bits(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())
