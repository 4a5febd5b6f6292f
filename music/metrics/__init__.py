"""Metrics of a score, each a plain function, defined and finite for every score.

One module for each family; `sets` has the metrics of sets of scores, `windows` those along a long piece, `registry` all
metrics of one score by name. Each docstring names the source of its formula. A beat is a quarter note, and the length
of a piece is `length_ticks`, trailing silence included. All metrics are invariant under transposition. Most depend on
the length of the piece, so compare pieces of similar length.
"""

from toccata.music.metrics.pitch import distinct_pitches, pitch_class_entropy, pitch_range, scale_consistency
from toccata.music.metrics.registry import METRICS, measure, measure_each
from toccata.music.metrics.repetition import loop_rate, repeated_note_rate
from toccata.music.metrics.rhythm import empty_beat_rate, groove_similarity, note_density, silence_rate
from toccata.music.metrics.sets import diversity, vendi_score
from toccata.music.metrics.texture import playability, polyphony
from toccata.music.metrics.windows import by_window

__all__ = [
    "METRICS",
    "by_window",
    "distinct_pitches",
    "diversity",
    "empty_beat_rate",
    "groove_similarity",
    "loop_rate",
    "measure",
    "measure_each",
    "note_density",
    "pitch_class_entropy",
    "pitch_range",
    "playability",
    "polyphony",
    "repeated_note_rate",
    "scale_consistency",
    "silence_rate",
    "vendi_score",
]
