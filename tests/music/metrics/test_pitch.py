"""Metrics of pitch."""

import math

import numpy as np
import pytest

from toccata.music.metrics import (
    distinct_pitches,
    key,
    key_clarity,
    pitch_class_count,
    pitch_class_entropy,
    pitch_range,
    scale_consistency,
)
from toccata.music.metrics.pitch import MAJOR_PROFILE, MINOR_PROFILE, best_keys
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


def test_pitch_class_count_fold_octaves(line):
    assert pitch_class_count(line(48, 60, 72, 64)) == 2
    assert pitch_class_count(Score()) == 0


def test_the_key_of_scales_and_cadences(line):
    assert key(line((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))) == "C major"
    assert key(line((57, 60, 64), (62, 65, 69), (64, 68, 71), (57, 60, 64))) == "A minor"
    assert key(line(63, 65, 67, 68, 70, 72, 74, 75)) == "Eb major"
    assert key(Score()) == key(line(*range(60, 72))) == ""  # no note, and every pitch class equally long


def test_key_clarity_is_a_correlation_with_the_profile_of_the_key():
    """Durations in proportion to the profile of D minor correlate with it by 1, and less so after any change."""
    durations = [round(100 * weight) for weight in MINOR_PROFILE]
    notes = [(0, duration, 62 + step, 80) for step, duration in enumerate(durations)]
    assert key(Score(notes)) == "D minor"
    assert key_clarity(Score(notes)) == pytest.approx(1, abs=1e-12)
    assert key_clarity(Score([*notes[:-1], (0, 900, 73, 80)])) < 0.9
    assert key_clarity(Score()) == 0
    # one pitch class alone: 6.35 minus the mean 41.8 / 12 of the profile, over the profile's norm times sqrt(11 / 12)
    profile = np.array(MAJOR_PROFILE)
    expected = (6.35 - profile.mean()) / (np.sqrt(((profile - profile.mean()) ** 2).sum()) * np.sqrt(11 / 12))
    assert key_clarity(Score([(0, 24, 61, 80)])) == pytest.approx(expected, abs=1e-12)


def test_keys_that_fit_equally_well_are_all_found():
    """A tritone fits the keys of both its notes: C and F#, whichever is lower."""
    for low in (60, 66):
        assert best_keys(Score([(0, 24, low, 80), (24, 24, low + 6, 80)])) in ([0, 6], [12, 18])
