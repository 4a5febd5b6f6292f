"""Chords estimated from notes: a hidden Markov model whose states are chords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.music.chord_symbols import AUGMENTED, DIMINISHED, MAJOR, MINOR, Chord
from toccata.music.metrics.pitch import best_keys
from toccata.music.score import Score

TRIADS = (MAJOR, MINOR, DIMINISHED, AUGMENTED)
SEVENTH_CHORDS = ((*MAJOR, 10), (*MAJOR, 11), (*MINOR, 10), (*DIMINISHED, 10), (*DIMINISHED, 9))
# Shares of the duration of a melody over a chord.
ROOT_SHARE, CHORD_SHARE = 0.3, 0.85  # of the root, and of all notes of the chord; the others share the rest equally
EVIDENCE = 8.0  # notes that the duration of one full bar counts as
DIATONIC_BONUS = 1.5  # nats for a chord whose notes are all in the key
# Nats of a change of chord by the motion of the root in semitones upward, 0 to 11; fourths up are the commonest.
ROOT_MOTION = -np.array([2.5, 3.0, 2.2, 3.0, 3.0, 1.0, 4.0, 1.8, 3.0, 2.6, 2.8, 2.8])
SAME_CHORD = -1.0
SCALE = (0, 2, 4, 5, 7, 9, 11)
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10, 11)  # natural minor, and the leading note


@dataclass(frozen=True)
class ChordSpan:
    """A chord and where it begins; it lasts until the next."""

    onset_tick: int
    chord: Chord | None  # None: no chord


def estimate_chords(
    score: Score, ticks_per_chord: int, qualities: Sequence[tuple[int, ...]] = TRIADS, first_tick: int = 0
) -> list[ChordSpan]:
    """The most likely chords of a score, one for each stretch of `ticks_per_chord`, equal neighbours as one.

    Viterbi decoding of a hidden Markov model. Its states are the chords of the qualities on the twelve roots. The
    duration-weighted pitch classes of a stretch are multinomial, with most of the mass on the notes of the chord;
    chords of the estimated key are likelier, and so are no change and roots that rise by a fourth. Source of the
    method: Sheh & Ellis 2003, "Chord segmentation and recognition using EM-trained hidden Markov models", ISMIR, with
    fixed parameters.

    Args:
        score: any score, a melody alone or many voices.
        ticks_per_chord: length of a stretch, such as a bar or half of one.
        qualities: the intervals of the chords that are considered.
        first_tick: where the first stretch begins; notes before it are left out.

    Returns:
        The chords, the first at `first_tick`; empty for a score without notes from there on.

    Raises:
        ValueError: when `ticks_per_chord` is below 1, there are no qualities, or one has fewer than 2 or all 12 pitch
            classes.
    """
    return decoded_chords(score, ticks_per_chord, qualities, first_tick)[0]


def decoded_chords(
    score: Score, ticks_per_chord: int, qualities: Sequence[tuple[int, ...]], first_tick: int = 0
) -> tuple[list[ChordSpan], float]:
    """As `estimate_chords`, with the log-probability of the best path in nats, 0 for no chords."""
    if ticks_per_chord < 1:
        raise ValueError(f"ticks_per_chord must be at least 1, got {ticks_per_chord}")
    if not qualities:
        raise ValueError("need at least one chord quality")
    for intervals in qualities:
        if not 2 <= len({0, *(each % 12 for each in intervals)}) < 12:
            raise ValueError(f"a chord quality must have 2 to 11 pitch classes with its root, got {intervals}")
    durations = pitch_class_durations(score, ticks_per_chord, first_tick)
    if not durations.any():
        return [], 0.0
    chords = [Chord(root, intervals, root) for root in range(12) for intervals in qualities]
    shares = np.array([_shares(chord) for chord in chords])
    emissions = durations / score.ticks_per_bar * EVIDENCE @ np.log(shares).T + _diatonic(score, chords)
    roots = np.array([chord.root for chord in chords])
    transitions = ROOT_MOTION[(roots[None] - roots[:, None]) % 12]
    np.fill_diagonal(transitions, SAME_CHORD)
    path, nats = _viterbi(emissions, transitions)
    return [
        ChordSpan(first_tick + index * ticks_per_chord, chords[state])
        for index, state in enumerate(path)
        if not index or state != path[index - 1]
    ], nats


def pitch_class_durations(score: Score, ticks_per_row: int, first_tick: int = 0) -> np.ndarray:
    """(rows, 12) float64 ticks that each pitch class sounds in each stretch of `ticks_per_row` from `first_tick` on."""
    rows = max(0, -(-(score.length_ticks - first_tick) // ticks_per_row))
    durations = np.zeros((rows, 12))
    for onset, duration, pitch, _ in score.notes.tolist():
        start, end = max(onset, first_tick) - first_tick, onset + duration - first_tick
        for row in range(start // ticks_per_row, -(-max(end, start) // ticks_per_row)):
            inside = min(end, (row + 1) * ticks_per_row) - max(start, row * ticks_per_row)
            durations[row, pitch % 12] += max(inside, 0)
    return durations


def _shares(chord: Chord) -> np.ndarray:
    """(12,) probability of each pitch class over the chord."""
    members = chord.pitch_classes
    shares = np.full(12, (1 - CHORD_SHARE) / (12 - len(members)))
    shares[list(members)] = (CHORD_SHARE - ROOT_SHARE) / (len(members) - 1)
    shares[chord.root] = ROOT_SHARE
    return shares


def _diatonic(score: Score, chords: Sequence[Chord]) -> np.ndarray:
    """(chords,) the bonus of those that are in the best key of the score."""
    keys = best_keys(score)
    if not keys:
        return np.zeros(len(chords))
    tonic, minor = keys[0] % 12, keys[0] >= 12
    scale = {(tonic + step) % 12 for step in (MINOR_SCALE if minor else SCALE)}
    return np.array([DIATONIC_BONUS if chord.pitch_classes <= scale else 0.0 for chord in chords])


def _viterbi(emissions: np.ndarray, transitions: np.ndarray) -> tuple[list[int], float]:
    """The best path, one state a row of the emissions, and its nats."""
    best = emissions[0]
    back = []
    for row in emissions[1:]:
        through = best[:, None] + transitions
        back.append(through.argmax(0))
        best = through.max(0) + row
    path = [int(best.argmax())]
    for sources in reversed(back):
        path.append(int(sources[path[-1]]))
    return path[::-1], float(best.max())
