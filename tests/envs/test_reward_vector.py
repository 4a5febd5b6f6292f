"""Terms of reward models: weights, bounds and unweighted scores."""

import numpy as np
import pytest

from toccata.envs import Piece, Pieces, RewardModelError
from toccata.envs.reward_vector import reward_bounds, score_bounds, term_weights, unweighted
from toccata.music import Score

PIECES = Pieces([Piece(Score([(0, 24, 60, 80)]), "classical"), Piece(Score(length_ticks=96), "classical")])


class Constant:
    """One term; `given` are more attributes."""

    name = "constant"

    def __init__(self, value: float = 0.5, **given: object) -> None:
        self.value = value
        self.__dict__ |= given

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.full(len(pieces), self.value, np.float32)


class Sum(Constant):
    """A weighted sum that is not Toccata's."""

    name = "mine"

    def scores(self, pieces: Pieces) -> dict[str, np.ndarray]:
        return {"b": np.full(len(pieces), 2.0), "a": np.full(len(pieces), 1.0)}


def test_a_single_model_is_one_term_of_weight_one() -> None:
    assert term_weights(Constant()) == {"constant": 1.0}
    assert unweighted(Constant(), PIECES)["constant"].tolist() == [0.5, 0.5]
    assert score_bounds(Constant()) == {"constant": (-np.inf, np.inf)}
    assert score_bounds(Constant(score_range=(0, 0.1))) == {"constant": (0, np.float32(0.1))}


def test_a_weighted_sum_has_its_terms_in_the_order_of_its_weights() -> None:
    model = Sum(weights={"a": 3, "b": np.float32(0.5)}, score_ranges={"b": (0, 2)})
    assert term_weights(model) == {"a": 3.0, "b": 0.5}
    assert list(unweighted(model, PIECES)) == ["a", "b"]
    assert unweighted(model, PIECES)["b"].tolist() == [2, 2]
    assert score_bounds(model) == {"a": (-np.inf, np.inf), "b": (0, 2)}


def test_scores_without_weights_are_no_weighted_sum() -> None:
    assert term_weights(Sum(weights=[1, 2])) == {"mine": 1.0}
    assert unweighted(Sum(), PIECES)["mine"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "1", None, True, 1j])
def test_bad_weights_are_named(weight: object) -> None:
    with pytest.raises(RewardModelError, match=r"'mine', term 'a': its weight must be a finite number"):
        term_weights(Sum(weights={"a": weight}))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "must have at least one term"),
        ({"illegal": 1.0}, "must not be"),
        ({"a": 1.0}, r"must have the same terms, got b, a and a"),
    ],
)
def test_bad_terms_are_named(weights: dict, message: str) -> None:
    with pytest.raises(RewardModelError, match=message):
        unweighted(Sum(weights=weights), PIECES)


@pytest.mark.parametrize(
    "score_range", [1, (0,), (1, 0), (0, float("nan")), ("a", "b"), (float("inf"),) * 2, (1e300, 1e301), None]
)
def test_bad_ranges_are_named(score_range: object) -> None:
    with pytest.raises(RewardModelError, match="score_range of reward model 'constant' must"):
        score_bounds(Constant(score_range=score_range))


def test_a_score_outside_its_range_is_an_error() -> None:
    with pytest.raises(
        RewardModelError, match=r"'constant' must score in its score_range \[-1, 0\], got 0.5 for piece 0"
    ):
        unweighted(Constant(score_range=(-1, 0)), PIECES)
    assert unweighted(Constant(0.1, score_range=(0.1, 0.1)), PIECES)  # in float32, as scores are


@pytest.mark.parametrize(
    ("low", "high", "at_piece", "at_bars"),
    [
        (-1, 0, (-1, 0), (-1, 1)),
        (-4, 4, (-4, 4), (-8, 8)),
        (1, 3, (0, 3), (-2, 3)),
        (-3, -1, (-3, 0), (-3, 2)),
        (0, np.inf, (0, np.inf), (-np.inf, np.inf)),
    ],
)
def test_rewards_are_scores_or_zero_and_at_bars_differences_too(
    low: float, high: float, at_piece: tuple, at_bars: tuple
) -> None:
    bounds = np.float32(low), np.float32(high)
    assert reward_bounds(*bounds, at_bars=False) == at_piece
    assert reward_bounds(*bounds, at_bars=True) == at_bars
