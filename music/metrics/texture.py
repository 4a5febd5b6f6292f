"""Metrics of texture: polyphony, playability."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from toccata.music.metrics.rhythm import covered_ticks
from toccata.music.reduction import fits_two_hands
from toccata.music.score import Score


def polyphony(score: Score) -> float:
    """Mean number of notes that sound at once, over the ticks with sound, in [1, 128]; silence has 0.

    Source: Dong et al. 2020, "MusPy: A Toolkit for Symbolic Music Generation", objective metrics, polyphony.
    """
    ticks = covered_ticks(score.notes["onset_tick"], score.offset_ticks)
    return float(score.notes["duration_ticks"].sum(dtype=np.int64) / ticks) if ticks else 0.0


def playability(score: Score) -> float:
    """Share of the ticks with sound whose notes two hands can hold together, in [0, 1]; silence has 1.

    Each hand has five fingers and a span of 14 semitones; the speed of its movements is not limited.
    Source: the constraint of this project's piano, `toccata.music.reduction.fits_two_hands`.
    """
    ticks, sounding = _sounding(score)
    pitches = np.nonzero(sounding)[1].tolist()
    ends = np.cumsum(sounding.sum(1))
    chords = [pitches[start:end] for start, end in pairwise([0, *ends.tolist()])]
    with_sound = ticks[sounding.any(1)].sum()
    playable = ticks[[bool(chord) and fits_two_hands(chord) for chord in chords]].sum()
    return float(playable / with_sound) if with_sound else 1.0


def _sounding(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Segments in which the sounding pitches do not change: ticks (segments,), pitches (segments, 128) bool."""
    onset, offset, pitch = score.notes["onset_tick"], score.offset_ticks, score.notes["pitch"]
    edges, index = np.unique(np.concatenate((onset, offset)), return_inverse=True)
    change = np.zeros((len(edges), 128), np.int8)
    np.add.at(change, (index[: len(onset)], pitch), 1)
    np.add.at(change, (index[len(onset) :], pitch), -1)
    return np.diff(edges), np.cumsum(change, axis=0, dtype=np.int8)[:-1].astype(bool)
