"""Product, gate and Lagrangian: known answers, and what holds for all of them."""

from __future__ import annotations

import json
from itertools import product as pairs

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardSpecError, contributions, total
from toccata.music.score import Score
from toccata.reward_models import Combination, Gate, Lagrangian, Product, WeightedSum, combined
from toccata.reward_models.combination import RealScores, combination_class
from toccata.reward_models.combination.lagrangian import LEAST, MOST, STEP
from toccata.reward_models.combination.product import desirability
from toccata.settings.combinations import COMBINATIONS

REAL = {
    "taste": RealScores(low=-1.0, median=0.0, mean=0.0, std=1.0),
    "order": RealScores(low=0.5, median=1.0, mean=1.1, std=0.5),
    "calm": RealScores(low=0.0, median=0.0, mean=-0.01, std=0.05),
}
SCORES = st.floats(-50, 50, width=32)


class Listed:
    """Gives the scores that it is given, then the same again."""

    def __init__(self, name: str, scores: list[float] | None = None) -> None:
        self.name = name
        self.scores = scores or []
        self.calls = 0

    def score(self, pieces: Pieces) -> np.ndarray:
        self.calls += 1
        return np.resize(np.array(self.scores, np.float32), len(pieces))


def made(combine: str, **scores: list[float]) -> Combination:
    """A combination of taste, order and calm with the weights 2, 1 and 3."""
    models = [(Listed(name, scores.get(name, [0.0])), weight) for name, weight in zip(REAL, (2, 1, 3), strict=True)]
    return combination_class(combine)(models, REAL)


def pieces(count: int) -> Pieces:
    return Pieces([Score(length_ticks=96)] * count)


def reward_of(rewards: Combination, *scores: float) -> float:
    """The reward of a piece with these scores."""
    terms = rewards.weighted({name: np.array([score], np.float32) for name, score in zip(REAL, scores, strict=True)})
    return float(total({name: term.astype(np.float64) for name, term in terms.items()})[0])


def test_a_product_of_medians() -> None:
    """At the median each desirability is a half: 0.5**2 * 0.5 * 0.5**3."""
    assert reward_of(made("product"), 0.0, 1.0, 0.0) == pytest.approx(6 * np.log(0.5))


def test_desirability() -> None:
    assert desirability(np.array([-1.0, 0.0, 1.0])) == pytest.approx([0.25, 0.5, 0.75])
    far = desirability(np.array([-1e300, -1e9, -1e3, 1e3]))
    assert (np.diff(far) > 0).all() and far[0] > 0 and far[-1] < 1
    assert np.log(far[1]) == pytest.approx(-np.log(np.pi * 1e9))  # the tail of Cauchy: falls with the logarithm


@pytest.mark.parametrize(
    ("scores", "terms"),
    [
        ((3.0, 0.5, 0.0), [6.0, 0.0, 0.0]),  # passes, at the thresholds
        ((-3.0, 2.0, 0.0), [-6.0, 0.0, 0.0]),
        ((3.0, 0.25, 0.0), [-2.0, -0.25, 0.0]),  # counts up to -1, the 5th percentile
        ((-3.0, 0.5, -1.0), [-6.0, 0.0, -3.0]),  # a low objective is not raised
        ((3.0, 0.0, -1.0), [-2.0, -0.5, -3.0]),
    ],
)
def test_a_gate(scores: tuple[float, ...], terms: list[float]) -> None:
    of_scores = {name: np.array([score], np.float32) for name, score in zip(REAL, scores, strict=True)}
    assert [float(term[0]) for term in made("gate").weighted(of_scores).values()] == pytest.approx(terms)


@given(SCORES, st.tuples(SCORES, SCORES), st.tuples(SCORES, SCORES))
def test_failing_a_gate_never_pays_more_than_passing_it(
    objective: float, one: tuple[float, float], other: tuple[float, float]
) -> None:
    gate = made("gate")
    passing = tuple(max(score, real.low) for score, real in zip(one, list(REAL.values())[1:], strict=True))
    assert reward_of(gate, objective, *other) <= reward_of(gate, objective, *passing)


def test_the_share_that_passes_is_logged() -> None:
    gate = made("gate", taste=[0.0], order=[1.0, 1.0, 0.0, 0.0], calm=[0.0, -1.0])
    assert gate.after_rollout(pieces(4)) == {"gate/order": 0.5, "gate/calm": 0.5, "gate/all": 0.25}


def test_a_lagrangian_begins_as_the_weighted_sum() -> None:
    """Less a constant: the thresholds, which are the mean where that is lower than the 5th percentile."""
    assert reward_of(made("lagrangian"), 1.5, 2.0, -1.0) == pytest.approx(2 * 1.5 + (2.0 - 0.5) + 3 * (-1 + 0.01))


def test_multipliers_rise_where_a_constraint_is_violated_and_fall_where_it_is_slack() -> None:
    rewards = made("lagrangian", order=[0.25], calm=[0.0])  # half a standard deviation below; a fifth above
    logged = rewards.after_rollout(pieces(3))
    assert logged["lagrangian/order"] == logged["lagrangian/calm"] == 1.0, "those of this rollout"
    assert logged["violation/order"] == pytest.approx(0.5)
    assert logged["violation/calm"] == pytest.approx(-0.2)
    assert rewards.multipliers["order"] == pytest.approx(np.exp(STEP * 0.5))
    assert rewards.multipliers["calm"] == pytest.approx(np.exp(STEP * -0.2))
    before = reward_of(made("lagrangian"), 0.0, -1.0, 0.0)
    assert reward_of(rewards, 0.0, -1.0, 0.0) < before, "what violates costs more"


def test_multipliers_are_bounded_and_one_rollout_moves_them_little() -> None:
    rewards = made("lagrangian", order=[-3e38], calm=[0.0])
    for _ in range(200):
        before = dict(rewards.multipliers)
        rewards.after_rollout(pieces(2))
        for name, multiplier in rewards.multipliers.items():
            assert abs(np.log(multiplier / before[name])) <= STEP + 1e-12
    assert rewards.multipliers == {"order": MOST, "calm": LEAST}


def test_multipliers_reach_those_of_a_known_problem() -> None:
    """Maximise x subject to -x**2 >= -1, with the best x for each multiplier: both are known, 1 and 1/2."""
    effort = Listed("effort")
    real = {"effort": RealScores(low=-1.0, median=-1.0, mean=-1.0, std=1.0)}
    rewards = Lagrangian([(Listed("taste", [0.0]), 1.0), (effort, 1.0)], real)
    for _ in range(100):
        best = 1 / (2 * rewards.multipliers["effort"])  # of x - multiplier * (x**2 - 1)
        effort.scores = [-(best**2)]
        rewards.after_rollout(pieces(1))
    assert rewards.multipliers["effort"] == pytest.approx(0.5, rel=1e-3)
    assert best == pytest.approx(1.0, rel=1e-3)


def test_real_music_meets_the_constraints_of_a_lagrangian() -> None:
    rng = np.random.default_rng(0)
    scores = np.where(rng.random(200) < 0.03, -1.0, 0.0)  # as of a rule
    models = [(Listed("taste", [0.0]), 1.0), (Listed("calm", scores.tolist()), 1.0)]
    rewards = combined("lagrangian", WeightedSum(models), pieces(200))
    assert isinstance(rewards, Lagrangian)
    assert rewards.after_rollout(pieces(200))["violation/calm"] <= 0


def test_the_state_of_a_lagrangian_survives_json() -> None:
    rewards = made("lagrangian", order=[0.3], calm=[-0.1])
    for _ in range(3):
        rewards.after_rollout(pieces(2))
    state = json.loads(json.dumps(rewards.state()))
    again = Lagrangian(
        [(model, rewards.weights[term]) for term, model in rewards.models.items()],
        {term: RealScores.from_data(data) for term, data in state["real"].items()},
    )
    again.load_state(state)
    assert again.multipliers == rewards.multipliers
    assert again.real == rewards.real
    assert (again.score(pieces(2)) == rewards.score(pieces(2))).all()


@pytest.mark.parametrize("wrong", [None, {}, {"order": 1.0}, {"order": 1.0, "calm": 0.0}, {"order": 1.0, "calm": True}])
def test_a_state_of_something_else_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="multiplier"):
        made("lagrangian").load_state({"multipliers": wrong})


@pytest.mark.parametrize("wrong", [3, {}, {"low": 0.0}, {"low": 0.0, "median": 0.0, "mean": 0.0, "std": -1.0}])
def test_real_scores_of_something_else_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="real scores"):
        RealScores.from_data(wrong)


@pytest.mark.parametrize("combine", COMBINATIONS[1:])
@given(st.lists(st.tuples(SCORES, SCORES, SCORES), min_size=1, max_size=6))
def test_terms_add_up_and_the_reward_rises_with_each_score(combine: str, scores: list[tuple[float, ...]]) -> None:
    rewards = made(combine, **{name: list(each) for name, each in zip(REAL, zip(*scores, strict=True), strict=True)})
    batch = pieces(len(scores))
    terms = contributions(rewards, batch)
    assert list(terms) == list(REAL)
    assert (total(terms) == rewards.score(batch)).all()
    for of_one in scores:
        reward = reward_of(rewards, *of_one)
        for index, more in pairs(range(3), (0.01, 5.0)):
            better = tuple(score + more * (i == index) for i, score in enumerate(of_one))
            assert reward_of(rewards, *better) >= reward


@pytest.mark.parametrize("combine", ["product", "lagrangian"])
def test_there_is_a_slope_far_outside_of_real_music(combine: str) -> None:
    rewards = made(combine)
    for index in range(3):
        worse, better = ([-1000.0 if i == index else 1.0 for i in range(3)] for _ in range(2))
        better[index] = -900.0
        assert reward_of(rewards, *better) > reward_of(rewards, *worse)


@pytest.mark.parametrize("combine", COMBINATIONS[1:])
def test_a_weight_of_0_is_logged_and_not_paid(combine: str) -> None:
    models = [(Listed("taste", [1.0, 2.0]), 1.0), (Listed("order", [0.0, 1.0]), 1.0), (Listed("calm", [7.0]), 0.0)]
    rewards = combined(combine, WeightedSum(models), pieces(2))
    assert rewards.contributions(pieces(2))["calm"].tolist() == [0.0, 0.0]
    assert "calm" not in rewards.describe()


@pytest.mark.parametrize(
    ("combine", "rewards", "message"),
    [
        (
            "sums",
            [("a", [1.0, 2.0], 1.0)],
            "combined by sum, product, gate, lagrangian, got 'sums'; did you mean",
        ),
        ("gate", [("a", [1.0, 2.0], 1.0)], "gate: needs a second reward with a weight greater than 0"),
        ("lagrangian", [("a", [1.0, 2.0], 1.0), ("b", [1.0, 2.0], 0.0)], "lagrangian: needs a second reward"),
        ("gate", [("a", [1.0, 2.0], 0.0), ("b", [1.0, 2.0], 1.0)], "gate: the first reward, a, is the objective"),
        ("product", [("a", [1.0, 2.0], -1.0)], "product: the weight of a must be at least 0, got -1"),
        ("product", [("a", [1.0, 2.0], 0.0)], "product: at least one reward needs a weight"),
        ("product", [("a", [3.0], 1.0)], "product: reward 'a' gives all real pieces the same score, 3,"),
        ("gate", [("a", [1.0], 1.0), ("b", [0.0], 1.0)], "gate: reward 'b' gives all real pieces the same score, 0,"),
        ("lagrangian", [("a", [1.0], 1.0), ("b", [0.1], 1.0)], "reward 'b' gives all real pieces the same score, 0.1,"),
    ],
)
def test_what_cannot_be_combined_is_refused(
    combine: str, rewards: list[tuple[str, list[float], float]], message: str
) -> None:
    models = WeightedSum((Listed(name, scores), weight) for name, scores, weight in rewards)
    with pytest.raises(RewardSpecError, match=message) as caught:
        combined(combine, models, pieces(40))
    assert "\n" not in str(caught.value)


def test_thresholds_need_real_pieces() -> None:
    models = WeightedSum([(Listed("a", [1.0, 2.0]), 1.0), (Listed("b", [1.0, 2.0]), 1.0)])
    with pytest.raises(RewardSpecError, match="gate: takes its thresholds from real pieces, of which there are none"):
        combined("gate", models, Pieces([]))


def test_a_sum_stays_one() -> None:
    models = WeightedSum([(Listed("a", [1.0, 2.0]), 0.5)])
    assert type(combined("sum", models, Pieces([]))) is WeightedSum


def test_statistics_of_real_scores() -> None:
    found = RealScores.of(np.arange(101, dtype=np.float32))
    assert (found.low, found.median, found.mean) == (5.0, 50.0, 50.0)
    assert found.std == pytest.approx(np.sqrt((101**2 - 1) / 12))
    assert RealScores.of(np.full(7, 0.1, np.float32)).std == 0.0
    with pytest.raises(ValueError, match="at least one real piece"):
        RealScores.of(np.zeros(0))


def test_the_objective_of_a_lagrangian_is_not_compared_with_real_pieces() -> None:
    taste, order = Listed("taste", [1.0]), Listed("order", [0.0, 1.0])
    rewards = combined("lagrangian", WeightedSum([(taste, 1.0), (order, 1.0)]), pieces(4))
    assert isinstance(rewards, Lagrangian)
    assert (taste.calls, list(rewards.real)) == (0, ["order"])


def test_a_model_that_has_learnt_is_measured_again() -> None:
    order = Listed("order", [0.0, 1.0])
    rewards = combined("gate", WeightedSum([(Listed("taste", [1.0, 2.0]), 1.0), (order, 1.0)]), pieces(40))
    assert isinstance(rewards, Gate)
    before = dict(rewards.real)
    order.scores = [2.0, 4.0]
    rewards.measure(pieces(40), ["order", "unknown"])
    assert rewards.real["taste"] == before["taste"]
    assert rewards.real["order"] == RealScores(low=2.0, median=3.0, mean=3.0, std=1.0)
    order.scores = [4.0]
    rewards.measure(pieces(40), ["order"])
    assert rewards.real["order"] == RealScores(low=4.0, median=4.0, mean=4.0, std=1.0), "it keeps its scale"


def test_finished_pieces_are_not_scored_twice() -> None:
    rewards = made("gate", taste=[0.0, 1.0, 2.0, 3.0], order=[1.0, 0.0, 1.0, 1.0])
    batch = pieces(4)
    rewards.contributions(batch)
    finished = Pieces([batch[3], batch[1]])
    assert rewards.scores_again(finished)["taste"].tolist() == [3.0, 1.0]
    assert [model.calls for model in rewards.models.values()] == [1, 1, 1]  # type: ignore[attr-defined]  # of those above
    assert rewards.scores_again(pieces(2))["taste"].tolist() == [0.0, 1.0], "others are scored"


def test_no_pieces() -> None:
    for combine in COMBINATIONS[1:]:
        assert made(combine).score(Pieces([])).shape == (0,)


def test_every_name_is_a_class() -> None:
    assert [combination_class(name) for name in COMBINATIONS[1:]] == [Product, Gate, Lagrangian]
