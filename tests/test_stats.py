"""Intervals, correlations and the area under the ROC curve on values whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from toccata.stats import (
    Interval,
    auc,
    auc_interval,
    bootstrap_clusters,
    bootstrap_difference,
    bootstrap_mean,
    difference_of_clusters,
    mean_of_clusters,
    pearson,
    spearman,
    wilson,
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


def test_means_of_clusters_have_t_intervals() -> None:
    interval = mean_of_clusters([np.full(5, 1.0), np.full(2, 3.0)])  # of 1 and 3, not of 5 ones and 2 threes
    assert interval == pytest.approx((2, 2 - 12.706, 2 + 12.706), abs=1e-3)  # t of 1 degree of freedom, times 1
    values = np.random.default_rng(1).normal(3, 2, (4, 20))
    half = 3.182 * values.mean(axis=1).std(ddof=1) / 2
    assert mean_of_clusters(list(values)).high - values.mean() == pytest.approx(half, rel=1e-3)
    alone = mean_of_clusters([values[0]])
    assert alone.high - alone.mean == pytest.approx(2.093 * values[0].std(ddof=1) / np.sqrt(20), rel=1e-3)
    assert mean_of_clusters([np.array([7.0])]) == mean_of_clusters([np.full(3, 7.0)]) == Interval(7, 7, 7)
    assert np.isfinite(mean_of_clusters([np.array([-1e100]), np.array([1e100])])).all()


@pytest.mark.parametrize("between", [0.0, 0.4])
def test_intervals_of_few_clusters_hold_the_mean(between: float) -> None:
    rng = np.random.default_rng(0)
    held = np.zeros(3)
    for _ in range(400):
        ours, theirs, common = rng.normal(size=(3, 3, 16))
        seeds = [between * rng.normal(size=(3, 1)) for _ in range(3)]
        ours, theirs = ours + seeds[0], theirs + seeds[1]
        unpaired = difference_of_clusters(list(ours), list(theirs))
        shift = common.mean(axis=1, keepdims=True) + seeds[2]
        paired = difference_of_clusters(list(ours + shift), list(theirs + shift), paired=True)
        held += [each.low <= 0 <= each.high for each in (mean_of_clusters(list(ours)), unpaired, paired)]
    assert (held / 400 > 0.92).all()


def test_pairs_of_clusters_take_their_common_part_away() -> None:
    clusters = [np.full(3, 10.0 * number) for number in range(4)]
    more = [values + 1 for values in clusters]
    assert difference_of_clusters(more, clusters, paired=True) == Interval(1, 1, 1)
    welch = difference_of_clusters(more, clusters[:2])
    freedom = (41.667 + 25) ** 2 / (41.667**2 / 3 + 25**2 / 1)  # variances 500/3 of 4 and 50 of 2
    assert freedom == pytest.approx(3.692, abs=1e-3)
    assert welch == pytest.approx((11, 11 - 2.871 * 66.667**0.5, 11 + 2.871 * 66.667**0.5), abs=0.02)


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


def test_interval_of_an_auc() -> None:
    rng = np.random.default_rng(0)
    assert auc_interval(np.array([2.0, 3.0]), np.array([0.0, 1.0]), rng) == pytest.approx((1, 1, 1))
    assert auc_interval(np.ones(9), np.ones(5), rng) == pytest.approx((0.5, 0.5, 0.5)), "ties count half"
    positive, negative = rng.normal(1, 1, 120), rng.normal(0, 1, 200)
    interval = auc_interval(positive, negative, rng)
    assert interval.mean == pytest.approx(auc(positive, negative))
    above = positive[:, None] > negative
    of_each = above.mean(axis=1).var(ddof=1) / 120 + above.mean(axis=0).var(ddof=1) / 200
    half = 1.96 * of_each**0.5  # DeLong et al. 1988
    assert interval.low == pytest.approx(interval.mean - half, abs=0.01)
    assert interval.high == pytest.approx(interval.mean + half, abs=0.01)


def test_intervals_of_aucs_hold_the_true_one() -> None:
    """The true AUC of two normal distributions that are one standard deviation apart is Phi(1 / sqrt 2) = 0.760."""
    rng = np.random.default_rng(0)
    intervals = [auc_interval(rng.normal(1, 1, 40), rng.normal(0, 1, 60), rng) for _ in range(100)]
    assert sum(interval.low <= 0.760 <= interval.high for interval in intervals) / 100 == pytest.approx(0.95, abs=0.05)


def test_an_interval_in_words() -> None:
    assert str(Interval(2.314, 2.25, 2.381)) == "2.31 [2.25, 2.38]"


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634), (20, 30, 0.4878, 0.8077)],
)
def test_wilson_intervals_of_known_shares(count: int, total: int, low: float, high: float) -> None:
    share = wilson(count, total)
    assert share == pytest.approx((count / total, low, high), abs=1e-4)
