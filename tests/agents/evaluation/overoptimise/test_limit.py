"""The most reward at each KL: known answers of Gaussian and gamma rewards."""

from __future__ import annotations

import numpy as np
import pytest

from toccata.agents.evaluation.overoptimise.beside import Base, beside, share_of_limit
from toccata.agents.evaluation.overoptimise.best_of_n import best_of_n_weights, kl_of_best_of
from toccata.agents.evaluation.overoptimise.limit import (
    Limit,
    effective_size,
    hold_out,
    kl_of,
    tilted_weights,
)


def pool(size: int = 4096, seed: int = 0, std: float = 0.5) -> np.ndarray:
    return std * np.random.default_rng(seed).normal(size=size) + 1


def test_a_gaussian_is_shifted_by_its_variance() -> None:
    rewards, std = pool(200_000), 0.5
    for inverse_beta in (0.5, 1.0, 3.0):
        weights = tilted_weights(rewards, inverse_beta)
        gain = weights @ rewards - 1
        assert gain == pytest.approx(inverse_beta * std**2, rel=0.05)
        assert kl_of(weights) == pytest.approx(gain**2 / (2 * std**2), rel=0.05)


def test_weights_of_known_pools() -> None:
    two = tilted_weights(np.array([0.0, np.log(3)]), 1.0)
    assert two == pytest.approx([0.25, 0.75])
    assert kl_of(two) == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))
    assert effective_size(two) == pytest.approx(1 / (0.0625 + 0.5625))
    assert kl_of(np.full(7, 1 / 7)) == pytest.approx(0, abs=1e-15)
    assert kl_of(np.array([0.0, 0, 0, 1])) == pytest.approx(np.log(4))
    assert np.isfinite(tilted_weights(np.array([-1e30, 0.0, 1e30]), 1.0)).all()


def test_the_edge_has_the_least_effective_size() -> None:
    limit = Limit.of(pool(), 30)
    assert effective_size(tilted_weights(limit.rewards, limit.edge)) == pytest.approx(30, rel=1e-6)
    assert limit.weights(limit.edge_kl * 0.99) is not None
    assert limit.weights(limit.edge_kl * 1.01) is None


def test_the_limit_rises_without_a_step_at_the_edge() -> None:
    limit = Limit.of(pool(), 30)
    grid = np.linspace(0, 3 * limit.edge_kl, 200)
    rewards = np.array([limit.reward(kl) for kl in grid])
    assert rewards[0] == pytest.approx(limit.rewards.mean())
    steps = np.diff(rewards)
    assert (steps > 0).all()
    assert steps[50:].max() < 2 * np.median(steps[50:])
    assert limit.reward(limit.edge_kl * (1 + 1e-9)) == pytest.approx(limit.edge_reward, abs=1e-4)


def test_nothing_of_the_pool_has_more_reward_at_its_kl() -> None:
    rewards, rng = pool(512), np.random.default_rng(1)
    limit = Limit.of(rewards, 30)
    for _ in range(50):
        weights = rng.dirichlet(np.full(512, 5.0)) * (1 + rng.random() * (rewards > np.quantile(rewards, rng.random())))
        weights /= weights.sum()
        assert weights @ rewards <= limit.reward(kl_of(weights)) + 1e-9


def test_beyond_the_edge_it_is_a_gaussian() -> None:
    limit = Limit.of(pool(100_000), 30)
    assert limit.reward(50.0) == pytest.approx(1 + 0.5 * np.sqrt(2 * 50), rel=0.06)


def test_smaller_pools_predict_the_whole() -> None:
    found = hold_out(pool(8192), np.random.default_rng(0), 30)
    assert found["from_kl"] < found["kl"]
    assert found["predicted"] == pytest.approx(found["truth"], rel=0.06)
    assert 0 < found["spread"] < 0.1 * found["truth"]


def test_of_a_bounded_reward_too_much_is_predicted_and_the_hold_out_says_so() -> None:
    found = hold_out(np.random.default_rng(0).beta(2, 2, 8192), np.random.default_rng(0), 30)
    assert found["predicted"] > 1.15 * found["truth"]


def test_pools_without_spread() -> None:
    limit = Limit.of(np.full(50, 2.0), 30)
    assert [limit.reward(kl) for kl in (0.0, 1.0, 100.0)] == [2, 2, 2]
    assert share_of_limit(2.0, 1.0, limit) is None
    tied = Limit.of(np.repeat([0.0, 1.0], 50), 30)  # the effective size never falls below 50
    assert tied.edge_kl == pytest.approx(np.log(2))
    assert [tied.reward(kl) for kl in (np.log(2), 5.0)] == pytest.approx([1, 1])


@pytest.mark.parametrize("n", [2, 4, 16, 32])
def test_best_of_n_has_nearly_all_of_the_limit_and_not_more(n: int) -> None:
    limit = Limit.of(pool(), 30)
    reward = float(best_of_n_weights(limit.rewards, n) @ limit.rewards)
    share = share_of_limit(reward, kl_of_best_of(n), limit)
    assert share is not None
    assert 0.9 < share <= 1


def test_a_run_beside_its_base() -> None:
    base = Base.of(pool(), 30)
    found = beside(base.rewards, np.full(4096, 0.5), base)
    assert found == {"gain": 0, "share_of_limit": 0, "same_as_best_of": 1}
    better = beside(base.rewards + 0.5, np.full(4096, 0.5), base)  # the Gaussian that is the limit at 0.5 nats
    assert better["share_of_limit"] == pytest.approx(1, abs=0.05)
    assert better["gain"] == pytest.approx(0.5)
    assert beside(base.rewards + 10, None, base) == {
        "gain": pytest.approx(10),
        "share_of_limit": None,
        "same_as_best_of": np.inf,
    }
