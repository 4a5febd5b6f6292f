"""Simulated listeners and their votes."""

import hashlib
import sqlite3

import numpy as np
import pytest

from toccata.listening.results.ballots import read_survey
from toccata.listening.results.strengths import piece_strengths
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.listening.simulation import (
    TIE_THRESHOLD,
    WEIGHTS,
    Programme,
    SimulatedListener,
    new_database,
    simulate,
    taste,
    taste_features,
)
from toccata.music.score import Score
from toccata.stats import spearman


def line(intervals, gap=12):
    """A line in notes of `gap` ticks with these intervals."""
    pitches = np.concatenate([[60], 60 + np.cumsum(intervals)])
    return Score([(gap * i, gap, int(pitch), 80) for i, pitch in enumerate(pitches)])


def test_the_features_of_known_lines():
    scale = line([2, 2, 1, 2, 2, 2, 1])  # steps of one major scale, two notes a beat
    assert taste_features(scale) == pytest.approx([(1 - 0.45) / 0.18, (1 - 0.9) / 0.08, 1.0])
    leaps = line([5, -5, 5, -5, 5, -5, 5], gap=24)  # no step, one note a beat
    assert taste_features(leaps) == pytest.approx([-0.45 / 0.18, (1 - 0.9) / 0.08, 0.0])
    assert taste(scale) == pytest.approx(WEIGHTS @ taste_features(scale)) and taste(scale) > taste(leaps)
    assert taste_features(Score()).tolist() == pytest.approx([-2.5, -11.25, -3.0])


def test_the_taste_is_the_same_in_every_key_and_tempo():
    score = line([2, 2, 1, -5, 7, 2, -1])
    assert taste(score.transpose(5)) == taste(score)
    assert taste(Score(score.notes, tempo_bpm=90)) == taste(score)


def test_choices_follow_bradley_and_terry_with_ties():
    listener = SimulatedListener(np.array([1.0, 0, 0]), True, np.random.default_rng(0))
    same = np.zeros(3)
    choices = [listener.choose(same, same) for _ in range(4000)]
    assert choices.count("first") == pytest.approx(choices.count("second"), rel=0.1)
    assert 0 < choices.count("tie") / 4000 < 2 / (1 + np.exp(-TIE_THRESHOLD)) - 1  # personal liking makes ties rarer
    better = [listener.choose(same + 1, same, may_tie=False) for _ in range(1000)]
    assert 0.6 < better.count("first") / 1000 < 0.85 and "tie" not in better
    assert np.mean([listener.likes(same + 1) for _ in range(1000)]) > np.mean(
        [listener.likes(same) for _ in range(1000)]
    )


def test_who_is_inattentive_chooses_at_random():
    listener = SimulatedListener.drawn(0, inattentive=1.0)
    choices = [listener.choose(np.full(3, 5.0), np.full(3, -5.0)) for _ in range(1000)]
    assert choices.count("first") / 1000 == pytest.approx(0.5, abs=0.06)


def test_questions_are_of_all_kinds_in_random_order():
    programme = Programme(pieces=(1, 2, 3, 4), people=(4,), spoilt=(9,))
    rng = np.random.default_rng(0)
    asked = [programme.question(number, rng) for number in range(1, 241)]
    checks = [each for each in asked if each.right]
    assert len(checks) == 20 and {each.right for each in checks} == {"first", "second"}
    assert all((each.second if each.right == "first" else each.first) == 9 for each in checks)
    people = [each for each in asked if each.kind == "person"]
    assert len(people) == 20 and all((each.first == 4) != (each.second == 4) for each in people)
    assert all(each.first != each.second for each in asked)


@pytest.fixture
def files(tmp_path):
    """Ten lines with fewer and fewer steps, and one spoilt piece."""
    found = {}
    for number in range(11):
        path = tmp_path / f"{number:02d}.mid"
        line([2] * (10 - number) + [7, -7] * (number // 2) + [1] * (number % 2)).to_midi(path)
        found[path] = (ATTENTION_SOURCE if number == 10 else "people" if number < 3 else "machine", number < 3)
    return found


def test_votes_in_the_tables_say_what_the_taste_is(files, tmp_path):
    path = tmp_path / "listening.sqlite"
    new_database(path, files)
    simulate(path, [SimulatedListener.drawn(number) for number in range(20)], votes=60, plays=8)
    simulate(path, [SimulatedListener.drawn(99, inattentive=1.0)], votes=60, plays=8, seed=1)
    survey = read_survey(path, 0.25)
    assert (survey.listeners, survey.left_out, survey.checks) == (20, 1, 21 * 5)
    assert len(survey.pieces) == 10 and survey.plays.sum() == 160
    tastes = np.array([taste(Score.from_midi(piece.file)) for piece in survey.pieces])
    assert spearman(np.array([row["strength"] for row in piece_strengths(survey)]), tastes) > 0.8
    assert (survey.likes <= survey.plays).all()


def test_equal_seeds_give_equal_databases(files, tmp_path):
    def dump(name):
        new_database(tmp_path / name, files)
        simulate(tmp_path / name, [SimulatedListener.drawn(number) for number in range(2)], votes=12, plays=3)
        connection = sqlite3.connect(tmp_path / name)
        text = "\n".join(connection.iterdump())
        connection.close()
        return hashlib.sha256(text.encode()).hexdigest()

    assert dump("a.sqlite") == dump("b.sqlite")
