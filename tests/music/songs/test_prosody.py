from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.songs import song
from toccata.music.songs.prosody import (
    UNKNOWN,
    line_end_degree,
    line_end_length,
    phrase_arch,
    stress_on_beats,
    stress_on_length,
    stressed_on_strong,
    sung_syllables,
)

IAMBS = "a-BC d-EF g-HI j-KL"  # eight syllables, every second stressed


def test_the_rows_of_a_song_with_a_melisma() -> None:
    score, underlay = song("A-b_ / C", [60, 62, 64, 65], [1, 1, 0.5, 1], rest_after=[2])
    sung = sung_syllables(score, underlay)
    assert len(sung) == 3
    np.testing.assert_array_equal(sung.onset_ticks, [0, 24, 84])
    np.testing.assert_array_equal(sung.ticks, [24, 36, 24])
    np.testing.assert_array_equal(sung.first_pitches, [60, 62, 65])
    np.testing.assert_array_equal(sung.last_pitches, [60, 64, 65])
    np.testing.assert_array_equal(sung.notes, [1, 2, 1])
    np.testing.assert_array_equal(sung.stress, [1, 0, 1])
    np.testing.assert_array_equal(sung.line_ends, [False, True, True])
    assert sung.lines == [slice(0, 2), slice(2, 3)]


def test_iambs_that_begin_on_the_upbeat_are_on_the_beats_and_trochaic_ones_are_not() -> None:
    score, underlay = song(IAMBS, [60] * 8, [1] * 8)  # unstressed on beats 1 and 3
    assert stress_on_beats(sung_syllables(score, underlay)) == 0
    trochees, under = song("A-b C-d E-f G-h", [60] * 8, [1] * 8)
    sung = sung_syllables(trochees, under)
    assert stress_on_beats(sung) == 1
    assert stressed_on_strong(sung) == 1
    assert stressed_on_strong(sung, stressed=False) == 0


def test_long_stressed_syllables_and_the_end_of_the_line_left_out() -> None:
    score, underlay = song("A-b C-d / E-f", [60] * 6, [2, 1, 2, 4, 1, 2])
    assert stress_on_length(sung_syllables(score, underlay)) == 1  # A-b, b-C; d and f end lines
    score, underlay = song("A-b C-d / E-f", [60] * 6, [1, 2, 1, 4, 1, 2])
    assert stress_on_length(sung_syllables(score, underlay)) == 0


def test_pairs_across_lines_do_not_count() -> None:
    score, underlay = song("a / B", [60, 60], [1, 1])
    assert stress_on_beats(sung_syllables(score, underlay)) == 0.5


def test_lines_that_end_on_the_tonic() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72]
    score, underlay = song("a b c d e f g h", scale, [1] * 7 + [4], with_bass=False)
    assert line_end_degree(sung_syllables(score, underlay), score) == pytest.approx(1.0)
    score, underlay = song("a b c d e f g h / i", [*scale, 61], [1] * 7 + [4, 0.5], with_bass=False)
    assert line_end_degree(sung_syllables(score, underlay), score) == pytest.approx(0.5, abs=0.01)  # 1 and nearly 0


@pytest.mark.parametrize(("last", "value"), [(2, 1.0), (8, 1.0), (1, 0.5), (0.5, 0.0), (0.25, 0.0)])
def test_the_length_of_line_ends(last: float, value: float) -> None:
    score, underlay = song("a b c", [60, 62, 64], [1, 1, last])
    assert line_end_length(sung_syllables(score, underlay)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("pitches", "value"),
    [([60, 64, 60], 1), ([64, 60, 64], 0), ([60, 62, 64], 0.5), ([60, 60, 60], 0.5), ([60, 64, 64], 0.75)],
)
def test_the_contour_of_a_line(pitches: list[int], value: float) -> None:
    score, underlay = song("a b c", pitches, [1, 1, 1])
    assert phrase_arch(sung_syllables(score, underlay)) == value


def test_where_nothing_can_be_compared_the_value_is_a_half() -> None:
    score, underlay = song("a?", [60], [1], with_bass=False)
    sung = sung_syllables(score, underlay)
    assert sung.stress.tolist() == [UNKNOWN]
    for value in (stress_on_beats, stress_on_length, line_end_length, phrase_arch, stressed_on_strong):
        assert value(sung) == 0.5  # type: ignore[operator]  # functions of one argument


def test_an_unfinished_line_does_not_count() -> None:
    score, underlay = song("a b c / d e f", [60, 62, 60], [1, 1, 2])
    partial = sung_syllables(score, underlay)
    score, underlay = song("a b c / d e f", [60, 62, 60, 72, 60], [1, 1, 2, 1, 0.25])
    longer = sung_syllables(score, underlay)
    assert (phrase_arch(partial), line_end_length(partial)) == (phrase_arch(longer), line_end_length(longer))
    assert len(longer.lines) == 2


@given(
    st.lists(st.tuples(st.integers(48, 79), st.sampled_from([0.5, 1, 1.5, 2])), min_size=8, max_size=8),
    st.sampled_from([3, 4]),
)
def test_figures_are_in_range_and_mirrored_stress_mirrors_them(rows: list[tuple[int, float]], beats: float) -> None:
    score, underlay = song("a-BC d-E / f-GH i-J", [row[0] for row in rows], [row[1] for row in rows], (), beats)
    sung = sung_syllables(score, underlay)
    for value in (stress_on_beats, stress_on_length):
        assert 0 <= value(sung) <= 1
        assert value(replace(sung, stress=1 - sung.stress)) == pytest.approx(1 - value(sung))
    assert 0 <= line_end_degree(sung, score) <= 1
    assert 0 <= line_end_length(sung) <= 1
    assert 0 <= phrase_arch(sung) <= 1
