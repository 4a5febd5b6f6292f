"""Self-BLEU: how much each piece of a set repeats the others (Zhu et al. 2018)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from toccata.music.metrics.sets.diversity import steps_of
from toccata.music.score import Score

ORDERS = (1, 2, 3, 4)  # of n-grams
EPSILON = 0.1  # matches that a precision of none counts as (method 1 of Chen & Cherry 2014), as in Zhu et al.


def self_bleu(scores: Sequence[Score]) -> float:
    """The mean BLEU-4 of each score with all others of the set as references, in [0, 1]; 1 if all are equal.

    The tokens are steps: the differences in semitones and ticks between a note and the one before, so that
    transposition changes nothing. 0 of fewer than two scores. Of a score of fewer than four steps the BLEU has as many
    orders as it has steps; one without a step has 1 if another has none, else 0.

    Source: Zhu et al. 2018, "Texygen: A Benchmarking Platform for Text Generation Models", SIGIR, section 3.1; Papineni
    et al. 2002, "BLEU".
    """
    if len(scores) < 2:
        return 0.0
    sequences = [[tuple(step) for step in steps_of(score).tolist()] for score in scores]
    return float(np.mean(_bleus(sequences)))


def _bleus(sequences: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """(n,) BLEU of each of at least two sequences of tokens, with all others as references."""
    lengths = np.array([len(each) for each in sequences])
    logs, orders = np.zeros(len(sequences)), np.zeros(len(sequences))
    for order in ORDERS:
        grams = [Counter(zip(*(each[k:] for k in range(order)), strict=False)) for each in sequences]
        largest: dict[tuple, tuple[int, int, int]] = {}  # largest count, whose it is, and the second largest
        for number, counts in enumerate(grams):
            for gram, count in counts.items():
                most, owner, second = largest.get(gram, (0, -1, 0))
                largest[gram] = (count, number, most) if count > most else (most, owner, max(second, count))
        for number, counts in enumerate(grams):
            total = sum(counts.values())
            if total:
                matches = 0
                for gram, count in counts.items():
                    most, owner, second = largest[gram]
                    matches += min(count, second if owner == number else most)
                logs[number] += np.log(max(matches, EPSILON) / total)
                orders[number] += 1
    bleus = np.exp(logs / np.maximum(orders, 1) + [_brevity(lengths, number) for number in range(len(lengths))])
    silent = lengths == 0
    return np.where(silent, float(silent.sum() > 1), np.minimum(bleus, 1.0))


def _brevity(lengths: np.ndarray, number: int) -> float:
    """The logarithm of the brevity penalty: from the other length that is nearest, the shorter one of two."""
    own, others = int(lengths[number]), np.delete(lengths, number)
    nearest = int(others[np.lexsort((others, np.abs(others - own)))[0]])
    return min(0.0, 1 - nearest / own) if own else 0.0
