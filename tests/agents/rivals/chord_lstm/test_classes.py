from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.agents.rivals.chord_lstm.classes import UNKNOWN, Events, Vocabulary, events_of, score_of
from toccata.music.score import Score


def test_an_event_is_the_set_of_pitches_struck_together_and_its_timing() -> None:
    score = Score([(0, 48, 48, 80), (0, 24, 60, 80), (0, 24, 64, 80), (24, 12, 62, 80), (48, 24, 60, 80)])
    events = events_of(score)
    assert events.chords == ((48, 60, 64), (62,), (60,))
    assert events.timings.tolist() == [[24, 24], [24, 12], [48, 24]]
    assert events.notes == 5
    assert len(events_of(Score())) == 0


chords = st.sets(st.integers(60, 72), min_size=1, max_size=3).map(lambda pitches: tuple(sorted(pitches)))


@given(st.lists(st.tuples(chords, st.sampled_from([6, 12, 24, 48])), min_size=1, max_size=20))
def test_events_are_read_back_from_their_score(drawn: list[tuple[tuple[int, ...], int]]) -> None:
    gaps = np.array([gap for _, gap in drawn])
    events = Events(tuple(chord for chord, _ in drawn), np.stack([gaps, gaps], axis=1))
    score = score_of(events, int(gaps.sum()), 4, 120)
    assert score.length_ticks == gaps.sum()
    read = events_of(score)
    assert read.chords == events.chords
    assert (read.timings == events.timings).all()


def test_what_is_after_the_end_is_cut() -> None:
    events = Events(((60,), (62,), (64,)), np.array([[24, 24]] * 3))
    assert score_of(events, 36, 4, 120) == Score([(0, 24, 60, 80), (24, 12, 62, 80)], length_ticks=36)


def test_the_vocabulary_has_what_occurs_at_least_twice() -> None:
    events = Events(((60,), (60, 64), (60,), (67,), (67,), (60,)), np.array([[24, 24]] * 5 + [[12, 6]]))
    vocabulary = Vocabulary.of([events])
    assert vocabulary.chords == ((60,), (67,))
    assert vocabulary.timings == ((24, 24), (12, 6))
    assert vocabulary.to_json() == {"chords": ["60", "67"], "timings": ["24.24", "12.6"]}
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert vocabulary.chord_classes([(67,), (60, 64), (60,)]).tolist() == [3, UNKNOWN, 2]
    assert vocabulary.timing_classes(np.array([[24, 24], [12, 6], [1000, 900], [8, 6]])).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("chords", "timings", "message"),
    [
        ((), ((1, 1),), "at least one chord"),
        (((64, 60),), ((1, 1),), "ascending pitches"),
        (((128,),), ((1, 1),), "ascending pitches in 0..127"),
        (((60,),), ((0, 1),), "at least one tick"),
    ],
)
def test_wrong_vocabularies_are_refused(chords: tuple, timings: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Vocabulary(chords, timings)
