from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import checked
from toccata.music.score import Score
from toccata.reward_models.rules import Density, Repetition, Silence

RULES = (Silence(), Repetition(), Density())
BAR = 96


def line(*pitches: int, duration: int = 24, bars: int = 8) -> Score:
    """The pitches one after the other, repeated until the bars are full."""
    count = bars * BAR // duration
    return Score([(i * duration, duration, pitches[i % len(pitches)], 80) for i in range(count)])


SILENT = Score(length_ticks=8 * BAR)
SCALE = line(*range(60, 92))
CLUSTERS = Score([(tick, 6, pitch, 80) for tick in range(0, 8 * BAR, 6) for pitch in range(48, 58)])
ONE_CHORD = Score([(tick, 24, pitch, 80) for tick in range(0, 8 * BAR, 24) for pitch in (60, 64, 67)])


@pytest.mark.parametrize(
    ("score", "silence", "repetition", "density"),
    [
        (SILENT, -1, 0, 0),
        (SCALE, 0, 0, 0),
        (line(60), 0, -1, 0),  # one note throughout
        (ONE_CHORD, 0, -1, 0),
        (line(60, 62, duration=6), 0, -1, 0),  # a trill
        (line(60, 64, 67, 64, duration=12), 0, -1, 0),  # an Alberti bass
        (CLUSTERS, 0, -1, -1),
        (Score([(0, 96, 60, 80)], length_ticks=8 * BAR), -1, 0, 0),
    ],
    ids=["silence", "scale", "one note", "one chord", "trill", "alberti", "cluster", "one note and silence"],
)
def test_each_rule_penalises_one_kind_of_piece(score: Score, silence: float, repetition: float, density: float) -> None:
    penalties = [checked(rule, Pieces([score]))[0] for rule in RULES]
    np.testing.assert_allclose(penalties, [silence, repetition, density], atol=0.2)


def test_a_penalty_is_zero_up_to_the_limit_and_linear_beyond() -> None:
    half_silent = Score([(0, 4 * BAR, 60, 80)], length_ticks=8 * BAR)
    pieces = Pieces([half_silent])
    assert Silence(0.5).score(pieces)[0] == 0
    assert Silence(0.0).score(pieces)[0] == pytest.approx(-0.5)
    assert Silence(0.25).score(pieces)[0] == pytest.approx(-1 / 3)


def test_density_is_minus_one_from_three_times_the_limit_on() -> None:
    two_a_beat = line(*range(60, 92), duration=12)
    assert Density(2.0).score(Pieces([two_a_beat]))[0] == 0
    assert Density(1.0).score(Pieces([two_a_beat]))[0] == pytest.approx(-0.5)
    assert Density(0.5).score(Pieces([two_a_beat]))[0] == -1


def test_the_primer_is_not_scored() -> None:
    rows = line(60).notes.tolist()
    rows += [(onset + 8 * BAR, duration, pitch, 80) for onset, duration, pitch, _ in SCALE.notes.tolist()]
    piece = Piece(Score(rows), start_tick=8 * BAR)
    assert Repetition().score(Pieces([piece]))[0] == 0
    assert Repetition().score(Pieces([piece.score]))[0] < 0


def test_limits_are_the_95th_percentile_of_the_given_scores() -> None:
    scores = [Score([(0, k, 60, 80)], length_ticks=BAR) for k in range(1, BAR + 1)]
    silent = [1 - score.notes["duration_ticks"][0] / BAR for score in scores]
    assert Silence.from_scores(scores).limit == pytest.approx(np.percentile(silent, 95))
    assert Repetition.from_scores([SCALE, line(60)]).repeated_limit == pytest.approx(0.95)
    assert Density.from_scores([SCALE]) == Density(1.0, 1.0)


@pytest.mark.parametrize("rule", [Silence, Repetition, Density])
def test_limits_from_extreme_scores_are_in_range(rule: type) -> None:
    for score in (SILENT, line(60), CLUSTERS, Score()):
        fitted = rule.from_scores([score])
        assert np.isfinite(fitted.score(Pieces([SILENT, CLUSTERS, SCALE, Score()]))).all()
    with pytest.raises(ValueError, match="at least one real score"):
        rule.from_scores([])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Silence(1.0), r"limit must be in \[0, 1\), got 1.0"),
        (lambda: Repetition(loop_limit=-0.1), r"loop_limit must be in \[0, 1\), got -0.1"),
        (lambda: Density(float("nan")), "density_limit must be"),
        (lambda: Density(polyphony_limit=10.0), r"polyphony_limit must be in \[0, 10\), got 10"),
    ],
)
def test_limits_out_of_range_are_errors(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


notes = st.tuples(st.integers(0, 700), st.integers(1, 96), st.integers(0, 127), st.integers(1, 127))


@given(st.lists(st.lists(notes, max_size=40), max_size=4))
def test_every_piece_has_a_penalty_in_range(batch: list) -> None:
    pieces = Pieces([Score(rows) for rows in batch])
    for rule in RULES:
        scores = checked(rule, pieces)
        assert scores.dtype == np.float32
        assert ((scores >= -1) & (scores <= 0)).all()
