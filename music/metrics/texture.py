"""Metrics of texture: polyphony, playability."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from toccata.music.metrics.rhythm import covered_ticks
from toccata.music.reduction import fits_two_hands
from toccata.music.score import Score


def polyphony(score: Score) -> float:
    """Mean number of notes sounding at once, over the ticks at which any sounds, in [1, 128]; silence has 0.

    Source: Dong et al. 2020, "MusPy: A Toolkit for Symbolic Music Generation", objective metrics, polyphony.
    """
    ticks = covered_ticks(score.notes["onset_tick"], score.offset_ticks)
    return float(score.notes["duration_ticks"].sum(dtype=np.int64) / ticks) if ticks else 0.0


def playability(score: Score) -> float:
    """Share of the ticks with sound whose notes two hands can hold together, in [0, 1]; silence has 1.

    Hands of five fingers that span 14 semitones; how fast they would have to travel is not asked.
    Source: the constraint of this project's piano, `toccata.music.reduction.fits_two_hands`.
    """
    ticks, sounding = _sounding(score)
    pitches = np.nonzero(sounding)[1].tolist()
    ends = np.cumsum(sounding.sum(1))
    chords = [pitches[start:end] for start, end in pairwise([0, *ends.tolist()])]
    heard = ticks[sounding.any(1)].sum()
    playable = ticks[[bool(chord) and fits_two_hands(chord) for chord in chords]].sum()
    return float(playable / heard) if heard else 1.0


def _sounding(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Stretches of constant sound: their ticks (stretches,), the pitches that sound (stretches, 128) bool."""
    onset, offset, pitch = score.notes["onset_tick"], score.offset_ticks, score.notes["pitch"]
    edges, index = np.unique(np.concatenate((onset, offset)), return_inverse=True)
    change = np.zeros((len(edges), 128), np.int8)
    np.add.at(change, (index[: len(onset)], pitch), 1)
    np.add.at(change, (index[len(onset) :], pitch), -1)
    return np.diff(edges), np.cumsum(change, axis=0, dtype=np.int8)[:-1].astype(bool)
