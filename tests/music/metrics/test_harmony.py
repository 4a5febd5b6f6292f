"""Metrics of harmony."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.metrics import cadence_rate, chord_change_rate, key, tonal_distance
from toccata.music.metrics.sounding import beat_of, beat_start, pitch_class_ticks, sounding_beats
from toccata.music.score import Score

C, F, G, A_MINOR, E = (48, 64, 67), (53, 65, 69), (43, 62, 71), (45, 64, 72), (40, 68, 71)


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def scores() -> st.SearchStrategy[Score]:
    note = st.tuples(st.integers(0, 400), st.integers(1, 200), st.integers(40, 80), st.just(80))
    return st.builds(
        lambda notes, beats: Score(notes, beats_per_bar=beats),
        st.lists(note, max_size=25),
        st.sampled_from([0.5, 2, 3, 3.5, 4]),
    )


def test_cadences_in_root_position(line):
    authentic = line(C, F, F, G, C)  # G to C over the bar line at beat 4
    assert key(authentic) == "C major"
    assert cadence_rate(authentic) == 1
    assert cadence_rate(line(C, G, C, F, C)) == 1  # plagal
    assert cadence_rate(line(C, F, F, G, A_MINOR)) == 0  # deceptive
    assert cadence_rate(line(C, F, F, G, (52, 60, 67))) == 0  # to the first inversion
    assert cadence_rate(line(C, F, F, (47, 62, 67), C)) == 0  # from it
    assert cadence_rate(line(C, F, G, C)) == 0  # inside a bar
    minor = line(A_MINOR, A_MINOR, E, E, A_MINOR)
    assert key(minor) == "A minor"
    assert cadence_rate(minor) == 1  # with a major dominant
    assert cadence_rate(line(C, F, F, G, C, G, C, G, A_MINOR)) == exactly(1 / 2)
    assert cadence_rate(line(C, F, G, C, beats_per_bar=3)) == 1
    assert cadence_rate(Score([(0, 24, 60, 80)])) == cadence_rate(Score()) == 0


def test_chord_changes(line):
    assert chord_change_rate(line(C, C, F, C)) == exactly(2 / 3)
    assert chord_change_rate(line(60, 64, 67, 72)) == 0  # an arpeggio of one chord
    assert chord_change_rate(line(60, 64, 67, 71)) == exactly(1 / 3)  # C E G fit C major; B does not
    assert chord_change_rate(line(C)) == chord_change_rate(Score()) == 0
    rest = Score([(0, 24, 60, 80), (480, 24, 60, 80)])
    assert chord_change_rate(rest) == 0  # beats without sound are left out
    held = Score([(0, 960, 60, 80), (0, 960, 64, 80), (960, 24, 62, 80), (960, 24, 65, 80), (960, 24, 69, 80)])
    assert chord_change_rate(held) == exactly(1 / 40)  # of 41 beats with sound


def test_tonal_distance(line):
    # a fifth apart: on the circle of fifths 210 degrees, of minor thirds 630, of major thirds 840 (2 pi / 3 each)
    fifth = [2 * r * abs(np.sin(7 * angle * np.pi / 2)) for r, angle in ((1, 7 / 6), (1, 3 / 2), (0.5, 2 / 3))]
    assert tonal_distance(line(60, 67)) == exactly(np.linalg.norm(fifth))
    assert tonal_distance(line(60, 72, 48)) == exactly(0)
    assert tonal_distance(line(60, 67)) < tonal_distance(line(60, 61)) < tonal_distance(line(60, 66)) + 1
    assert tonal_distance(line(60)) == tonal_distance(Score()) == 0
    held = Score([(0, 96, 60, 80), (96, 96, 67, 80)])
    assert tonal_distance(held) == exactly(np.linalg.norm(fifth) / 7)  # one change in eight beats


@settings(max_examples=60, deadline=None)
@given(scores())
def test_beats_of_the_sounding_notes_agree_with_the_roll(score):
    """With the last beat of a bar of 3.5 quarters an eighth long, and bars of half a quarter."""
    roll = score.roll() > 0
    chroma = np.stack([roll[:, pitch_class::12].sum(1) for pitch_class in range(12)], axis=1)
    starts = [
        bar + beat
        for bar in range(0, score.length_ticks, score.ticks_per_bar)
        for beat in range(0, score.ticks_per_bar, 24)
    ]
    beats = np.arange(len(starts))
    assert beat_start(score, beats).tolist() == starts
    assert beat_of(score, np.array(starts)).tolist() == beats.tolist()
    expected = np.array([chroma[a:b].sum(0) for a, b in zip(starts, [*starts[1:], len(roll)], strict=False)])
    expected = expected.reshape(-1, 12)
    found = pitch_class_ticks(score, beat_start(score, beats), beat_start(score, beats + 1))
    assert (found == expected).all()
    rows, counts = sounding_beats(score)
    repeated = np.repeat(rows, counts, axis=0)
    expected = expected[expected.any(1)]
    assert repeated.shape == expected.shape
    # in a stretch without changes each beat has the length of its first one: the shares are equal
    np.testing.assert_allclose(repeated / repeated.sum(1, keepdims=True), expected / expected.sum(1, keepdims=True))


@settings(max_examples=60, deadline=None)
@given(scores())
def test_chord_changes_are_the_fewest_among_the_best_triads(score):
    """Against the fewest changes over all chords of every beat with sound."""
    rows, counts = sounding_beats(score)
    triads = [{(root + step) % 12 for step in (0, third, 7)} for third in (4, 3) for root in range(12)]
    fewest: dict[int, int] = dict.fromkeys(range(24), 0)
    for row in np.repeat(rows, counts, axis=0):
        covered = [sum(int(row[pitch_class]) for pitch_class in triad) for triad in triads]
        best = [chord for chord in range(24) if covered[chord] == max(covered)]
        least = min(fewest.values()) + 1
        fewest = {chord: min(fewest.get(chord, least), least) for chord in best}
    beats = int(counts.sum())
    assert chord_change_rate(score) == exactly(min(fewest.values()) / (beats - 1) if beats > 1 else 0)
