from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tunes import tune
from toccata.music.metrics import CORE_METRICS
from toccata.music.score import Score
from toccata.reward_models.judges.features import FEATURE_COUNT, highest_notes, piece_features

METRICS = len(CORE_METRICS)  # features before the histograms


def test_features_are_finite_for_every_score() -> None:
    wall = Score([(24 * i, 24, pitch, 80) for i in range(8) for pitch in range(21, 109)])
    long = Score([(0, 4, 60, 80)], ticks_per_beat=960, length_ticks=960 * 4)
    for score in (Score(), Score(length_ticks=96), Score([(0, 24, 60, 80)]), wall, long):
        features = piece_features(score)
        assert features.shape == (FEATURE_COUNT,)
        assert np.isfinite(features).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 50), st.integers(-6, 6))
def test_they_are_invariant_under_transposition(seed: int, semitones: int) -> None:
    score = tune(4, seed=seed)
    np.testing.assert_allclose(piece_features(score.transpose(semitones)), piece_features(score), atol=1e-12)


def test_intervals_of_the_melody_are_counted() -> None:
    """C D E C over a held bass: two steps up and a third down."""
    melody = [(24 * i, 24, pitch, 80) for i, pitch in enumerate((72, 74, 76, 72))]
    features = piece_features(Score([*melody, (0, 96, 48, 80)]))
    intervals = features[METRICS : METRICS + 25]
    assert intervals[12 + 2] == pytest.approx(2 / 3)
    assert intervals[12 - 4] == pytest.approx(1 / 3)
    assert intervals.sum() == pytest.approx(1)


def test_repeated_bars_are_similar() -> None:
    bar = [(0, 24, 60), (24, 24, 64), (48, 48, 67)]
    same = Score([(96 * i + onset, ticks, pitch, 80) for i in range(4) for onset, ticks, pitch in bar])
    other = Score([(96 * i + onset, ticks, pitch + i, 80) for i in range(4) for onset, ticks, pitch in bar])
    rhythm, notes = piece_features(same)[-7:-5]
    assert (rhythm, notes) == (1, 1)
    rhythm, notes = piece_features(other)[-7:-5]
    assert rhythm == 1
    assert notes < 0.5


def test_a_loop_compresses_better_than_a_walk() -> None:
    loop = Score([(12 * i, 12, 60 + 4 * (i % 2), 80) for i in range(64)])
    walk = Score([(12 * i, 12, 60 + (i * i * 7) % 23, 80) for i in range(64)])
    assert piece_features(loop)[-1] < 0.5 * piece_features(walk)[-1]


def test_the_melody_is_the_highest_note_of_each_onset() -> None:
    score = Score([(0, 96, 48, 80), (0, 24, 60, 80), (0, 24, 64, 80), (24, 24, 62, 80)])
    assert highest_notes(score).notes["pitch"].tolist() == [64, 62]
    assert highest_notes(score).length_ticks == score.length_ticks
    assert not len(highest_notes(Score(length_ticks=96)))
