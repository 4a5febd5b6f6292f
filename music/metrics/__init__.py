"""Metrics of a score, each a plain function, defined and finite for every score.

One module for each family; `sets` has the metrics of sets of scores, `windows` those along a long piece, `registry` all
metrics of one score by name, `sounding` what several of them compute first. Each docstring names the source of its
formula. A beat is a quarter note, and the length of a piece is `length_ticks`, trailing silence included. All metrics
are invariant under transposition. Most depend on the length of the piece, so compare pieces of similar length.
"""

from toccata.music.metrics.dynamics import velocity_entropy, velocity_mean, velocity_range
from toccata.music.metrics.harmony import cadence_rate, chord_change_rate, tonal_distance
from toccata.music.metrics.pitch import (
    distinct_pitches,
    key,
    key_clarity,
    pitch_class_count,
    pitch_class_entropy,
    pitch_range,
    scale_consistency,
)
from toccata.music.metrics.registry import CORE_METRICS, METRICS, Metric, measure, measure_each
from toccata.music.metrics.repetition import loop_rate, repeated_note_rate
from toccata.music.metrics.rhythm import (
    empty_bar_rate,
    empty_beat_rate,
    groove_similarity,
    ioi_entropy,
    note_density,
    silence_rate,
    syncopation,
)
from toccata.music.metrics.sets import diversity, vendi_score
from toccata.music.metrics.structure import (
    compression_ratio,
    repeated_motif_rate,
    self_similarity,
    structureness_long,
    structureness_mid,
    structureness_short,
)
from toccata.music.metrics.texture import (
    dissonance_rate,
    playability,
    polyphony,
    polyphony_rate,
    qualified_note_rate,
    voice_leading_size,
)
from toccata.music.metrics.windows import by_window

__all__ = [
    "CORE_METRICS",
    "METRICS",
    "Metric",
    "by_window",
    "cadence_rate",
    "chord_change_rate",
    "compression_ratio",
    "dissonance_rate",
    "distinct_pitches",
    "diversity",
    "empty_bar_rate",
    "empty_beat_rate",
    "groove_similarity",
    "ioi_entropy",
    "key",
    "key_clarity",
    "loop_rate",
    "measure",
    "measure_each",
    "note_density",
    "pitch_class_count",
    "pitch_class_entropy",
    "pitch_range",
    "playability",
    "polyphony",
    "polyphony_rate",
    "qualified_note_rate",
    "repeated_motif_rate",
    "repeated_note_rate",
    "scale_consistency",
    "self_similarity",
    "silence_rate",
    "structureness_long",
    "structureness_mid",
    "structureness_short",
    "syncopation",
    "tonal_distance",
    "velocity_entropy",
    "velocity_mean",
    "velocity_range",
    "vendi_score",
    "voice_leading_size",
]
