"""Intervals, correlations and the area under the ROC curve on values whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from toccata.stats import Interval, auc, bootstrap_clusters, bootstrap_difference, bootstrap_mean, pearson, spearman


def test_interval_of_a_mean_is_the_normal_one() -> None:
    rng = np.random.default_rng(0)
    assert bootstrap_mean(np.full(5, 2.0), rng) == Interval(2, 2, 2)
    values = np.random.default_rng(1).normal(3, 2, 400)
    interval = bootstrap_mean(values, rng)
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_interval_of_a_difference() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    interval = bootstrap_difference(values + 1, values, np.random.default_rng(0))
    assert interval.mean == pytest.approx(1)
    assert interval.low < 1 < interval.high


def test_clusters_are_resampled_whole() -> None:
    """Copies of a value in one cluster know no more than one value: the interval is that of the clusters."""
    values = np.random.default_rng(1).normal(0, 1, 100)

    def mean_of(repeats: int) -> Interval:
        repeated = np.repeat(values, repeats)
        names = [str(i // repeats) for i in range(len(repeated))]
        return bootstrap_clusters(lambda index: float(repeated[index].mean()), names, np.random.default_rng(0), 400)

    once, often = mean_of(1), mean_of(10)
    assert often.mean == pytest.approx(once.mean)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.15)


def test_correlations() -> None:
    rising = np.arange(5.0)
    assert pearson(rising, 2 * rising + 1) == pytest.approx(1)
    assert pearson(rising, -rising) == pytest.approx(-1)
    assert pearson(rising, np.ones(5)) == spearman(np.ones(5), rising) == 0
    assert spearman(rising, np.exp(rising)) == pytest.approx(1)
    assert spearman(np.array([1, 1, 2, 3]), np.array([1, 2, 3, 3])) == pytest.approx(8 / 9)


def test_auc() -> None:
    assert auc(np.array([2, 3]), np.array([0, 1])) == 1
    assert auc(np.array([0]), np.array([1, 2])) == 0
    assert auc(np.array([1, 1]), np.array([1])) == 0.5
    assert auc(np.array([0, 2]), np.array([1])) == 0.5


def test_an_interval_in_words() -> None:
    assert str(Interval(2.314, 2.25, 2.381)) == "2.31 [2.25, 2.38]"
