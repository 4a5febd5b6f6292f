"""Checks of what reward models return."""

import numpy as np
import pytest

from toccata.envs import Pieces, RewardModel, RewardModelError, checked, contributions
from toccata.music import Score

SHORT = Score([(0, 24, 60, 64), (24, 24, 64, 100)])

LONG = Score([(0, 24, 60, 64), (100, 24, 67, 64)])


class Length:
    name = "length"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([score.bars for score in pieces.scores])


class Sum:
    name = "sum"

    def __init__(self, **terms: object) -> None:
        self.terms = terms

    def contributions(self, pieces: Pieces) -> object:
        return self.terms

    def score(self, pieces: Pieces) -> np.ndarray:
        return sum(self.terms.values())


def test_checked_returns_float32() -> None:
    scores = checked(Length(), Pieces([SHORT, LONG]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [1, 2]
    assert isinstance(Length(), RewardModel)


def test_terms_of_one_model_and_of_a_sum() -> None:
    pieces = Pieces([SHORT, LONG])
    assert {name: term.tolist() for name, term in contributions(Length(), pieces).items()} == {"length": [1, 2]}
    terms = contributions(Sum(a=[1, 2], b=np.zeros(2)), pieces)
    assert {name: term.tolist() for name, term in terms.items()} == {"a": [1, 2], "b": [0, 0]}
    assert all(term.dtype == np.float32 for term in terms.values())


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"a": [1.0, np.inf]}, "reward model 'sum', term 'a', must return finite scores, got inf for piece 1"),
        ({"a": [1.0]}, r"reward model 'sum', term 'a', must return shape \(2,\)"),
        ({"a": None}, "reward model 'sum', term 'a', must return"),
    ],
)
def test_a_bad_term_is_named(terms: dict, message: str) -> None:
    with pytest.raises(RewardModelError, match=message):
        contributions(Sum(**terms), Pieces([SHORT, LONG]))


def test_contributions_must_be_named_terms() -> None:
    model = Sum()
    model.terms = [1, 2]
    with pytest.raises(RewardModelError, match="'sum' must return a dict, got list"):
        contributions(model, Pieces([SHORT, LONG]))


def test_the_failing_model_inside_another_is_named() -> None:
    class Failing:
        name = "failing"

        def score(self, pieces: Pieces) -> np.ndarray:
            raise KeyError("tension")

    class Outer:
        name = "outer"

        def score(self, pieces: Pieces) -> np.ndarray:
            return checked(Failing(), pieces)

    with pytest.raises(RewardModelError, match="reward model 'failing' raised KeyError: 'tension'"):
        checked(Outer(), Pieces([SHORT]))
