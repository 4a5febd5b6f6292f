import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.listening.posterior import PENDING, PIECE_STD, SOURCE_STD, Posterior


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


def test_updates_are_those_of_sequential_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=6)
    posterior = Posterior(labels.tolist())
    mean, covariance = np.zeros(6), 1.0 * (labels[:, None] == labels) + np.eye(6)
    for number in range(3 * PENDING):
        first, second = rng.choice(6, 2, replace=False)
        preferred = float(rng.choice([0.0, 0.5, 1.0]))
        design = np.zeros(6)
        design[first], design[second] = 1, -1
        probability = 1 / (1 + np.exp(-design @ mean))  # by the information matrix, not its inverse
        precision = np.linalg.inv(covariance) + probability * (1 - probability) * np.outer(design, design)
        covariance = np.linalg.inv(precision)
        mean = mean + covariance @ design * (preferred - probability)
        posterior.update(int(first), int(second), preferred)
        if number % 50 == 0:
            np.testing.assert_allclose(posterior.covariance, covariance, atol=1e-9)
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-9)
    np.testing.assert_allclose(posterior.covariance, covariance, atol=1e-9)


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


def simulated(votes: int, seed: int, informative: bool) -> tuple[float, float]:
    """Rank correlation and root mean square error (logits) of 24 strengths after votes on pairs."""
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    sources = [number % 3 for number in range(24)]
    strengths = rng.normal(size=3)[sources] * SOURCE_STD + rng.normal(size=24) * PIECE_STD
    posterior = Posterior(sources)
    first, second = np.triu_indices(24, 1)
    for _ in range(votes):
        lot = rng.random(len(first))
        best = int(np.argmax(posterior.information(first, second) + 1e-9 * lot if informative else lot))
        i, j = int(first[best]), int(second[best])
        posterior.update(i, j, float(rng.random() < 1 / (1 + np.exp(strengths[j] - strengths[i]))))
    error = posterior.mean - posterior.mean.mean() - (strengths - strengths.mean())
    return float(spearmanr(posterior.mean, strengths)[0]), float(np.sqrt((error**2).mean()))


def test_informative_pairs_leave_less_uncertainty_than_random_ones() -> None:
    rng = np.random.default_rng(0)
    informative, random = Posterior(list("aaabbbccc")), Posterior(list("aaabbbccc"))
    first, second = np.triu_indices(9, 1)
    for vote in rng.integers(2, size=60).astype(float):
        best = int(np.argmax(informative.information(first, second)))
        informative.update(int(first[best]), int(second[best]), vote)
        lot = int(rng.integers(len(first)))
        random.update(int(first[lot]), int(second[lot]), vote)
    assert np.linalg.slogdet(informative.covariance)[1] < np.linalg.slogdet(random.covariance)[1]


@pytest.mark.slow
def test_informative_pairs_need_fewer_votes_than_random_ones() -> None:
    for votes in (100, 400):
        by_kind = {
            kind: np.array([simulated(votes, seed, kind == "informative") for seed in range(20)]) for kind in KINDS
        }
        for kind, each in by_kind.items():
            correlation, error = each.mean(axis=0)
            print(f"\n{votes} votes on {kind} pairs: rank correlation {correlation:.3f}, error {error:.3f} logits")
        assert by_kind["informative"][:, 1].mean() < by_kind["random"][:, 1].mean()


KINDS = ("random", "informative")
