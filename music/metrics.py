"""Numbers about a score, each a plain function of it, defined and finite for every score.

Written from the formulas of the papers named in each docstring. A beat is a quarter note throughout, and the
piece lasts `length_ticks`, trailing silence included. No metric changes when the score is transposed. Most
depend on how long the piece is, so compare pieces of like length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from toccata.music.reduction import fits_two_hands
from toccata.music.score import TICKS_PER_BEAT, Score

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones above the tonic; natural minors are the same twelve sets
LONGEST_LOOP = 4  # strikes: a turn or an Alberti figure. Longer repeats are ordinary musical form


def pitch_class_entropy(score: Score) -> float:
    """Shannon entropy of the histogram of pitch classes, in bits, in [0, log2 12 = 3.585].

    Every note counts once, whatever its duration. Silence has 0, as one repeated note has.
    Source: Wu & Yang 2020, "The Jazz Transformer on the Front Line", section 5, pitch-class histogram
    entropy, with the whole piece as its window.
    """
    counts = np.sort(_pitch_class_counts(score))  # in one order, so that every transposition sums alike
    shares = counts[counts > 0] / max(len(score), 1)
    return float((shares * np.log2(1 / shares)).sum())


def scale_consistency(score: Score) -> float:
    """Share of the notes that belong to the best fitting major or natural minor scale, in [0, 1].

    Never below 7/12 where there is a note. Silence has 0: it keeps to no scale.
    Source: Mogren 2016, "C-RNN-GAN", evaluation, scale consistency.
    """
    in_scale = np.zeros((12, 12), np.int64)  # (tonic, pitch class)
    for tonic in range(12):
        in_scale[tonic, (tonic + np.array(MAJOR_SCALE)) % 12] = 1
    return float((in_scale @ _pitch_class_counts(score)).max() / max(len(score), 1))


def empty_beat_rate(score: Score) -> float:
    """Share of the beats of the piece in which nothing sounds at any moment, in [0, 1]; silence has 1.

    A beat cut short by the end of the piece counts as a beat; a held note fills every beat that it touches.
    Source: Dong et al. 2018, "MuseGAN", objective metrics, ratio of empty bars, here for beats.
    """
    beats = -(-score.length_ticks // score.ticks_per_beat)
    onset_beat = score.notes["onset_tick"] // score.ticks_per_beat
    offset_beat = -(-score.offset_ticks // score.ticks_per_beat)
    return 1.0 - _covered(onset_beat, offset_beat) / beats if beats else 1.0


def silence_rate(score: Score) -> float:
    """Share of the ticks of the piece at which nothing sounds, in [0, 1]; silence has 1.

    Source: Wu et al. 2024, "Adaptive Accompaniment with ReaLchords" (arXiv 2506.14723), share of silence.
    """
    ticks = score.length_ticks
    return 1.0 - _covered(score.notes["onset_tick"], score.offset_ticks) / ticks if ticks else 1.0


def polyphony(score: Score) -> float:
    """Mean number of notes sounding at once, over the ticks at which any sounds, in [1, 128]; silence has 0.

    Source: Dong et al. 2020, "MusPy: A Toolkit for Symbolic Music Generation", objective metrics, polyphony.
    """
    ticks = _covered(score.notes["onset_tick"], score.offset_ticks)
    return float(score.notes["duration_ticks"].sum(dtype=np.int64) / ticks) if ticks else 0.0


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


def note_density(score: Score) -> float:
    """Notes that begin per beat of the piece, in [0, 128 * ticks_per_beat]; silence has 0.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", note count, per beat.
    """
    return float(len(score) * score.ticks_per_beat / score.length_ticks) if score.length_ticks else 0.0


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


def groove_similarity(score: Score) -> float:
    """Mean likeness of the rhythms of two bars, over all pairs of bars, in [0, 1].

    A bar's rhythm has one bit per tick, set where a note begins; likeness is the share of equal bits. The
    finer the grid, the closer to 1. Bars that are all alike have 1, and so have silence and a piece of one
    bar.
    Source: Wu & Yang 2020, "The Jazz Transformer on the Front Line", section 5, grooving pattern similarity,
    with Q = `ticks_per_bar` positions (theirs: 64).
    """
    bars = score.bars
    if bars < 2:
        return 1.0
    positions = np.unique(score.notes["onset_tick"]) % score.ticks_per_bar
    struck = np.unique(positions, return_counts=True)[1]  # bars with an onset, for each position that has any
    unlike = (struck * (bars - struck)).sum() / (bars * (bars - 1) / 2)
    return float(1.0 - unlike / score.ticks_per_bar)


def pitch_range(score: Score) -> float:
    """Semitones from the lowest note to the highest, in [0, 127]; silence and a single note have 0.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", pitch range.
    """
    return float(np.ptp(score.notes["pitch"])) if len(score) else 0.0


def distinct_pitches(score: Score) -> float:
    """Number of different pitches that are used, in [0, 128]; silence has 0.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", pitch count.
    """
    return float(len(np.unique(score.notes["pitch"])))


METRICS: dict[str, Callable[[Score], float]] = {
    metric.__name__: metric
    for metric in (
        pitch_class_entropy,
        scale_consistency,
        empty_beat_rate,
        silence_rate,
        polyphony,
        repeated_note_rate,
        loop_rate,
        note_density,
        playability,
        groove_similarity,
        pitch_range,
        distinct_pitches,
    )
}
"""Every metric by its name, in the order in which tables show them."""


def measure(score: Score) -> dict[str, float]:
    """All of `METRICS` on one score, by name; each value is finite."""
    return {name: metric(score) for name, metric in METRICS.items()}


def diversity(scores: Sequence[Score]) -> np.ndarray:
    """(n,) how unlike each score is to the others of a set, in [0, 1]: their mean is 0 when all are the same.

    One minus the cosine similarity of the counts of successive pairs of steps, in the mean over the other scores. A
    step is how many semitones and ticks a note lies from the one before, in order of onset and pitch, so neither a
    transposition nor a shift in time tells scores apart. Two scores without such pairs are the same, one without is
    wholly unlike one with. A single score has 0.
    Source: the mean pairwise distance that Friedman & Dieng 2023, "The Vendi Score", compare with, on bigram counts.
    """
    vocabulary: dict[tuple[int, ...], int] = {}
    counted = []
    for score in scores:
        steps = np.stack([np.diff(score.notes[name].astype(np.int64)) for name in ("pitch", "onset_tick")], axis=1)
        steps[:, 1] *= TICKS_PER_BEAT
        steps[:, 1] //= score.ticks_per_beat
        pairs = np.concatenate([steps[:-1], steps[1:]], axis=1).tolist()
        counted.append([vocabulary.setdefault(tuple(pair), len(vocabulary)) for pair in pairs])
    counts = np.zeros((len(scores), len(vocabulary) + 1))
    for row, pairs in zip(counts, counted, strict=True):
        np.add.at(row, pairs, 1.0)
        row[-1] = not pairs
    counts /= np.linalg.norm(counts, axis=1, keepdims=True)
    alike = np.clip(counts @ counts.T, 0.0, 1.0)
    others = max(len(scores) - 1, 1)
    return np.maximum(0.0, (others - (alike.sum(axis=1) - np.diag(alike))) / others) * (len(scores) > 1)


def _pitch_class_counts(score: Score) -> np.ndarray:
    """(12,) how many notes each pitch class has, C first."""
    return np.bincount(score.notes["pitch"] % 12, minlength=12)


def _covered(starts: np.ndarray, ends: np.ndarray) -> int:
    """Length of the union of the intervals `[start, end)`, given in order of `starts`."""
    if not len(starts):
        return 0
    reached = np.maximum.accumulate(ends)  # how far all intervals up to this one reach
    fresh_from = np.maximum(starts, np.concatenate((starts[:1], reached[:-1])))
    return int(np.maximum(ends - fresh_from, 0).sum(dtype=np.int64))


def _strikes(score: Score) -> np.ndarray:
    """(strikes, 16) uint8, a bit per pitch that begins, one row per tick at which any begins."""
    onsets, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    struck = np.zeros((len(onsets), 128), bool)
    struck[index, score.notes["pitch"]] = True
    return np.packbits(struck, axis=1)


def _sounding(score: Score) -> tuple[np.ndarray, np.ndarray]:
    """Stretches of constant sound: their ticks (stretches,), the pitches that sound (stretches, 128) bool."""
    onset, offset, pitch = score.notes["onset_tick"], score.offset_ticks, score.notes["pitch"]
    edges, index = np.unique(np.concatenate((onset, offset)), return_inverse=True)
    change = np.zeros((len(edges), 128), np.int8)
    np.add.at(change, (index[: len(onset)], pitch), 1)
    np.add.at(change, (index[len(onset) :], pitch), -1)
    return np.diff(edges), np.cumsum(change, axis=0, dtype=np.int8)[:-1].astype(bool)
