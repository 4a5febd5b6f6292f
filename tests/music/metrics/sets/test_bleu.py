"""Self-BLEU of known sets."""

import numpy as np
import pytest

from toccata.music.metrics.sets import self_bleu
from toccata.music.score import Score


def tune(*pitches: int, step: int = 12) -> Score:
    return Score([(i * step, step, pitch, 80) for i, pitch in enumerate(pitches)])


SCALE = tune(60, 62, 64, 65, 67, 69)


def test_equal_scores_repeat_each_other() -> None:
    assert self_bleu([SCALE, SCALE.transpose(5), SCALE]) == pytest.approx(1), "transposition"
    assert self_bleu([tune(60, 62), tune(67, 69)]) == pytest.approx(1), "one step has one order"
    assert self_bleu([Score(), Score(length_ticks=96)]) == 1


def test_known_values() -> None:
    # four steps each, a a b c and a a b d: 3/4, 2/3, 1/2 of the n-grams and none of one four-gram, which counts 0.1
    ours, theirs = tune(60, 61, 62, 64, 67), tune(60, 61, 62, 64, 68)
    assert self_bleu([ours, theirs]) == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25)
    # a against a a: one step has one order, precision 1 and brevity penalty exp(1 - 2/1); a a against a: 1/2, and no
    # bigram of one: sqrt(1/2 x 0.1)
    assert self_bleu([tune(60, 61), tune(60, 61, 62)]) == pytest.approx((np.exp(-1) + np.sqrt(0.05)) / 2)


def test_counts_are_clipped_by_the_fullest_other_score() -> None:
    # a a a a with the references a a (then b b) and a: 2 of 4 unigrams, 1 of 3 bigrams, then 0.1 of 2 and of 1
    sets = [tune(60, 61, 62, 63, 64), tune(60, 61, 62, 64, 66), tune(60, 61, 65, 71, 60)]
    expected = (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1) ** 0.25
    alone = [self_bleu([sets[0], other]) for other in sets[1:]]
    assert alone[0] > alone[1]
    others = [(2 / 4 * 1 / 3 * 0.1 / 2 * 0.1) ** 0.25, (1 / 4 * 0.1 / 3 * 0.1 / 2 * 0.1) ** 0.25]
    assert self_bleu(sets) == pytest.approx(np.mean([expected, *others]))


def test_few_and_different_scores() -> None:
    assert self_bleu([]) == self_bleu([SCALE]) == 0
    assert self_bleu([SCALE, Score()]) < 0.1
    assert self_bleu([SCALE, tune(90, 80, 60, 79, 50, 93)]) < 0.1
    assert self_bleu([Score([(0, 12, pitch, 80) for pitch in range(21, 109)]), SCALE]) < 0.2
