import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.listening.posterior import PIECE_STD, SOURCE_STD, Posterior


def test_before_any_vote_pairs_of_two_sources_tell_more() -> None:
    posterior = Posterior(["a", "a", "b"])
    within, between = posterior.information(np.array([0, 0]), np.array([1, 2]))
    assert 0 < within < between < 1
    assert posterior.covariance[0, 0] == SOURCE_STD**2 + PIECE_STD**2
    assert posterior.covariance[0, 1] == SOURCE_STD**2


def test_the_information_is_that_of_its_definition() -> None:
    posterior = Posterior(["a", "b"])
    posterior.mean[:] = 0.7, -0.2
    variance = posterior.covariance[0, 0] + posterior.covariance[1, 1] - 2 * posterior.covariance[0, 1]
    difference = 0.9 + np.sqrt(variance) * np.linspace(-10, 10, 200_001)
    density = np.exp(-(np.linspace(-10, 10, 200_001) ** 2) / 2)
    density /= density.sum()
    probability = 1 / (1 + np.exp(-difference))

    def entropy(p):
        return -p * np.log2(p) - (1 - p) * np.log2(1 - p)

    expected = entropy(density @ probability) - density @ entropy(probability)
    assert posterior.information(np.array([0]), np.array([1]))[0] == pytest.approx(expected, abs=2e-4)


def test_a_vote_moves_the_mean_and_shrinks_the_variance() -> None:
    posterior = Posterior(["a", "a", "b"])
    before = posterior.covariance.copy()
    posterior.update(0, 2, 1.0)
    assert posterior.mean[0] > posterior.mean[1] > posterior.mean[2], "the other piece of the source rises with it"
    assert np.diag(posterior.covariance)[0] < np.diag(before)[0]
    again = posterior.information(np.array([0, 0]), np.array([2, 1]))
    assert again[0] < Posterior(["a", "a", "b"]).information(np.array([0]), np.array([2]))[0]


def test_a_tie_moves_equal_pieces_nowhere() -> None:
    posterior = Posterior(["a", "b"])
    posterior.update(0, 1, 0.5)
    assert posterior.mean.tolist() == [0.0, 0.0]


def test_many_votes_find_the_strengths() -> None:
    rng = np.random.default_rng(0)
    strengths = rng.normal(size=8) * 1.5
    posterior = Posterior(list("abcdefgh"))
    for _ in range(3000):
        first, second = rng.choice(8, 2, replace=False)
        wins = rng.random() < 1 / (1 + np.exp(strengths[second] - strengths[first]))
        posterior.update(int(first), int(second), float(wins))
    error = posterior.mean - posterior.mean.mean() - (strengths - strengths.mean())
    assert np.abs(error).max() < 0.35
    assert np.corrcoef(posterior.mean, strengths)[0, 1] > 0.97


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.sampled_from([0.0, 0.5, 1.0])), max_size=30))
def test_the_covariance_stays_one(votes: list[tuple[int, int, float]]) -> None:
    posterior = Posterior(["a", "a", "b", "b", "c"])
    for first, step, preferred in votes:
        posterior.update(first, (first + step) % 5, preferred)
    np.testing.assert_allclose(posterior.covariance, posterior.covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(posterior.covariance).min() > 0
    information = posterior.information(np.repeat(np.arange(5), 5), np.tile(np.arange(5), 5))
    assert ((information >= 0) & (information <= 1)).all()


def test_the_order_of_a_pair_does_not_change_its_information() -> None:
    posterior = Posterior(["a", "b", "c"])
    posterior.update(0, 1, 1.0)
    one, other = posterior.information(np.array([0, 1]), np.array([1, 0]))
    assert one == pytest.approx(other, abs=1e-12)
