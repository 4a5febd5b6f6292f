"""Best-of-n from a pool, against counting all subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.agents.evaluation.overoptimise.best_of_n import (
    best_of_n_sets,
    best_of_n_weights,
    equivalent_n,
    kl_of_best_of,
)

EPS = np.finfo(float).eps


def by_counting(rewards: np.ndarray, n: int) -> np.ndarray:
    """The share of the subsets of n in which each piece is the best; equal ones share."""
    wins = np.zeros(len(rewards))
    subsets = list(combinations(range(len(rewards)), n))
    for subset in subsets:
        best = [i for i in subset if rewards[i] == max(rewards[list(subset)])]
        wins[best] += 1 / len(best)
    return wins / len(subsets)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_weights_are_those_of_counting(n: int) -> None:
    rewards = np.random.default_rng(0).normal(size=7)
    assert best_of_n_weights(rewards, n) == pytest.approx(by_counting(rewards, n), abs=10 * EPS)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.data())
def test_pieces_of_one_reward_share(rewards: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(rewards)))
    values = np.array(rewards, float)
    weights = best_of_n_weights(values, n)
    assert weights @ values == pytest.approx(by_counting(values, n) @ values, abs=100 * EPS)
    assert weights.sum() == pytest.approx(1, abs=100 * EPS)
    assert all(len({round(w, 12) for w in weights[values == value]}) == 1 for value in values)


def test_a_piece_that_is_there_twice_is_two_pieces() -> None:
    rewards, counts = np.array([3.0, 1.0, 2.0]), np.array([2, 0, 3])
    long = np.repeat(rewards, counts)
    for n in range(1, 6):
        expected = best_of_n_weights(long, n) @ long
        assert best_of_n_weights(rewards, n, counts) @ rewards == pytest.approx(expected, abs=100 * EPS)


def test_known_answers() -> None:
    rewards = np.arange(1.0, 101)
    for n in (1, 2, 9, 100):  # the highest of n of 1..m is n (m + 1) / (n + 1) on average
        assert best_of_n_weights(rewards, n) @ rewards == pytest.approx(n * 101 / (n + 1))
    for n in (0, 101):
        with pytest.raises(ValueError, match="n must be at least 1 and at most the 100 pieces"):
            best_of_n_weights(rewards, n)


def test_the_bound_of_the_kl() -> None:
    assert kl_of_best_of(1) == 0
    assert kl_of_best_of(2) == pytest.approx(np.log(2) - 0.5)
    rng = np.random.default_rng(0)
    for n in (2, 8, 32):  # of a continuous reward the density of the rank u is n u^(n-1): its KL is the bound
        u = rng.random(200_000) ** (1 / n)
        assert np.log(n * u ** (n - 1)).mean() == pytest.approx(kl_of_best_of(n), abs=0.01)


def test_sets_are_the_best_of_groups() -> None:
    rewards, rng = np.random.default_rng(1).normal(size=100), np.random.default_rng(2)
    sets = best_of_n_sets(rewards, 8, 12, 50, rng)
    assert len(sets) == 50
    assert all(len(set(each.tolist())) == 12 for each in sets)
    expected = best_of_n_weights(rewards, 8) @ rewards
    assert np.mean([rewards[each].mean() for each in sets]) == pytest.approx(expected, abs=0.1)
    assert best_of_n_sets(rewards, 9, 12, 50, rng) == []


def test_the_n_with_the_same_reward() -> None:
    curve = np.array([[1, 0.0], [2, 1.0], [4, 1.5]])
    assert equivalent_n(-1.0, curve) == 1
    assert equivalent_n(1.0, curve) == pytest.approx(2)
    assert equivalent_n(1.25, curve) == pytest.approx(np.sqrt(8))
    assert equivalent_n(1.6, curve) is None
