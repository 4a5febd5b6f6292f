"""Metrics of repetition: repeated notes and loops."""

from __future__ import annotations

import numpy as np

from toccata.music.score import Score

LONGEST_LOOP = 4  # strikes: a turn or an Alberti figure. Longer repeats are ordinary musical form


def repeated_note_rate(score: Score) -> float:
    """Share of the strikes, from the second on, that repeat the strike before them, in [0, 1].

    A strike is the set of pitches that begin at one tick; only an equal set repeats it, whatever time has
    passed, so one note or one chord struck for ever has 1. Fewer than two strikes, and so silence, have 0.
    Source: made for this project, after "notes excessively repeated" of Jaques et al. 2017, "Tuning Recurrent
    Neural Networks with Reinforcement Learning" (one voice, runs of more than four), for chords and without a
    threshold.
    """
    strikes = _strikes(score)
    return float((strikes[1:] == strikes[:-1]).all(1).mean()) if len(strikes) > 1 else 0.0


def loop_rate(score: Score) -> float:
    """Share of the strikes, from the second on, that end a figure played twice in a row, in [0, 1].

    Strike i ends one if, for some period p from 1 to `LONGEST_LOOP`, the p strikes up to i equal the p before
    them. Period 1 is `repeated_note_rate`; 2 finds the trill (n strikes of it have (n - 3) / (n - 1)); 3
    and 4 find figures turning on the spot, a way round penalties on repeated notes. Fewer than two strikes,
    and so silence, have 0.
    Source: made for this project.
    """
    strikes = _strikes(score)
    looped = np.zeros(len(strikes), bool)
    for period in range(1, min(LONGEST_LOOP, len(strikes) // 2) + 1):
        equal = (strikes[period:] == strikes[:-period]).all(1)  # strike period + j against strike j
        run = np.lib.stride_tricks.sliding_window_view(equal, period).all(1)
        looped[2 * period - 1 :] |= run
    return float(looped.sum() / (len(strikes) - 1)) if len(strikes) > 1 else 0.0


def _strikes(score: Score) -> np.ndarray:
    """(strikes, 16) uint8, a bit per pitch that begins, one row per tick at which any begins."""
    onsets, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    struck = np.zeros((len(onsets), 128), bool)
    struck[index, score.notes["pitch"]] = True
    return np.packbits(struck, axis=1)
