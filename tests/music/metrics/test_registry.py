"""All metrics of a score: known values, ranges, invariances, and agreement with each other and with the roll."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.metrics import (
    CORE_METRICS,
    METRICS,
    empty_beat_rate,
    key_clarity,
    loop_rate,
    measure,
    measure_each,
    polyphony,
    repeated_note_rate,
    silence_rate,
)
from toccata.music.score import Score

BEAT = 24
ONE_CLARITY = key_clarity(Score([(0, 24, 61, 80)]))  # test_pitch.py derives it
EMPTY = Score()
SILENT = Score(length_ticks=8 * 4 * BEAT)
ONE_NOTE = Score([(0, BEAT, 60, 80)])
CLUSTER = Score([(0, 4 * BEAT, pitch, 80) for pitch in range(128)])
NOTHING = (0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0)  # of the metrics that are not core ones
ONE = (1, ONE_CLARITY, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 80, 0, 0)
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
        (EMPTY, ((0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0), NOTHING)),
        (SILENT, ((0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0), NOTHING)),
        (ONE_NOTE, ((0, 1, 3 / 4, 3 / 4, 1, 0, 0, 1 / 4, 1, 1, 0, 1), ONE)),
        (INCOMPLETE_BEAT, ((0, 1, 1 / 2, 20 / 25, 1, 0, 0, 24 / 25, 1, 1, 0, 1), ONE)),
    ],
    ids=["empty", "silent", "one note", "incomplete beat"],
)
def test_all_metrics_of_a_nearly_empty_score(score, expected):
    values = [*expected[0], *expected[1]]
    assert measure(score) == {name: exactly(value) for name, value in zip(METRICS, values, strict=True)}


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
        "pitch_class_count": 12,
        "key_clarity": pytest.approx(0.3793, abs=1e-4),  # eight pitch classes sound a tenth longer than the others
        "empty_bar_rate": 0,
        "ioi_entropy": 0,
        "syncopation": 0,
        "polyphony_rate": 1,
        "qualified_note_rate": 1,
        "voice_leading_size": 0,
        # semitones, tones, their octaves: 128 keys have 128 - d pairs at distance d
        "dissonance_rate": exactly(
            sum(128 - d for d in range(1, 128) if d % 12 in (1, 2, 6, 10, 11)) / (128 * 127 / 2)
        ),
        "cadence_rate": 0,
        "chord_change_rate": 0,
        "tonal_distance": exactly(0),
        "self_similarity": 1,
        "structureness_short": 0,
        "structureness_mid": 0,
        "structureness_long": 0,
        "compression_ratio": exactly(2 / 127),  # the first semitone, and its 126 repetitions
        "repeated_motif_rate": 0,
        "velocity_mean": 80,
        "velocity_range": 0,
        "velocity_entropy": 0,
    }


@given(scores())
def test_every_metric_is_finite_and_in_its_range(score):
    values = measure(score)
    assert list(values) == list(METRICS)
    for name, value in values.items():
        assert type(value) is float
        assert np.isfinite(value)
        assert METRICS[name].low - 1e-12 <= value <= METRICS[name].high + 1e-12, name


@given(scores(), st.integers(-12, 12))
def test_metrics_are_invariant_under_transposition(score, semitones):
    assert measure(score.transpose(semitones), CORE_METRICS) == measure(score, CORE_METRICS)
    assert measure(score.transpose(semitones)) == pytest.approx(measure(score), abs=1e-9)


@given(scores())
def test_metrics_do_not_depend_on_the_grid_that_holds_the_notes(score):
    """On a grid of twice as many ticks; but for those whose resolution is a tick."""
    notes = [(2 * onset, 2 * duration, pitch, velocity) for onset, duration, pitch, velocity in score.notes.tolist()]
    fine = Score(notes, 48, beats_per_bar=score.beats_per_bar, length_ticks=2 * score.length_ticks)
    of_a_tick = ("groove_similarity", "syncopation")
    assert {name: value for name, value in measure(fine).items() if name not in of_a_tick} == pytest.approx(
        {name: value for name, value in measure(score).items() if name not in of_a_tick}, abs=1e-9
    )


@given(scores(), st.integers(1, 3))
def test_most_metrics_do_not_depend_on_silent_bars_before(score, bars):
    notes = score.notes.copy()
    notes["onset_tick"] += bars * score.ticks_per_bar
    later = Score(notes, beats_per_bar=score.beats_per_bar)
    of_the_length = ("empty_beat_rate", "empty_bar_rate", "silence_rate", "note_density", "polyphony_rate")
    for name, metric in METRICS.items():
        if name not in (*of_the_length, "groove_similarity", "cadence_rate"):  # a first bar line has no beat before
            assert metric(later) == pytest.approx(metric(score), abs=1e-9), name


def test_the_core_metrics_and_their_order_are_those_of_the_shipped_weights():
    assert list(METRICS)[: len(CORE_METRICS)] == list(CORE_METRICS)
    assert ", ".join(CORE_METRICS) == (
        "pitch_class_entropy, scale_consistency, empty_beat_rate, silence_rate, polyphony, repeated_note_rate, "
        "loop_rate, note_density, playability, groove_similarity, pitch_range, distinct_pitches"
    )


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
    held = Score([(0, 5 * 10**8, 60, 80), (0, 1, 64, 80), (5 * 10**8, 24, 62, 80)])
    assert measure(held)["empty_bar_rate"] == 0


@pytest.mark.parametrize("chord", [1, 4])
def test_metrics_of_many_notes_take_seconds(chord):
    """20,000 notes; nothing is quadratic in their number."""
    rng = np.random.default_rng(0)
    pitches = rng.integers(30, 90, 20_000)
    score = Score([(6 * (i // chord), 12, int(pitch), 80) for i, pitch in enumerate(pitches)])
    start = time.process_time()
    assert all(np.isfinite(value) for value in measure(score).values())
    assert time.process_time() - start < 10


def test_scores_are_measured_together_as_alone():
    scores_ = [Score(), Score([(24 * i, 24, 60 + i, 80) for i in range(8)])]
    together = measure_each(scores_)
    for index, score in enumerate(scores_):
        assert {name: float(values[index]) for name, values in together.items()} == measure(score)
    assert all(values.shape == (0,) for values in measure_each([]).values())
