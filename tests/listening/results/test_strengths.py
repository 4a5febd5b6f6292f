"""Strengths of pieces and sources, and what is taken for a person's."""

import numpy as np
import pytest

from toccata.listening.results.ballots import read_survey
from toccata.listening.results.strengths import piece_strengths, source_strengths, taken_for_person

PIECES = [("agent", False), ("agent", False), ("bach", True)]


def test_pieces_are_ranked_by_their_votes(database):
    votes = [(f"l{i}", "better", 100, 102, None, "second") for i in range(30)]
    votes += [(f"l{i}", "better", 102, 100, None, "second") for i in range(10)]
    rows = piece_strengths(read_survey(database(PIECES, votes), 0.25))
    assert [(row["piece"], row["votes"]) for row in rows] == [(0, 40), (2, 40)]
    assert rows[1]["strength"] - rows[0]["strength"] == pytest.approx(np.log(3), abs=0.1)
    assert rows[0]["low"] < rows[0]["strength"] < rows[0]["high"] < rows[1]["low"]


def test_sources_get_a_bootstrap_over_listeners(database):
    votes = [(f"l{i}", "better", 100 + i % 2, 102, None, "first" if i % 4 == 0 else "second") for i in range(40)]
    votes += [("l0", "better", 100, 101, None, "first")] * 5  # within a source: says nothing of it
    many = source_strengths(read_survey(database(PIECES, votes), 0.25), 0)
    assert many["interval"] == "bootstrap over 40 listeners"
    assert list(many["sources"]) == ["bach", "agent"]
    bach = many["sources"]["bach"]
    assert (bach["votes"], bach["share"]) == (40, 0.75)
    assert bach["strength"] == pytest.approx(np.log(3) / 2, abs=0.05)
    assert 0 < bach["low"] < bach["strength"] < bach["high"]


def test_of_few_listeners_the_interval_is_an_approximation(database):
    votes = [("one", "better", 100, 102, None, "second")] * 4
    few = source_strengths(read_survey(database(PIECES, votes), 0.25), 0)
    assert few["interval"] == "Laplace's approximation, since 1 listener is too few to be resampled"
    bach, agent = few["sources"]["bach"], few["sources"]["agent"]
    assert bach["strength"] == pytest.approx(-agent["strength"])
    assert bach["low"] < 0 < bach["high"]


def test_who_is_taken_for_a_person(database):
    votes = [(f"l{i}", "person", *((100, 102) if i % 2 else (102, 100)), None, "first") for i in range(20)]
    votes += [(f"l{i}", "person", 101, 102, None, "second") for i in range(10)]
    found = taken_for_person(read_survey(database(PIECES, votes), 0.25))
    assert found["sources"]["bach"]["share"] == pytest.approx(20 / 30)
    assert found["sources"]["agent"]["share"] == pytest.approx(10 / 30)
    assert found["right"] == found["sources"]["bach"]
    assert found["right"]["low"] == pytest.approx(0.4878, abs=1e-3)  # Wilson's, of 20 in 30


def test_nothing_comes_of_no_votes(database):
    survey = read_survey(database(PIECES), 0.25)
    assert piece_strengths(survey) == []
    assert source_strengths(survey, 0)["sources"] == {}
    assert taken_for_person(survey) == {"sources": {}, "right": None}
