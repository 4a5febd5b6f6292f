"""Fréchet distance and Inception Score with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from toccata.music.metrics.sets import frechet_distance, inception_score

CROSS = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])  # covariance diag(2, 8) / 3, mean 0


def test_known_distances() -> None:
    assert frechet_distance(CROSS, CROSS) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(CROSS, CROSS + np.array([3, 4])) == pytest.approx(25), "the means alone"
    # covariances commute: the sum of the squared differences of standard deviations, here that of the factor 3
    assert frechet_distance(CROSS, 3 * CROSS) == pytest.approx(4 * (2 + 8) / 3)
    # diag(2, 8) / 3 and diag(8, 2) / 3: twice (sqrt 8 - sqrt 2)^2 / 3 = 4 / 3
    assert frechet_distance(CROSS, CROSS[:, ::-1]) == pytest.approx(4 / 3)
    one = np.array([[5.0, 0.0]])
    assert frechet_distance(one, CROSS) == pytest.approx(25 + 10 / 3), "one piece has covariance 0"
    assert frechet_distance(one, one) == 0


def test_covariances_that_do_not_commute() -> None:
    # A = diag(4, 1), B = [[2, 1], [1, 2]]: A^1/2 B A^1/2 = [[8, 2], [2, 2]] has trace 10 and determinant 12, so the
    # trace of its root is sqrt(10 + 2 sqrt 12); Tr A + Tr B = 9
    roots = [np.diag([2.0, 1.0]), np.linalg.cholesky([[2.0, 1.0], [1.0, 2.0]])]
    base = CROSS / np.sqrt([2 / 3, 8 / 3])  # covariance 1
    a, b = (base @ root.T for root in roots)
    assert frechet_distance(a, b) == pytest.approx(9 - 2 * np.sqrt(10 + 2 * np.sqrt(12)))


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12), st.integers(1, 8))
def test_distances_are_finite_symmetric_and_do_not_depend_on_the_axes(seed: int, n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, d)), 5 * rng.normal(size=(m, d)) + 1
    distance = frechet_distance(a, b)
    assert np.isfinite(distance)
    assert distance >= 0
    assert frechet_distance(b, a) == pytest.approx(distance, abs=1e-9)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    assert frechet_distance(a @ rotation + 7, b @ rotation + 7) == pytest.approx(distance, rel=1e-7, abs=1e-7)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-7)


def test_sets_that_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="at least one piece"):
        frechet_distance(np.empty((0, 2)), CROSS)
    with pytest.raises(ValueError, match=r"\(4, 2\) and \(4, 3\)"):
        frechet_distance(CROSS, np.ones((4, 3)))


def test_known_inception_scores() -> None:
    assert inception_score(np.eye(4)) == pytest.approx(4)
    assert inception_score(np.eye(4)[[0, 0, 1, 1]]) == pytest.approx(2)
    assert inception_score(np.eye(4)[[2, 2, 2]]) == 1
    assert inception_score(np.full((5, 3), 1 / 3)) == pytest.approx(1)
    assert inception_score(np.empty((0, 3))) == 1
    # rows (3/4, 1/4) and (1/4, 3/4), mean (1/2, 1/2): log 2 minus the entropy of a row
    rows = np.array([[0.75, 0.25], [0.25, 0.75]])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert inception_score(rows) == pytest.approx(2 * np.exp(-entropy))


def test_the_root_of_the_covariances_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(50, 6)) + 1
    covariances = [np.cov(each, rowvar=False) for each in (a, b)]
    trace = np.trace(covariances[0] + covariances[1] - 2 * np.real(sqrtm(covariances[0] @ covariances[1])))
    means = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(means + trace)
