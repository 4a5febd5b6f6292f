"""Metrics of texture: polyphony, playability, voice leading, dissonance, fragmentation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from toccata.music.metrics.rhythm import covered_ticks
from toccata.music.metrics.sounding import segments, strong_beats_before
from toccata.music.reduction import fits_two_hands
from toccata.music.score import Score

DISSONANT = (1, 2, 6)  # interval classes: seconds, the tritone, sevenths
ROWS = 4096  # voice leadings that are computed at once: bounds the memory


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
    ticks, sounding = segments(score).ticks, segments(score).pitches
    pitches = np.nonzero(sounding)[1].tolist()
    ends = np.cumsum(sounding.sum(1))
    chords = [pitches[start:end] for start, end in pairwise([0, *ends.tolist()])]
    with_sound = ticks[sounding.any(1)].sum()
    playable = ticks[[bool(chord) and fits_two_hands(chord) for chord in chords]].sum()
    return float(playable / with_sound) if with_sound else 1.0


def polyphony_rate(score: Score) -> float:
    """Share of the ticks of the piece at which two or more pitches sound, in [0, 1]; silence has 0.

    Source: Dong & Yang 2018, "Convolutional Generative Adversarial Networks with Binary Neurons for Polyphonic Music
    Generation", polyphonicity; there of more than two pitches, here of "multiple", as MusPy documents it.
    """
    edges, index = np.unique(
        np.concatenate((score.notes["onset_tick"], score.offset_ticks)).astype(np.int64), return_inverse=True
    )
    signs = np.repeat([1, -1], len(score))
    sounding = np.cumsum(np.bincount(index, weights=signs, minlength=len(edges)))[:-1]
    return float(np.diff(edges)[sounding >= 2].sum() / score.length_ticks) if score.length_ticks else 0.0


def qualified_note_rate(score: Score) -> float:
    """Share of the notes that are not shorter than a thirty-second, in [0, 1]; silence has 0.

    Source: Dong et al. 2018, "MuseGAN", objective metrics, ratio of qualified notes: those of three time steps of 24 a
    quarter.
    """
    qualified = score.notes["duration_ticks"].astype(np.int64) * 8 >= score.ticks_per_beat
    return float(qualified.mean()) if len(score) else 0.0


def voice_leading_size(score: Score) -> float:
    """Mean movement of a voice from one chord to the next, in semitones, in [0, 127].

    A chord is what sounds at an onset, held notes included. The voice leading of two chords pairs their notes so that
    each has a partner, may have several, and the sum of the distances is least; that sum is divided by the number of
    notes of the larger chord. Fewer than two onsets, and so silence, have 0.
    Source: Tymoczko 2006, "The Geometry of Musical Chords", and its algorithm for minimal voice leadings with doubled
    notes, here of pitches instead of pitch classes.
    """
    edges, sounding = segments(score)
    chords = sounding[np.isin(edges[:-1], score.notes["onset_tick"])]
    pairs = max(len(chords) - 1, 0)
    moved = np.flatnonzero((chords[1:] != chords[:-1]).any(1))
    voices = np.maximum(chords[moved].sum(1), chords[moved + 1].sum(1))
    total = 0.0
    for power in range(1, 8):  # chords of up to 2, 4, ... 128 notes, each padded to that
        of_size = moved[(voices <= 2**power) & ((voices > 2 ** (power - 1)) | (power == 1))]
        for start in range(0, len(of_size), ROWS):
            rows = of_size[start : start + ROWS]
            total += float(_voice_leading_sizes(chords[rows], chords[rows + 1], 2**power).sum())
    return total / pairs if pairs else 0.0


def dissonance_rate(score: Score) -> float:
    """Share of dissonances among the intervals that sound on strong beats, in [0, 1].

    Strong beats are bar lines and, if the bar has an even number of quarters above two or is 6/8, 12/8 or the like, its
    middle. Every two notes
    that sound there are an interval; seconds, tritones, sevenths and their compounds are dissonant, the fourth is not.
    No interval on a strong beat, and so silence, has 0.
    Source: the consonances of Huron 1994, "Interval-class content in equally tempered pitch-class sets", at the places
    where the first species of counterpoint (Fux 1725) asks for them.
    """
    edges, sounding = segments(score)
    strong = np.diff(strong_beats_before(score, edges))  # strong beats in each segment
    sounding, strong = sounding[strong > 0], strong[strong > 0]
    classes = np.stack([sounding[:, pitch_class::12].sum(1) for pitch_class in range(12)], axis=1)
    notes = classes.sum(1)
    intervals = (strong * (notes * (notes - 1) // 2)).sum()
    dissonant = sum(
        (strong * (classes * np.roll(classes, -interval, axis=1)).sum(1)).sum() / (2 if interval == 6 else 1)
        for interval in DISSONANT
    )
    return float(dissonant / intervals) if intervals else 0.0


def _voice_leading_sizes(chords: np.ndarray, following: np.ndarray, most: int) -> np.ndarray:
    """(rows,) float64 size of the voice leading of each row's chords, in semitones a voice.

    Args:
        chords: (rows, 128) bool, at least one pitch in each.
        following: (rows, 128) bool, likewise.
        most: greatest number of pitches in a chord.

    With the pitches of both in ascending order, the least sum up to the i-th of one and the j-th of the other is the
    distance of these two, plus the least of the sums up to (i-1, j-1), (i-1, j) and (i, j-1).
    """
    one, other = _padded(chords, most), _padded(following, most)
    sizes, other_sizes = chords.sum(1), following.sum(1)
    rows, never = np.arange(len(chords)), np.full((len(chords), 1), 2**20, np.int32)
    result = np.zeros(len(chords))
    sums = np.concatenate((never * 0, np.broadcast_to(never, other.shape)), axis=1)  # before the first voice
    for voice in range(sizes.max()):
        cost = np.abs(one[:, voice, None] - other)
        upto = np.cumsum(cost, axis=1, dtype=np.int32)
        best = np.minimum(sums[:, :-1], sums[:, 1:])  # (i-1, j-1) and (i-1, j)
        new = upto + np.minimum.accumulate(best - (upto - cost), axis=1)  # and (i, j-1): the least over all before j
        sums = np.concatenate((never, new), axis=1)
        last = sizes == voice + 1
        result[last] = sums[rows[last], other_sizes[last]]
    return result / np.maximum(sizes, other_sizes)


def _padded(chords: np.ndarray, most: int) -> np.ndarray:
    """(rows, most) int32 the pitches of each chord, ascending; what follows them is 0."""
    row, pitch = np.nonzero(chords)
    first = np.searchsorted(row, np.arange(len(chords)))
    padded = np.zeros((len(chords), most), np.int32)
    padded[row, np.arange(len(row)) - first[row]] = pitch
    return padded
