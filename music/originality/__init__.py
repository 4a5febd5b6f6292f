"""Whether pieces copy the works of a corpus: shared n-grams, the longest shared passage, and the cardinality score."""

from toccata.music.originality.cardinality import cardinality_score
from toccata.music.originality.index import OriginalityIndex, Passage
from toccata.music.originality.matches import Match, metric_values, originality, summary

__all__ = [
    "Match",
    "OriginalityIndex",
    "Passage",
    "cardinality_score",
    "metric_values",
    "originality",
    "summary",
]
