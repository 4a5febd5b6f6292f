"""Cross-validation folds that keep groups of pieces together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def group_folds(groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """(n,) fold of each piece in 0..folds-1, each group in one fold, equally many groups in each fold up to one.

    Args:
        groups: (n,) group of each piece, `Preference.group`.
        folds: number of folds, at least 1.
        seed: of the random assignment, which does not depend on the order of the pieces.

    Raises:
        ValueError: when there are fewer groups than folds.
    """
    distinct = sorted(set(groups))
    if not 1 <= folds <= len(distinct):
        raise ValueError(f"{folds} folds need as many groups of pieces, got {len(distinct)}")
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold_of_group = {distinct[index]: position % folds for position, index in enumerate(order)}
    return np.array([fold_of_group[group] for group in groups], np.int64)
