"""Keys of sources, and estimated ones."""

import pytest
from music21 import analysis, corpus

from toccata.music.musicxml import score_from_stream
from toccata.music.notation.keys import Key, estimated_keys, key_fifths, keys
from toccata.music.score import Score

MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)
HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11, 12)


def scale(tonic, steps=MAJOR_SCALE, start=0, times=1):
    line = [tonic + step for step in steps] * times
    return [(start + 24 * index, 24, pitch, 80) for index, pitch in enumerate(line)]


@pytest.mark.parametrize(
    ("tonic", "fifths"), [(60, 0), (67, 1), (65, -1), (68, -4), (61, -5), (66, 6), (71, 5), (63, -3)]
)
def test_a_major_scale(tonic, fifths):
    assert estimated_keys(Score(scale(tonic))) == [Key(0, fifths, minor=False)]


@pytest.mark.parametrize(("tonic", "fifths"), [(57, 0), (64, 1), (60, -3), (61, 4)])
def test_a_minor_scale(tonic, fifths):
    assert estimated_keys(Score(scale(tonic, HARMONIC_MINOR))) == [Key(0, fifths, minor=True)]


def test_a_key_changes_where_another_lasts():
    score = Score(scale(60, times=8) + scale(66, start=8 * 192, times=8))
    assert estimated_keys(score) == [Key(0, 0, minor=False), Key(8 * 192, 6, minor=False)]


def test_a_short_excursion_is_no_key():
    score = Score(scale(60, times=6) + scale(66, start=6 * 192) + scale(60, start=7 * 192, times=6))
    assert [key.fifths for key in estimated_keys(score)] == [0]


def test_signatures_of_the_source_count():
    score = Score(scale(60, times=2), key_signatures=[(0, -7), (192, 3)])
    assert [key[:2] for key in keys(score)] == [(0, -7), (192, 3)]
    late = Score(scale(57, HARMONIC_MINOR), key_signatures=[(96, 0)])
    assert keys(late) == [Key(0, 0, minor=True)]


def test_without_notes():
    assert keys(Score()) == [Key(0, 0, minor=False)]
    assert keys(Score(key_signatures=[(0, 2)])) == [Key(0, 2, minor=False)]


def test_bars_shorter_than_a_quarter():
    assert estimated_keys(Score(scale(67), beats_per_bar=1 / 24)) == [Key(0, 1, minor=False)]


@pytest.mark.parametrize("name", ["bach/bwv66.6", "bach/bwv227.7", "bach/bwv281", "bach/bwv269"])
def test_as_music21_analyses(name):
    stream = corpus.parse(name)
    theirs = analysis.discrete.TemperleyKostkaPayne().getSolution(stream)
    assert [key.fifths for key in estimated_keys(score_from_stream(stream))] == [theirs.sharps]


def test_fifths_of_keys():
    assert [key_fifths(tonic, False) for tonic in (0, 7, 5, 6, 11, 1)] == [0, 1, -1, 6, 5, -5]
    assert [key_fifths(tonic, True) for tonic in (9, 4, 0, 3)] == [0, 1, -3, 6]
