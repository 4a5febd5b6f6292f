"""Splits of a data set, and that test pieces are never used to fit the members that rate them."""

import numpy as np
import pytest
from rich.console import Console

from toccata.reward_models.rating.fitting import fit as fit_module
from toccata.reward_models.rating.fitting.data import RatedPieces
from toccata.reward_models.rating.fitting.held_out import make_splits


@pytest.fixture
def make_rated(make_table, make_tune):
    """Makes pieces without features: `make_rated(splits, groups)`."""

    def make(splits, groups=None):
        n = len(splits)
        scores = [make_tune(0)] * n
        groups = groups or [str(index) for index in range(n)]
        preferences = make_table(scores, range(1, n + 1), split=splits, group=groups).preferences
        return RatedPieces(preferences, tuple(scores), None, np.zeros((n, 1)), np.arange(n, dtype=float))

    return make


def test_the_split_of_the_table_is_used(make_rated, short_fit):
    (split,) = make_splits(short_fit(), make_rated(["train", "test", None, "valid", "test"] * 3))
    train, valid, test = (indices.tolist() for indices in split)
    assert train == [0, 2, 5, 7, 10, 12] and valid == [3, 8, 13] and test == [1, 4, 6, 9, 11, 14]


def test_folds_consist_of_whole_groups(make_rated, short_fit):
    rated = make_rated([None] * 20, [str(index // 4) for index in range(20)])
    splits = make_splits(short_fit(folds=3), rated)
    assert len(splits) == 3
    assert sorted(np.concatenate([test for _, _, test in splits]).tolist()) == list(range(20))
    for train, valid, test in splits:
        assert not len(valid) and sorted([*train, *test]) == list(range(20))
        assert not {rated.groups[i] for i in train} & {rated.groups[i] for i in test}


def test_there_are_no_more_folds_than_groups(make_rated, short_fit):
    assert len(make_splits(short_fit(folds=5), make_rated([None] * 12, [str(index % 2) for index in range(12)]))) == 2
    assert make_splits(short_fit(folds=0), make_rated([None] * 12)) == []


@pytest.mark.parametrize("split_of", [lambda i: "test" if i % 3 == 0 else "valid" if i % 3 == 1 else "train", None])
def test_test_pieces_are_never_fitted(small_network, short_fit, make_table, make_tune, monkeypatch, split_of):
    split = [split_of(i) if split_of else None for i in range(36)]
    table = make_table([make_tune(i) for i in range(36)], range(1, 37), split=split)
    calls = []
    fit_ensemble = fit_module.fit_ensemble

    def recorded(transcribers, features, negatives, groups, targets, train, valid, epochs, **options):
        calls.append((set(train.tolist()), set(valid.tolist())))
        return fit_ensemble(transcribers, features, negatives, groups, targets, train, valid, epochs, **options)

    monkeypatch.setattr(fit_module, "fit_ensemble", recorded)
    _, facts, curves, pieces = fit_module.fit(short_fit(epochs=1), table, Console(quiet=True))
    tested = facts["held_out"]["agreement"]["mean"]["pieces"]
    if split_of:
        test = {i for i in range(36) if i % 3 == 0}
        assert len(calls) == 2 and tested == 12
        for train, valid in calls:
            assert not test & (train | valid) and train == {i for i in range(36) if i % 3 == 2}
            assert valid == {i for i in range(36) if i % 3 == 1}
    else:
        *folds, final = calls
        assert len(folds) == 2 and tested == 36
        assert final == (set(range(36)), set())
        assert folds[0][0] | folds[1][0] == set(range(36)) and not folds[0][0] & folds[1][0]
    assert len(curves) == 3 and all(len(curve) == 1 for curve in curves)
    assert len(pieces.preferences) == 36
