import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.reward_models.preferences import group_folds


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1), st.integers(1, 6), st.integers(0, 100))
def test_folds_keep_groups_together_and_are_reproducible(groups, folds, seed):
    distinct = sorted(set(groups))
    if folds > len(distinct):
        with pytest.raises(ValueError, match=f"{folds} folds"):
            group_folds(groups, folds, seed)
        return
    fold = group_folds(groups, folds, seed)
    assert fold.shape == (len(groups),)
    assert set(fold.tolist()) == set(range(folds))
    fold_of_group = dict(zip(groups, fold.tolist(), strict=True))
    assert [fold_of_group[group] for group in groups] == fold.tolist()
    sizes = np.bincount([fold_of_group[group] for group in distinct])
    assert sizes.max() - sizes.min() <= 1
    assert group_folds(groups[::-1], folds, seed).tolist() == fold.tolist()[::-1]
