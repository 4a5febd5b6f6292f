"""Metrics of a score, each a plain function, defined and finite for every score.

A module for each family. They are written from the formulas of the papers that their docstrings name. A beat is a
quarter note throughout, and a piece lasts `length_ticks`, trailing silence included. No metric changes when the score
is transposed. Most depend on the length of the piece, so compare pieces of like length.
"""

from toccata.music.metrics.pitch import distinct_pitches, pitch_class_entropy, pitch_range, scale_consistency
from toccata.music.metrics.repetition import loop_rate, repeated_note_rate
from toccata.music.metrics.rhythm import empty_beat_rate, groove_similarity, note_density, silence_rate
from toccata.music.metrics.sets import diversity
from toccata.music.metrics.table import METRICS, measure
from toccata.music.metrics.texture import playability, polyphony

__all__ = [
    "METRICS",
    "distinct_pitches",
    "diversity",
    "empty_beat_rate",
    "groove_similarity",
    "loop_rate",
    "measure",
    "note_density",
    "pitch_class_entropy",
    "pitch_range",
    "playability",
    "polyphony",
    "repeated_note_rate",
    "scale_consistency",
    "silence_rate",
]
