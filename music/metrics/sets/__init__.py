"""Metrics of a set of pieces, and distances between two sets.

Sets of scores, of features or embeddings of scores, or of class probabilities. All are finite whatever the set; most
depend on the number of pieces, so compare sets of one size.
"""

from toccata.music.metrics.sets.bins import different_bins
from toccata.music.metrics.sets.bleu import self_bleu
from toccata.music.metrics.sets.diversity import diversity, vendi_score
from toccata.music.metrics.sets.embeddings import frechet_distance, inception_score
from toccata.music.metrics.sets.overlap import Overlap, overlap

__all__ = [
    "Overlap",
    "different_bins",
    "diversity",
    "frechet_distance",
    "inception_score",
    "overlap",
    "self_bleu",
    "vendi_score",
]
