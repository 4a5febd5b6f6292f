import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.metrics import (
    METRICS,
    distinct_pitches,
    diversity,
    empty_beat_rate,
    groove_similarity,
    loop_rate,
    measure,
    note_density,
    pitch_class_entropy,
    pitch_range,
    playability,
    polyphony,
    repeated_note_rate,
    scale_consistency,
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
WALL = Score([(0, 4 * BEAT, pitch, 80) for pitch in range(128)])
RAGGED = Score([(0, 5, 60, 80)], length_ticks=BEAT + 1)  # ends inside its second beat


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def line(*strikes, gap=BEAT, duration=BEAT, **kwargs) -> Score:
    """One strike every `gap` ticks; a strike is a pitch or a tuple of pitches."""
    chords = [(strike,) if isinstance(strike, int) else strike for strike in strikes]
    return Score([(i * gap, duration, pitch, 80) for i, chord in enumerate(chords) for pitch in chord], **kwargs)


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


# Known answers


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (EMPTY, (0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0)),
        (SILENT, (0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0)),
        (ONE_NOTE, (0, 1, 3 / 4, 3 / 4, 1, 0, 0, 1 / 4, 1, 1, 0, 1)),
        (RAGGED, (0, 1, 1 / 2, 20 / 25, 1, 0, 0, 24 / 25, 1, 1, 0, 1)),
    ],
    ids=["empty", "silent", "one note", "ragged end"],
)
def test_all_metrics_of_a_nearly_empty_score(score, expected):
    assert measure(score) == {name: exactly(value) for name, value in zip(METRICS, expected, strict=True)}


def test_all_metrics_of_a_wall_of_notes():
    counts = np.array([11] * 8 + [10] * 4)  # of 128 keys, C to G exist eleven times
    shares = counts / 128
    values = measure(WALL)
    assert values.pop("pitch_class_entropy") == exactly(-(shares * np.log2(shares)).sum())
    # no scale holds more than five of the eight classes C to G; C major holds them, with A and B
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


def test_pitch_class_entropy_counts_notes_in_all_octaves():
    assert pitch_class_entropy(line(60, 64, 67, 71)) == exactly(2)
    assert pitch_class_entropy(line(60, 72, 48, 67)) == exactly(0.75 * math.log2(4 / 3) + 0.25 * 2)
    assert pitch_class_entropy(line(*range(60, 72))) == exactly(math.log2(12))
    long_and_short = Score([(0, 96, 60, 80), (96, 1, 61, 80)])
    assert pitch_class_entropy(long_and_short) == exactly(1)  # durations do not count


@pytest.mark.parametrize("tonic", range(12))
def test_scale_consistency_knows_every_key(tonic):
    major = [60 + tonic + step for step in (0, 2, 4, 5, 7, 9, 11)]
    natural_minor = [60 + tonic + step for step in (0, 2, 3, 5, 7, 8, 10)]
    assert scale_consistency(line(*major)) == 1
    assert scale_consistency(line(*natural_minor)) == 1
    assert scale_consistency(line(*major, 60 + tonic + 6)) == exactly(7 / 8)  # one raised fourth
    assert scale_consistency(line(*range(60, 72))) == exactly(7 / 12)


def test_empty_beats_and_silence_reach_to_the_end_of_the_piece():
    score = Score([(0, 12, 60, 80), (BEAT, BEAT + 1, 64, 80)], length_ticks=8 * BEAT)  # touches beats 0, 1, 2
    assert empty_beat_rate(score) == exactly(5 / 8)
    assert silence_rate(score) == exactly(1 - 37 / 192)
    full = line(60, 62, 64, 65)
    assert empty_beat_rate(full) == silence_rate(full) == 0
    last_beat_empty = line(60, 62, 64)
    assert empty_beat_rate(last_beat_empty) == silence_rate(last_beat_empty) == exactly(1 / 4)


def test_a_short_note_under_a_long_one_does_not_hide_its_sound():
    score = Score([(0, 4 * BEAT, 48, 80), (0, 6, 60, 80), (BEAT, 6, 64, 80)])
    assert silence_rate(score) == empty_beat_rate(score) == 0
    assert polyphony(score) == exactly(108 / 96)


def test_polyphony_is_taken_where_something_sounds():
    assert polyphony(line((60, 64, 67), gap=4 * BEAT)) == 3
    assert polyphony(Score([(0, 10, 60, 80), (5, 10, 64, 80)])) == exactly(20 / 15)


@pytest.mark.parametrize(
    ("score", "repeated", "looped"),
    [
        (line(*[60] * 9), 1, 1),
        (line(*[(60, 64, 67)] * 9), 1, 1),
        (line(*[60, 62] * 4), 0, 5 / 7),  # a trill
        (line(*[48, 55, 52, 55] * 4), 0, 9 / 15),  # an Alberti figure
        (line(60, 62, 64, 65, 67, 69, 71, 72), 0, 0),
        (line(60, 60, 62, 62, 64), 2 / 4, 2 / 4),
        (line((60, 64), (60, 67), (60, 64, 67)), 0, 0),  # one voice repeats, the chord does not
        (line(60, 60, gap=8 * BEAT), 1, 1),  # a rest between makes no difference
        (line(*[60, 62, 64, 65, 67] * 4), 0, 0),  # a figure longer than LONGEST_LOOP
    ],
    ids=["note", "chord", "trill", "Alberti", "scale", "pairs", "pedal", "rest", "five notes"],
)
def test_repetition(score, repeated, looped):
    assert repeated_note_rate(score) == exactly(repeated)
    assert loop_rate(score) == exactly(looped)


def test_note_density_is_per_beat():
    assert note_density(line(*range(60, 68), gap=BEAT // 2, duration=1)) == 2
    assert note_density(line(60, length_ticks=8 * BEAT)) == exactly(1 / 8)


def test_playability_weighs_by_time():
    two_hands, too_wide = (36, 43, 50, 60, 67, 74), (36, 52, 68)  # three keys out of each other's reach
    assert playability(line(two_hands)) == 1
    assert playability(line(too_wide)) == 0
    assert playability(line(two_hands, too_wide, two_hands, two_hands)) == exactly(3 / 4)
    assert playability(line(two_hands, too_wide, gap=2 * BEAT)) == exactly(1 / 2)  # silence does not count
    assert playability(line(tuple(range(60, 66)))) == 1  # six neighbouring keys need both hands
    assert playability(line(tuple(range(60, 71)))) == 0  # eleven fingers


def test_groove_similarity():
    same = [(bar * 96 + tick, 6, 60, 80) for bar in range(3) for tick in (0, 24, 36, 72)]
    assert groove_similarity(Score(same)) == 1
    assert groove_similarity(Score([*same, (12, 6, 67, 80)])) == exactly(1 - (2 / 3) / 96)
    opposite = [(tick, 1, 60, 80) for tick in range(96)]
    assert groove_similarity(Score(opposite, length_ticks=2 * 96)) == 0
    # against the definition, pair by pair
    rng = np.random.default_rng(0)
    score = Score([(int(onset), 3, 60, 80) for onset in rng.integers(0, 6 * 96 - 3, 70)], length_ticks=6 * 96)
    grooves = np.zeros((6, 96), bool)
    grooves.reshape(-1)[score.notes["onset_tick"]] = True
    pairs = [1 - (grooves[a] ^ grooves[b]).mean() for a in range(6) for b in range(a)]
    assert groove_similarity(score) == exactly(np.mean(pairs))


def test_pitch_range_and_distinct_pitches():
    score = line(60, 72, 60, 64)
    assert pitch_range(score) == 12
    assert distinct_pitches(score) == 3


# Invariants


@given(scores())
def test_every_metric_is_finite_and_in_its_range(score):
    values = measure(score)
    assert list(values) == list(METRICS) == [*RANGES][: len(METRICS)]
    for name, value in values.items():
        low, high = RANGES[name]
        assert type(value) is float
        assert low - 1e-12 <= value <= high + 1e-12, name


@given(scores(), st.integers(-12, 12))
def test_no_metric_hears_a_transposition(score, semitones):
    assert measure(score.transpose(semitones)) == measure(score)


@settings(max_examples=50)
@given(scores())
def test_sound_agrees_with_the_roll(score):
    down = (score.roll() > 0).sum(1)
    assert silence_rate(score) == exactly((down == 0).mean() if len(down) else 1)
    assert polyphony(score) == exactly(down[down > 0].mean() if len(score) else 0)
    beats = [down[tick : tick + BEAT].any() for tick in range(0, len(down), BEAT)]
    assert empty_beat_rate(score) == exactly(1 - np.mean(beats) if beats else 1)


@given(scores())
def test_a_loop_is_at_least_a_repetition(score):
    assert loop_rate(score) >= repeated_note_rate(score)


def test_a_long_score_costs_no_memory_for_its_ticks():
    score = Score([(0, 24, 60, 80), (5 * 10**8, 24, 64, 80)])
    assert measure(score)["silence_rate"] == exactly(1 - 48 / score.length_ticks)


def tune(*pitches: int, step: int = 12, start: int = 0) -> Score:
    return Score([(start + i * step, step, pitch, 80) for i, pitch in enumerate(pitches)])


def test_diversity_of_known_sets() -> None:
    scale, turned = tune(60, 62, 64, 65, 67), tune(67, 65, 64, 62, 60)
    assert diversity([scale, scale, scale]).tolist() == pytest.approx([0, 0, 0])
    assert diversity([scale, scale.transpose(5)]).tolist() == pytest.approx([0, 0]), "neither key"
    assert diversity([scale, tune(60, 62, 64, 65, 67, start=96)]).tolist() == pytest.approx([0, 0]), "nor place"
    assert diversity([scale, turned]).tolist() == pytest.approx([1, 1]), "nothing in common"
    assert diversity([scale, scale, turned]).tolist() == pytest.approx([0.5, 0.5, 1])
    assert diversity([tune(60, 62, 64, 66), tune(60, 62, 64, 65)]).tolist() == pytest.approx([1 - 0.5**0.5] * 2)


def test_diversity_is_defined_for_silence_and_for_few_scores() -> None:
    silence, scale = Score(length_ticks=96), tune(60, 62, 64)
    assert diversity([]).shape == (0,)
    assert diversity([scale]).tolist() == [0]
    assert diversity([silence, silence]).tolist() == pytest.approx([0, 0])
    assert diversity([silence, scale]).tolist() == pytest.approx([1, 1])
    assert diversity([tune(60), silence]).tolist() == pytest.approx([0, 0]), "one note makes no step"
