"""The metrics of a score by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from toccata.music.metrics.pitch import distinct_pitches, pitch_class_entropy, pitch_range, scale_consistency
from toccata.music.metrics.repetition import loop_rate, repeated_note_rate
from toccata.music.metrics.rhythm import empty_beat_rate, groove_similarity, note_density, silence_rate
from toccata.music.metrics.texture import playability, polyphony
from toccata.music.score import Score

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
"""Every metric of a score by name, in the order of tables."""


def measure(score: Score) -> dict[str, float]:
    """The values of all `METRICS` for one score, by name; each is finite."""
    return {name: metric(score) for name, metric in METRICS.items()}


def measure_each(scores: Sequence[Score]) -> dict[str, np.ndarray]:
    """(n,) float64 values of all `METRICS` for n scores, by name."""
    return {name: np.array([metric(score) for score in scores], float) for name, metric in METRICS.items()}
