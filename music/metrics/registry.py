"""The metrics of a score by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, log2

import numpy as np

from toccata.music.metrics import dynamics, harmony, pitch, repetition, rhythm, structure, texture
from toccata.music.score import Score


@dataclass(frozen=True)
class Metric:
    """A metric of a score: `metric(score)` is its value, finite for every score."""

    function: Callable[[Score], float]
    family: str  # pitch, harmony, rhythm, texture or structure
    unit: str  # of its values
    low: float  # the least value that it can have
    high: float  # the greatest

    def __call__(self, score: Score) -> float:
        """The value for a score."""
        return self.function(score)


CORE_METRICS: dict[str, Metric] = {
    "pitch_class_entropy": Metric(pitch.pitch_class_entropy, "pitch", "bits", 0, log2(12)),
    "scale_consistency": Metric(pitch.scale_consistency, "pitch", "share of notes", 0, 1),
    "empty_beat_rate": Metric(rhythm.empty_beat_rate, "rhythm", "share of beats", 0, 1),
    "silence_rate": Metric(rhythm.silence_rate, "rhythm", "share of ticks", 0, 1),
    "polyphony": Metric(texture.polyphony, "texture", "notes", 0, 128),
    "repeated_note_rate": Metric(repetition.repeated_note_rate, "structure", "share of onsets", 0, 1),
    "loop_rate": Metric(repetition.loop_rate, "structure", "share of onsets", 0, 1),
    "note_density": Metric(rhythm.note_density, "rhythm", "notes a beat", 0, inf),
    "playability": Metric(texture.playability, "texture", "share of ticks", 0, 1),
    "groove_similarity": Metric(rhythm.groove_similarity, "rhythm", "share of ticks", 0, 1),
    "pitch_range": Metric(pitch.pitch_range, "pitch", "semitones", 0, 127),
    "distinct_pitches": Metric(pitch.distinct_pitches, "pitch", "pitches", 0, 128),
}
"""The metrics that judges and the watchdog compare music by, in the order of the features of the gold rating. Fitted
weights depend on names and order; a metric for reports only goes into `METRICS`."""

METRICS: dict[str, Metric] = CORE_METRICS | {
    "pitch_class_count": Metric(pitch.pitch_class_count, "pitch", "pitch classes", 0, 12),
    "key_clarity": Metric(pitch.key_clarity, "pitch", "correlation", 0, 1),
    "empty_bar_rate": Metric(rhythm.empty_bar_rate, "rhythm", "share of bars", 0, 1),
    "ioi_entropy": Metric(rhythm.ioi_entropy, "rhythm", "bits", 0, inf),
    "syncopation": Metric(rhythm.syncopation, "rhythm", "levels of the metre", 0, 5),
    "polyphony_rate": Metric(texture.polyphony_rate, "texture", "share of ticks", 0, 1),
    "qualified_note_rate": Metric(texture.qualified_note_rate, "texture", "share of notes", 0, 1),
    "voice_leading_size": Metric(texture.voice_leading_size, "texture", "semitones", 0, 127),
    "dissonance_rate": Metric(texture.dissonance_rate, "texture", "share of intervals", 0, 1),
    "cadence_rate": Metric(harmony.cadence_rate, "harmony", "share of bar lines", 0, 1),
    "chord_change_rate": Metric(harmony.chord_change_rate, "harmony", "share of beats", 0, 1),
    "tonal_distance": Metric(harmony.tonal_distance, "harmony", "distance", 0, 3),
    "self_similarity": Metric(structure.self_similarity, "structure", "cosine", 0, 1),
    "structureness_short": Metric(structure.structureness_short, "structure", "fitness", 0, 1),
    "structureness_mid": Metric(structure.structureness_mid, "structure", "fitness", 0, 1),
    "structureness_long": Metric(structure.structureness_long, "structure", "fitness", 0, 1),
    "compression_ratio": Metric(structure.compression_ratio, "structure", "phrases a step", 0, 1),
    "repeated_motif_rate": Metric(structure.repeated_motif_rate, "structure", "share of notes", 0, 1),
    "velocity_mean": Metric(dynamics.velocity_mean, "dynamics", "velocity", 0, 127),
    "velocity_range": Metric(dynamics.velocity_range, "dynamics", "velocity", 0, 126),
    "velocity_entropy": Metric(dynamics.velocity_entropy, "dynamics", "bits", 0, 5),
}
"""Every metric of a score by name, in the order of tables."""


def measure(score: Score, metrics: Mapping[str, Callable[[Score], float]] = METRICS) -> dict[str, float]:
    """The values of metrics, by default all `METRICS`, for one score, by name; each is finite."""
    return {name: metric(score) for name, metric in metrics.items()}


def measure_each(
    scores: Sequence[Score], metrics: Mapping[str, Callable[[Score], float]] = METRICS
) -> dict[str, np.ndarray]:
    """(n,) float64 values of metrics, by default all `METRICS`, for n scores, by name."""
    rows = [measure(score, metrics) for score in scores]  # score by score: metrics share what they compute of one
    return {name: np.array([row[name] for row in rows], float) for name in metrics}
