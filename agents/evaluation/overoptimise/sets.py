"""Diversity of sets of one size, drawn again and again: Vendi scores grow with the number of pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toccata.music.metrics import diversity, vendi_score
from toccata.music.score import Score

SIZE = 16  # pieces of a set: a pool of 1,024 has as many best ones of 64
COUNT = 16  # sets
VENDI, DIVERSITY = "vendi_score", "diversity"


def random_sets(pieces: int, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """`COUNT` sets of the indices (size,) of different pieces."""
    return [rng.permutation(pieces)[:size] for _ in range(COUNT)]


def diversity_of_sets(scores: Sequence[Score], sets: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Vendi score and diversity, (1,) each: means over at least one set of the indices of scores."""
    drawn = [[scores[index] for index in each] for each in sets]
    return {
        VENDI: np.array([np.mean([vendi_score(each) for each in drawn])]),
        DIVERSITY: np.array([np.mean([diversity(each).mean() for each in drawn])]),
    }
