"""Metrics of harmony: cadences, chord changes, tonal distance."""

from __future__ import annotations

import numpy as np

from toccata.music.metrics.pitch import best_keys
from toccata.music.metrics.sounding import bars_before, beat_of, beat_start, pitch_class_ticks, segments, sounding_beats
from toccata.music.score import Score

RADII = (1.0, 1.0, 0.5)  # of the circles of fifths, minor thirds and major thirds
ANGLES = (7 / 6, 3 / 2, 2 / 3)  # of a semitone on each circle, in units of pi


def cadence_rate(score: Score) -> float:
    """Share of the bar lines with an onset at which the harmony cadences in the key of the piece, in [0, 1].

    A cadence is a dominant or subdominant in the beat before the bar line, and the tonic in the beat after it, both in
    root position: the lowest note that sounds just before the bar line is the fifth or fourth degree, the lowest at the
    bar line the first, and the major triad on the fifth degree, or the triad of the key on the fourth, is among those
    that match the first beat best, that of the tonic among those of the second. The beginning of the piece is no bar
    line. No bar line with an onset, and so silence, has 0. Of keys that fit equally well the one with more cadences
    counts.
    Source: defined for this project; the keys are those of `key`, and the triads those of `chord_change_rate`.
    """
    onsets = np.unique(score.notes["onset_tick"]).astype(np.int64)
    lines = onsets[(bars_before(score, onsets + 1) > bars_before(score, onsets)) & (onsets > 0)]
    beats = beat_of(score, lines)
    before, after = (
        _best_triads(pitch_class_ticks(score, beat_start(score, beats + shift), beat_start(score, beats + shift + 1)))
        for shift in (-1, 0)
    )
    bass_before, bass_after = _bass(score, lines - 1), _bass(score, lines)
    most = 0
    for key in best_keys(score):
        tonic, minor = key % 12, key // 12
        arrives = after[:, key] & (bass_after == tonic)
        fourth, fifth = (tonic + 5) % 12, (tonic + 7) % 12
        prepares = before[:, fifth] & (bass_before == fifth) | before[:, fourth + 12 * minor] & (bass_before == fourth)
        most = max(most, int((arrives & prepares).sum()))
    return most / len(lines) if len(lines) else 0.0


def chord_change_rate(score: Score) -> float:
    """Share of the beats with sound, from the second on, at which the chord changes, in [0, 1].

    The chord of a beat is the major or minor triad whose notes sound for the longest time in it; of several, those are
    chosen that give the fewest changes. Beats without sound are left out. Fewer than two beats with sound, and so
    silence, have 0.
    Source: template matching of Fujishima 1999, "Realtime chord recognition of musical sound", with triads only.
    """
    chroma, counts = sounding_beats(score)
    masks = (_best_triads(chroma) @ (1 << np.arange(24))).tolist()
    chords, changes = 2**24 - 1, 0
    for mask in masks:
        chords &= mask
        if not chords:
            chords, changes = mask, changes + 1
    beats = int(counts.sum())
    return changes / (beats - 1) if beats > 1 else 0.0


def tonal_distance(score: Score) -> float:
    """Mean distance of the tonal centroids of successive beats with sound, in [0, 3].

    The centroid of a beat is the mean of its pitch classes, weighted by duration, on the circles of fifths, minor
    thirds and major thirds. Beats without sound are left out. Fewer than two beats with sound, and so silence, have 0.
    Source: Harte, Sandler & Gasser 2006, "Detecting Harmonic Change in Musical Audio", equations 1 to 4.
    """
    chroma, counts = sounding_beats(score)
    centroids = chroma / chroma.sum(1, keepdims=True) @ _TONNETZ
    beats = int(counts.sum())
    distances = np.linalg.norm(np.diff(centroids, axis=0), axis=1)
    return float(min(distances.sum() / (beats - 1), 3.0)) if beats > 1 else 0.0


def _best_triads(chroma: np.ndarray) -> np.ndarray:
    """(rows, 24) bool, the major triads on C to B, then the minor ones, that cover most of each row of `chroma`.

    Args:
        chroma: (rows, 12) int64 ticks of each pitch class.
    """
    covered = chroma @ _TRIADS.T
    return (covered == covered.max(axis=1, keepdims=True, initial=0)) & (covered > 0)


def _bass(score: Score, ticks: np.ndarray) -> np.ndarray:
    """(ticks,) the pitch class of the lowest note that sounds at each tick; -1 where none does."""
    edges, sounding = segments(score)
    rows = np.searchsorted(edges, ticks, side="right") - 1
    inside = (rows >= 0) & (rows < len(sounding))
    pitches = sounding[rows[inside]]
    bass = np.full(len(ticks), -1)
    bass[inside] = np.where(pitches.any(1), pitches.argmax(1) % 12, -1) if len(pitches) else -1
    return bass


def _triads() -> np.ndarray:
    """(24, 12) 1 for the pitch classes of each triad: major on C to B, minor on C to B."""
    triads = np.zeros((24, 12), np.int64)
    for root in range(12):
        triads[root, (root + np.array([0, 4, 7])) % 12] = 1
        triads[root + 12, (root + np.array([0, 3, 7])) % 12] = 1
    return triads


def _tonnetz() -> np.ndarray:
    """(12, 6) the place of each pitch class on the three circles."""
    angles = np.arange(12)[:, None] * np.array(ANGLES) * np.pi
    return np.concatenate((RADII * np.sin(angles), RADII * np.cos(angles)), axis=1)


_TRIADS = _triads()
_TONNETZ = _tonnetz()
