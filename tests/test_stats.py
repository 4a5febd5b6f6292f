"""Intervals, correlations and the area under the ROC curve on values whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from toccata.stats import (
    Interval,
    auc,
    bootstrap_clusters,
    bootstrap_difference,
    bootstrap_difference_of_clusters,
    bootstrap_mean,
    bootstrap_mean_of_clusters,
    pearson,
    spearman,
)


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


def test_means_of_clusters_vary_between_and_within_them() -> None:
    rng = np.random.default_rng(0)
    assert bootstrap_mean_of_clusters([np.full(5, 1.0), np.full(2, 3.0)], rng) == Interval(2, 1, 3)  # 1 each, not 7
    values = np.random.default_rng(1).normal(3, 2, (30, 20))
    between, within = 5 * np.arange(30.0)[:, None], values - values.mean(axis=1, keepdims=True)
    interval = bootstrap_mean_of_clusters(list(between + within), rng)
    half = 1.96 * np.sqrt(between.var() / 30 + within.var() / 600)
    assert interval.high - interval.mean == pytest.approx(half, rel=0.15)
    alone = bootstrap_mean_of_clusters([values[0]], rng)
    assert alone.high - alone.mean == pytest.approx(1.96 * values[0].std() / np.sqrt(20), rel=0.2)


def test_pairs_of_clusters_take_their_common_part_away() -> None:
    clusters = [np.full(3, 10.0 * number) for number in range(4)]
    more = [values + 1 for values in clusters]
    paired = bootstrap_difference_of_clusters(more, clusters, np.random.default_rng(0), paired=True)
    assert paired == Interval(1, 1, 1)
    alone = bootstrap_difference_of_clusters(more, clusters[:2], np.random.default_rng(0), paired=False)
    assert alone.mean == 11
    assert alone.low < 1
    assert alone.high > 21


def test_many_values_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [np.random.default_rng(1).normal(size=40), np.ones(3)]
    whole = bootstrap_mean_of_clusters(values, np.random.default_rng(0))
    monkeypatch.setattr("toccata.stats.MAX_DRAWN_AT_ONCE", 100)
    assert bootstrap_mean_of_clusters(values, np.random.default_rng(0)) == whole


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
