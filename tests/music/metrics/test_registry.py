"""All metrics of a score: known values, ranges, invariances, and agreement with each other and with the roll."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.metrics import (
    METRICS,
    empty_beat_rate,
    loop_rate,
    measure,
    measure_each,
    polyphony,
    repeated_note_rate,
    silence_rate,
)
from toccata.music.score import Score

BEAT = 24
RANGES = {
    "pitch_class_entropy": (0, math.log2(12)),
    "scale_consistency": (0, 1),
    "empty_beat_rate": (0, 1),
    "silence_rate": (0, 1),
    "polyphony": (0, 128),
    "repeated_note_rate": (0, 1),
    "loop_rate": (0, 1),
    "note_density": (0, 128 * BEAT),
    "playability": (0, 1),
    "groove_similarity": (0, 1),
    "pitch_range": (0, 127),
    "distinct_pitches": (0, 128),
}
EMPTY = Score()
SILENT = Score(length_ticks=8 * 4 * BEAT)
ONE_NOTE = Score([(0, BEAT, 60, 80)])
CLUSTER = Score([(0, 4 * BEAT, pitch, 80) for pitch in range(128)])
INCOMPLETE_BEAT = Score([(0, 5, 60, 80)], length_ticks=BEAT + 1)  # ends inside its second beat


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def scores() -> st.SearchStrategy[Score]:
    note = st.tuples(st.integers(0, 300), st.integers(1, 100), st.integers(12, 115), st.integers(1, 127))
    return st.builds(
        lambda notes, beats_per_bar, extra: Score(
            notes,
            beats_per_bar=beats_per_bar,
            length_ticks=max((onset + duration for onset, duration, _, _ in notes), default=0) + extra,
        ),
        st.lists(note, max_size=40),
        st.sampled_from([2, 3, 3.5, 4]),
        st.integers(0, 200),
    )


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (EMPTY, (0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0)),
        (SILENT, (0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0)),
        (ONE_NOTE, (0, 1, 3 / 4, 3 / 4, 1, 0, 0, 1 / 4, 1, 1, 0, 1)),
        (INCOMPLETE_BEAT, (0, 1, 1 / 2, 20 / 25, 1, 0, 0, 24 / 25, 1, 1, 0, 1)),
    ],
    ids=["empty", "silent", "one note", "incomplete beat"],
)
def test_all_metrics_of_a_nearly_empty_score(score, expected):
    assert measure(score) == {name: exactly(value) for name, value in zip(METRICS, expected, strict=True)}


def test_all_metrics_of_a_cluster():
    counts = np.array([11] * 8 + [10] * 4)  # of 128 keys, C to G exist eleven times
    shares = counts / 128
    values = measure(CLUSTER)
    assert values.pop("pitch_class_entropy") == exactly(-(shares * np.log2(shares)).sum())
    # every scale has at most five of the eight classes C to G; C major has five, and A and B
    assert values.pop("scale_consistency") == exactly((5 * 11 + 2 * 10) / 128)
    assert values == {
        "empty_beat_rate": 0,
        "silence_rate": 0,
        "polyphony": 128,
        "repeated_note_rate": 0,
        "loop_rate": 0,
        "note_density": 32,
        "playability": 0,
        "groove_similarity": 1,
        "pitch_range": 127,
        "distinct_pitches": 128,
    }


@given(scores())
def test_every_metric_is_finite_and_in_its_range(score):
    values = measure(score)
    assert list(values) == list(METRICS) == [*RANGES][: len(METRICS)]
    for name, value in values.items():
        low, high = RANGES[name]
        assert type(value) is float
        assert low - 1e-12 <= value <= high + 1e-12, name


@given(scores(), st.integers(-12, 12))
def test_metrics_are_invariant_under_transposition(score, semitones):
    assert measure(score.transpose(semitones)) == measure(score)


@settings(max_examples=50)
@given(scores())
def test_silence_and_polyphony_agree_with_the_roll(score):
    down = (score.roll() > 0).sum(1)
    assert silence_rate(score) == exactly((down == 0).mean() if len(down) else 1)
    assert polyphony(score) == exactly(down[down > 0].mean() if len(score) else 0)
    beats = [down[tick : tick + BEAT].any() for tick in range(0, len(down), BEAT)]
    assert empty_beat_rate(score) == exactly(1 - np.mean(beats) if beats else 1)


@given(scores())
def test_the_loop_rate_is_at_least_the_repeated_note_rate(score):
    assert loop_rate(score) >= repeated_note_rate(score)


def test_memory_does_not_grow_with_the_length_in_ticks():
    score = Score([(0, 24, 60, 80), (5 * 10**8, 24, 64, 80)])
    assert measure(score)["silence_rate"] == exactly(1 - 48 / score.length_ticks)


def test_scores_are_measured_together_as_alone():
    scores_ = [Score(), Score([(24 * i, 24, 60 + i, 80) for i in range(8)])]
    together = measure_each(scores_)
    for index, score in enumerate(scores_):
        assert {name: float(values[index]) for name, values in together.items()} == measure(score)
    assert all(values.shape == (0,) for values in measure_each([]).values())
