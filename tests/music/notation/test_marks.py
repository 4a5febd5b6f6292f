"""Beams, clefs, octave lines, dynamic marks, measures."""

from itertools import pairwise

import numpy as np
import pytest

from toccata.music.notation.beams import beams
from toccata.music.notation.clefs import Clef, clefs
from toccata.music.notation.dynamics import dynamic_marks
from toccata.music.notation.layout import Measure, measures, with_upbeat
from toccata.music.notation.metres import division
from toccata.music.notation.smoothing import best_path
from toccata.music.notation.values import Piece, values
from toccata.music.score import Score


def beamed(signature, ticks, rests=()):
    pieces = [Piece(a, b, "rest" if a in rests else "note") for a, b in pairwise([0, *ticks])]
    bar = division(*signature)
    return [" ".join(names) for names in beams(bar, pieces, values(bar, pieces))]


def test_beams_join_the_notes_of_a_beat():
    assert beamed((2, 4), (12, 24, 36, 48)) == ["begin", "end", "begin", "end"]
    assert beamed((6, 8), range(12, 73, 12)) == ["begin", "continue", "end"] * 2
    assert beamed((3, 8), (12, 24, 36)) == ["begin", "continue", "end"]
    assert beamed((7, 8), range(12, 85, 12)) == ["begin", "end", "begin", "end", "begin", "continue", "end"]


def test_beams_of_several_values():
    assert beamed((1, 4), (12, 18, 24)) == ["begin", "continue begin", "end end"]
    assert beamed((1, 4), (18, 24)) == ["begin", "end backward hook"]
    assert beamed((1, 4), (6, 24)) == ["begin forward hook", "end"]


def test_rests_end_beams():
    assert beamed((1, 4), (6, 12, 18, 24), rests=(12,)) == ["begin begin", "end end", "", ""]
    assert beamed((2, 4), (24, 36, 48), rests=(24,)) == ["", "", ""]


def test_beams_and_triplets():
    assert beamed((1, 4), (12, 16, 20, 24)) == ["begin", "continue begin", "continue continue", "end end"]
    assert beamed((1, 4), (4, 8, 12, 24), rests=(0,)) == ["", "begin begin", "end end", ""]


def test_clefs_follow_long_runs():
    assert clefs([[35], [36]], "G") == [Clef("G", 0)] * 2
    assert clefs([[20, 28]] * 3, "F") == [Clef("F", 0)] * 3
    assert clefs([[35]] * 4, "F") == [Clef("G", 0)] * 4
    assert clefs([[35], [48], [35]], "G")[1] == Clef("G", 1)  # five ledger lines
    assert clefs([[35], [43], [35]], "G")[1] == Clef("G", 0)
    assert clefs([[20], [9], [9], [20]], "F") == [Clef("F", 0), Clef("F", -1), Clef("F", -1), Clef("F", 0)]
    assert clefs([[]], "G") == [Clef("G", 0)]


def test_dynamic_marks_last():
    velocities = np.array([80] * 4 + [112] * 4 + [40] + [112] * 3)
    assert dynamic_marks(velocities, np.arange(12), 12) == [(0, "mf"), (4, "ff")]
    assert dynamic_marks(np.array([33, 34]), np.array([0, 1]), 3) == [(0, "pp")]
    assert dynamic_marks(np.empty(0), np.empty(0, int), 2) == []


def test_measures():
    assert measures(Score(), 0) == [Measure(0, 0, 96, (4, 4))]
    score = Score([(0, 24, 60, 80)], time_signatures=[(0, 3, 4), (60, 2, 4)], length_ticks=108)
    assert measures(score, 108) == [Measure(0, 0, 60, (3, 4)), Measure(60, 0, 48, (2, 4))]
    fine = Score([(0, 10, 60, 80)], 10, beats_per_bar=0.7)
    assert [bar.signature for bar in measures(fine, 24)] == [(4, 4)]


@pytest.mark.parametrize(("silence", "first"), [(72, 72), (24, 24), (12, 0), (71, 0), (96, 0)])
def test_an_upbeat_follows_a_beat_of_silence(silence, first):
    bars = measures(Score(length_ticks=192), 192)
    assert with_upbeat(bars, silence)[0] == Measure(0, first, 96 - first, (4, 4))


def test_best_path():
    costs = np.array([[0, 1], [1, 0], [0, 1], [3, 0]])
    assert best_path(costs, [np.zeros((2, 2))] * 3).tolist() == [0, 1, 0, 1]
    assert best_path(costs, [2 * (1 - np.eye(2))] * 3).tolist() == [1, 1, 1, 1]
    assert best_path(costs[:0], []).tolist() == []
