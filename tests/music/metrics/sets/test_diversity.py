"""Diversity and the Vendi score of known sets."""

import pytest

from toccata.music.metrics import diversity, vendi_score
from toccata.music.score import Score


def tune(*pitches: int, step: int = 12, start: int = 0) -> Score:
    return Score([(start + i * step, step, pitch, 80) for i, pitch in enumerate(pitches)])


def test_diversity_of_known_sets() -> None:
    scale, inversion = tune(60, 62, 64, 65, 67), tune(67, 65, 64, 62, 60)
    assert diversity([scale, scale, scale]).tolist() == pytest.approx([0, 0, 0])
    assert diversity([scale, scale.transpose(5)]).tolist() == pytest.approx([0, 0]), "transposition"
    assert diversity([scale, tune(60, 62, 64, 65, 67, start=96)]).tolist() == pytest.approx([0, 0]), "shift in time"
    assert diversity([scale, inversion]).tolist() == pytest.approx([1, 1]), "no common bigram"
    assert diversity([scale, scale, inversion]).tolist() == pytest.approx([0.5, 0.5, 1])
    assert diversity([tune(60, 62, 64, 66), tune(60, 62, 64, 65)]).tolist() == pytest.approx([1 - 0.5**0.5] * 2)


def test_diversity_is_defined_for_silence_and_for_few_scores() -> None:
    silence, scale = Score(length_ticks=96), tune(60, 62, 64)
    assert diversity([]).shape == (0,)
    assert diversity([scale]).tolist() == [0]
    assert diversity([silence, silence]).tolist() == pytest.approx([0, 0])
    assert diversity([silence, scale]).tolist() == pytest.approx([1, 1])
    assert diversity([tune(60), silence]).tolist() == pytest.approx([0, 0]), "one note has no bigram"


def test_vendi_score_counts_different_scores() -> None:
    one = Score([(24 * i, 24, 60 + i, 80) for i in range(8)])
    other = Score([(12 * i, 12, 60 + (i * 5) % 12, 80) for i in range(8)])
    assert vendi_score([]) == 0
    assert vendi_score([one]) == 1
    assert vendi_score([one, one, one]) == pytest.approx(1)
    assert vendi_score([one, other]) == pytest.approx(2, abs=0.05)
    assert vendi_score([one, one, other, other]) == pytest.approx(2, abs=0.05)
    assert vendi_score([Score(), Score(length_ticks=96)]) == pytest.approx(1), "silence is alike"
