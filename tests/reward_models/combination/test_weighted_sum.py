import numpy as np
import pytest

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError, checked, contributions
from toccata.music.score import Score
from toccata.reward_models import RewardSpecError, WeightedSum, parse_rewards


class Constant:
    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value

    def score(self, pieces: Pieces) -> object:
        return self.value if not isinstance(self.value, float) else np.full(len(pieces), self.value)


class Raising:
    name = "fragile"

    def score(self, pieces: Pieces) -> np.ndarray:
        raise KeyError("gone")


PIECES = Pieces([Score(length_ticks=96), Score([(0, 24, 60, 80)]), Score([(0, 24, 62, 80)])])


def test_contributions_are_weighted_scores_that_add_up() -> None:
    total = WeightedSum([(Constant("a", 0.5), 2.0), (Constant("b", -1.0), 0.25), (Constant("logged", 7.0), 0)])
    assert {name: values.tolist() for name, values in total.scores(PIECES).items()} == {
        "a": [0.5] * 3,
        "b": [-1.0] * 3,
        "logged": [7.0] * 3,
    }
    terms = contributions(total, PIECES)
    assert {name: values.tolist() for name, values in terms.items()} == {
        "a": [1.0] * 3,
        "b": [-0.25] * 3,
        "logged": [0.0] * 3,
    }
    assert all(values.dtype == np.float32 for values in terms.values())
    assert checked(total, PIECES).tolist() == [0.75] * 3
    assert total.weights == {"a": 2.0, "b": 0.25, "logged": 0.0}
    assert [model.name for model in total.models.values()] == ["a", "b", "logged"]


def test_an_empty_batch_has_no_scores() -> None:
    assert checked(WeightedSum([(Constant("a", 0.5), 1.0)]), Pieces([])).shape == (0,)


def test_models_of_one_name_get_numbered_terms() -> None:
    total = WeightedSum([(Constant("a", float(k)), 1.0) for k in range(3)])
    assert {name: values[0] for name, values in total.contributions(PIECES).items()} == {
        "a": 0,
        "a-2": 1,
        "a-3": 2,
    }


@pytest.mark.parametrize(
    ("failing", "message"),
    [
        (Raising(), "'fragile' raised KeyError"),
        (Constant("nan", float("nan")), "'nan' must return finite scores"),
        (Constant("short", np.zeros(2)), r"'short' must return shape \(3,\)"),
        (Constant("none", None), "'none' must return"),
    ],
)
def test_errors_name_the_failing_model(failing: object, message: str) -> None:
    total = WeightedSum([(Constant("fine", 1.0), 1.0), (failing, 1.0)])
    for method in (total.scores, total.contributions, total.score):
        with pytest.raises(RewardModelError, match=message):
            method(PIECES)


def test_an_overflow_is_an_error() -> None:
    total = WeightedSum([(Constant("big", 1e30), 1e30)])
    with pytest.raises(RewardModelError, match="'big' times its weight 1e\\+30 overflows"):
        total.score(PIECES)


def test_parse_rewards_takes_names_paths_and_models() -> None:
    total = parse_rewards(
        [("silence", 1.0), ("examples.tension:Tension", 0.5), (Constant("custom", 1.0), 2), ("silence", 0.0)]
    )
    assert total.weights == {"silence": 1.0, "tension": 0.5, "custom": 2.0, "silence-2": 0.0}


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "1", None, True])
def test_a_weight_must_be_a_finite_number(weight: object) -> None:
    with pytest.raises(RewardSpecError, match=r"'silence'.*weight must be a finite number"):
        parse_rewards([("silence", weight)])


def test_an_empty_sum_is_an_error() -> None:
    with pytest.raises(RewardSpecError, match="at least one"):
        parse_rewards([])


def test_terms_that_add_up_to_infinity_are_an_error() -> None:
    both = WeightedSum([(Constant("a", 3e38), 1.0), (Constant("b", 3e38), 1.0)])
    assert set(both.contributions(PIECES)) == {"a", "b"}
    for score in (both.score, lambda pieces: checked(both, pieces)):
        with pytest.raises(RewardModelError, match=r"no finite float32: a 3e\+38, b 3e\+38"):
            score(PIECES)


@pytest.mark.parametrize("name", ["total", "kl", "pieces", "illegal", "a/b", "..", "two\nlines"])
def test_a_name_that_is_logged_otherwise_is_refused(name: str) -> None:
    with pytest.raises(RewardModelError, match="name must"):
        WeightedSum([(Constant(name, 1.0), 1.0)])
