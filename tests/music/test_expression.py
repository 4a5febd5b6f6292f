"""Dynamics by rules."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music import Score
from toccata.music.expression import ACCENTS, expressive, metrical_accents, phrase_arches

EIGHTHS = [(12 * i, 12, 60, 80) for i in range(64)]  # eight bars of 4/4


def accents(numerator: int, denominator: int, unit: int) -> list[int]:
    """The strength of each `unit` ticks of a bar: 0 the bar line, 1 its middle, 2 a beat, 3 and 4 weaker."""
    ticks = 96 * numerator // denominator
    score = Score(
        [(tick, unit, 60, 80) for tick in range(0, ticks, unit)], time_signatures=[(0, numerator, denominator)]
    )
    return [ACCENTS.index(level) for level in metrical_accents(score)]


def test_accents_by_time_signature():
    assert accents(4, 4, 6) == [0, 4, 3, 4, 2, 4, 3, 4, 1, 4, 3, 4, 2, 4, 3, 4]
    assert accents(3, 4, 12) == [0, 3, 2, 3, 2, 3]
    assert accents(2, 4, 12) == [0, 3, 2, 3]
    assert accents(2, 2, 24) == [0, 3, 2, 3]
    assert accents(6, 8, 12) == [0, 3, 3, 2, 3, 3]
    assert accents(9, 8, 12) == [0, 3, 3, 2, 3, 3, 2, 3, 3]
    assert accents(12, 8, 12) == [0, 3, 3, 2, 3, 3, 1, 3, 3, 2, 3, 3]
    assert accents(3, 8, 12) == [0, 3, 3]
    assert accents(5, 8, 12) == [0, 2, 2, 2, 2]
    assert accents(7, 8, 6) == [0, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3]


def test_accents_follow_changes_of_the_metre():
    notes = [(24 * beat, 24, 60, 80) for beat in range(10)]
    score = Score(notes, time_signatures=[(0, 4, 4), (96, 3, 4)])
    assert [ACCENTS.index(level) for level in metrical_accents(score)] == [0, 2, 1, 2, 0, 2, 2, 0, 2, 2]


def test_a_phrase_rises_to_a_point_after_its_middle_and_falls():
    level = phrase_arches(Score(EIGHTHS))
    peak = int(level.argmax())
    assert 32 < peak < 64
    assert level[0] == pytest.approx(-4) and level[peak] == pytest.approx(1.5, abs=0.5)
    first = level[:32]  # four bars: the inner arch rises and falls inside the rising outer one
    turn = int(first.argmax())
    assert (np.diff(first[: turn + 1]) > 0).all() and (np.diff(first[turn:]) < 0).all()
    assert first[-1] < first[turn] - 1 and level[-1] < level[peak] - 4


@pytest.mark.parametrize(("bars", "phrases"), [(1, 1), (3, 1), (5, 1), (6, 2), (9, 2), (13, 3), (16, 4)])
def test_a_short_last_phrase_belongs_to_the_one_before(bars, phrases, monkeypatch):
    monkeypatch.setattr("toccata.music.expression.PHRASES", ((4, 3.0),))
    level = phrase_arches(Score([(3 * i, 3, 60, 80) for i in range(32 * bars)]))
    peaks = (level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:])
    assert peaks.sum() == phrases


def test_the_melody_is_loudest_and_inner_voices_softest():
    chord = expressive(Score([(0, 96, pitch, 80) for pitch in (48, 60, 64, 67, 72)])).notes["velocity"].tolist()
    assert max(chord) == chord[-1] and min(chord[1:4]) < chord[0]
    held = Score([(0, 96, 72, 80), (24, 24, 60, 80), (48, 24, 76, 80)])  # 60 accompanies the held 72
    low, high = expressive(held).notes["velocity"][1:]
    assert high > low + 10


def test_high_notes_are_louder():
    low, high = (expressive(Score([(0, 24, pitch, 80)])).notes["velocity"][0] for pitch in (48, 84))
    assert 40 * np.log10(high / low) == pytest.approx(3, abs=0.2)  # dB in three octaves


def test_dynamics_of_its_own_are_kept():
    own = Score([(0, 24, 60, 80), (24, 24, 62, 81)])
    assert expressive(own) is own
    assert expressive(Score()) == Score()
    primed = Score([*own.notes.tolist(), *((48 + 12 * i, 12, 64, 80) for i in range(8))])
    assert expressive(primed) is primed
    rendered = expressive(primed, first_tick=48)
    assert rendered.notes["velocity"][:2].tolist() == [80, 81]
    assert len(set(rendered.notes["velocity"][2:].tolist())) > 2
    flat = Score(EIGHTHS)
    assert expressive(flat, first_tick=96) == expressive(flat)


NOTE = st.tuples(st.integers(0, 2_000), st.integers(1, 300), st.integers(0, 127))


@settings(max_examples=60, deadline=None)
@given(
    notes=st.lists(NOTE, max_size=40),
    velocity=st.integers(1, 127),
    ticks_per_beat=st.sampled_from([1, 24, 480]),
    bar=st.sampled_from([1, 3, 4, 5, 7, 511]),
    signatures=st.sampled_from([(), ((0, 4, 4), (100, 3, 4)), ((0, 2, 1), (48, 1, 4))]),
)
def test_only_velocities_change_and_stay_in_their_range(notes, velocity, ticks_per_beat, bar, signatures):
    metre = {"time_signatures": signatures} if signatures else {"beats_per_bar": bar / ticks_per_beat}
    if signatures and ticks_per_beat == 1:
        metre = {"beats_per_bar": bar}
    score = Score([(*note, velocity) for note in notes], ticks_per_beat=ticks_per_beat, **metre)
    rendered = expressive(score)
    assert ((rendered.notes["velocity"] >= 40) & (rendered.notes["velocity"] <= 110)).all()
    assert expressive(score) == rendered
    unchanged = rendered.notes.copy()
    unchanged["velocity"] = velocity
    assert replace(rendered, notes=unchanged) == score
