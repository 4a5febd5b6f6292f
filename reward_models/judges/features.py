"""Features of the notes of a score, for the judges that look at other evidence than the networks that reward."""

from __future__ import annotations

import zlib

import numpy as np

from toccata.music.metrics import CORE_METRICS, measure
from toccata.music.metrics.pitch import MAJOR_SCALE
from toccata.music.reduction import NOTE_VALUES
from toccata.music.score import TICKS_PER_BEAT, Score

LARGEST_INTERVAL = 12  # semitones; larger ones count as it
LARGEST_CHORD = 6
MAX_COMPRESSED = 2.0  # bytes a byte: zlib's header on a short text


def piece_features(score: Score) -> np.ndarray:
    """(`FEATURE_COUNT`,) float64 features of a score, finite for every score; invariant under transposition.

    The metrics of `toccata.music.metrics`; histograms, as shares, of the intervals of the melody and of the bass, of
    successive contours, of the time between onsets, durations and places in the beat, of pitch classes above the tonic
    of the best scale, of intervals above the bass and of the sizes of chords; the similarity of bars with those one,
    two and four before; and how well zlib compresses the steps.
    """
    if score.ticks_per_beat != TICKS_PER_BEAT:
        score = _on_grid(score)
    notes = score.notes
    onset, pitch = notes["onset_tick"].astype(np.int64), notes["pitch"].astype(np.int64)
    is_last = np.append(np.diff(onset) > 0, True) if len(notes) else np.zeros(0, bool)
    is_first = np.append(True, np.diff(onset) > 0) if len(notes) else np.zeros(0, bool)
    melody, bass = pitch[is_last], pitch[is_first]  # notes are sorted by pitch within an onset
    onsets = onset[is_first]
    moves = np.diff(melody)
    turns = np.sign(moves) + 1
    gaps = np.diff(onsets)
    duration = notes["duration_ticks"].astype(np.int64)
    sizes = np.diff(np.append(np.flatnonzero(is_first), len(notes)))
    parts = [
        np.array(list(measure(score, CORE_METRICS).values())),
        _shares(np.clip(moves, -LARGEST_INTERVAL, LARGEST_INTERVAL) + LARGEST_INTERVAL, 2 * LARGEST_INTERVAL + 1),
        _shares(np.minimum(np.abs(np.diff(bass)), LARGEST_INTERVAL), LARGEST_INTERVAL + 1),
        _shares(3 * turns[:-1] + turns[1:], 9),
        _shares(_value_index(gaps), len(NOTE_VALUES)),
        _shares(_value_index(duration), len(NOTE_VALUES)),
        _shares(onsets % TICKS_PER_BEAT // 2, TICKS_PER_BEAT // 2),
        np.array([np.mean(onsets % score.ticks_per_bar == 0) if len(onsets) else 0.0]),
        _tonal_profile(pitch, duration),
        _above_bass(onset, onset + duration, pitch, onsets),
        _shares(np.minimum(sizes, LARGEST_CHORD) - 1, LARGEST_CHORD),
        np.array([similarity for lag in (1, 2, 4) for similarity in _bar_similarity(score, lag)]),
        np.array([_compressed(melody, onsets)]),
    ]
    return np.concatenate(parts)


def highest_notes(score: Score) -> Score:
    """The highest note of each onset, as an estimate of the melody.

    Unlike `toccata.music.skyline.skyline`, which the rating hears, it keeps notes below one that is still held.
    """
    notes = score.notes
    if not len(notes):
        return score
    highest = np.append(np.diff(notes["onset_tick"]) > 0, True)
    return Score(notes[highest], score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks)


def _on_grid(score: Score) -> Score:
    """The score at 24 ticks a beat, onsets and durations rounded."""
    notes = score.notes.copy()
    for name in ("onset_tick", "duration_ticks"):
        notes[name] = np.round(notes[name].astype(np.int64) * TICKS_PER_BEAT / score.ticks_per_beat)
    notes["duration_ticks"] = np.maximum(notes["duration_ticks"], 1)
    beats_per_bar = max(1, round(score.beats_per_bar * TICKS_PER_BEAT)) / TICKS_PER_BEAT
    return Score(notes, TICKS_PER_BEAT, beats_per_bar, score.tempo_bpm)


def _shares(values: np.ndarray, count: int) -> np.ndarray:
    """(count,) shares of the values 0..count - 1; zeros without values."""
    return np.bincount(values, minlength=count) / max(len(values), 1)


def _value_index(ticks: np.ndarray) -> np.ndarray:
    """Index of the largest note value that each duration contains; 0 for shorter ones."""
    return np.maximum(np.searchsorted(NOTE_VALUES, ticks, side="right") - 1, 0)


def _tonal_profile(pitch: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """(12,) share of the sounding time of each pitch class above the tonic of the major scale with most of it."""
    profile = np.bincount(pitch % 12, duration, 12)
    tonic = max(range(12), key=lambda tonic: (profile[(tonic + np.array(MAJOR_SCALE)) % 12].sum(), profile[tonic]))
    return np.roll(profile, -tonic) / max(profile.sum(), 1)


def _above_bass(onset: np.ndarray, offset: np.ndarray, pitch: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """(12,) shares of intervals modulo an octave above the lowest sounding note, over all onsets."""
    counts = np.zeros(12)
    for tick in onsets.tolist():
        sounding = pitch[(onset <= tick) & (offset > tick)]
        counts += np.bincount((sounding - sounding.min()) % 12, minlength=12)
        counts[0] -= 1  # the lowest note itself
    return counts / max(counts.sum(), 1)


def _bar_similarity(score: Score, lag: int) -> tuple[float, float]:
    """Mean share of equal onsets, and of equal notes, between each bar and the one `lag` before; 0 without pairs."""
    bar = score.ticks_per_bar
    bars = [score.slice(start, start + bar).notes for start in range(0, score.length_ticks, bar)]
    rhythms = [set(notes["onset_tick"].tolist()) for notes in bars]
    contents = [set(zip(notes["onset_tick"].tolist(), notes["pitch"].tolist(), strict=True)) for notes in bars]

    def mean(sets: list[set]) -> float:
        pairs = list(zip(sets[lag:], sets, strict=False))
        return float(np.mean([len(a & b) / max(len(a | b), 1) for a, b in pairs])) if pairs else 0.0

    return mean(rhythms), mean(contents)


def _compressed(melody: np.ndarray, onsets: np.ndarray) -> float:
    """Bytes a step of the melody after compression, in [0, 2]."""
    if len(melody) < 2:
        return 0.0
    steps = np.stack([np.diff(melody) % 256, np.minimum(np.diff(onsets), 255)], axis=1).astype(np.uint8)
    return min(MAX_COMPRESSED, len(zlib.compress(steps.tobytes(), 9)) / len(steps))


FEATURE_COUNT = len(piece_features(Score()))
