"""Metrics of repetition: repeated notes and loops."""

from __future__ import annotations

import numpy as np

from toccata.music.score import Score

LONGEST_LOOP = 4  # onsets: a turn or an Alberti figure. Longer repeats are ordinary musical form


def repeated_note_rate(score: Score) -> float:
    """Share of the onsets, from the second on, that repeat the onset before, in [0, 1].

    An onset is the set of pitches that begin at one tick. Only an equal set repeats it, independent of the time between
    them, so one repeated note or chord has 1. Fewer than two onsets, and so silence, have 0.
    Source: defined for this project, after "notes excessively repeated" of Jaques et al. 2017, "Tuning Recurrent
    Neural Networks with Reinforcement Learning" (one voice, runs of more than four), for chords and without a
    threshold.
    """
    onsets = _onsets(score)
    return float((onsets[1:] == onsets[:-1]).all(1).mean()) if len(onsets) > 1 else 0.0


def loop_rate(score: Score) -> float:
    """Share of the onsets, from the second on, that end a figure played twice in a row, in [0, 1].

    Onset i ends one if, for some period p from 1 to `LONGEST_LOOP`, the p onsets up to i equal the p before them.
    Period 1 is `repeated_note_rate`; period 2 detects trills (one of n onsets has (n - 3) / (n - 1)); 3 and 4 detect
    short figures, with which an agent can avoid a penalty on repeated notes. Fewer than two onsets, and so silence,
    have 0.
    Source: defined for this project.
    """
    onsets = _onsets(score)
    looped = np.zeros(len(onsets), bool)
    for period in range(1, min(LONGEST_LOOP, len(onsets) // 2) + 1):
        equal = (onsets[period:] == onsets[:-period]).all(1)  # onset period + j against onset j
        run = np.lib.stride_tricks.sliding_window_view(equal, period).all(1)
        looped[2 * period - 1 :] |= run
    return float(looped.sum() / (len(onsets) - 1)) if len(onsets) > 1 else 0.0


def _onsets(score: Score) -> np.ndarray:
    """(onsets, 16) uint8, one row per tick at which a note begins, one bit per pitch that begins there."""
    ticks, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    begins = np.zeros((len(ticks), 128), bool)
    begins[index, score.notes["pitch"]] = True
    return np.packbits(begins, axis=1)
