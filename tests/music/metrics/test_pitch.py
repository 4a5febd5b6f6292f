"""Metrics of pitch."""

import math

import pytest

from toccata.music.metrics import distinct_pitches, pitch_class_entropy, pitch_range, scale_consistency
from toccata.music.score import Score


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def test_pitch_class_entropy_counts_notes_in_all_octaves(line):
    assert pitch_class_entropy(line(60, 64, 67, 71)) == exactly(2)
    assert pitch_class_entropy(line(60, 72, 48, 67)) == exactly(0.75 * math.log2(4 / 3) + 0.25 * 2)
    assert pitch_class_entropy(line(*range(60, 72))) == exactly(math.log2(12))
    long_and_short = Score([(0, 96, 60, 80), (96, 1, 61, 80)])
    assert pitch_class_entropy(long_and_short) == exactly(1)  # durations do not count


@pytest.mark.parametrize("tonic", range(12))
def test_scale_consistency_in_every_key(line, tonic):
    major = [60 + tonic + step for step in (0, 2, 4, 5, 7, 9, 11)]
    natural_minor = [60 + tonic + step for step in (0, 2, 3, 5, 7, 8, 10)]
    assert scale_consistency(line(*major)) == 1
    assert scale_consistency(line(*natural_minor)) == 1
    assert scale_consistency(line(*major, 60 + tonic + 6)) == exactly(7 / 8)  # one raised fourth
    assert scale_consistency(line(*range(60, 72))) == exactly(7 / 12)


def test_pitch_range_and_distinct_pitches(line):
    score = line(60, 72, 60, 64)
    assert pitch_range(score) == 12
    assert distinct_pitches(score) == 3
