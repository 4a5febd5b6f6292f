"""Cross-validation of a rating network: agreement with popularity on held-out pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from toccata.reward_models.preferences.reading import (
    group_folds,
)
from toccata.reward_models.rating.fitting.agreement import Agreement, agreement, calibration, noise_ceiling, ridge
from toccata.reward_models.rating.fitting.config import FitRatingConfig
from toccata.reward_models.rating.fitting.data import RatedPieces
from toccata.reward_models.rating.model import RATING_LIMIT
from toccata.reward_models.rating.network import RatingConfig, RatingMember

Split = tuple[np.ndarray, np.ndarray, np.ndarray]  # indices to fit on, to stop by (perhaps none), to test on


def splits(config: FitRatingConfig, rated: RatedPieces) -> list[Split]:
    """What is fitted on and what is held out: the table's own test pieces, else folds of whole groups, or nothing."""
    rest, valid, test = rated.of_split(None, "train"), rated.of_split("valid"), rated.of_split("test")
    if len(test):
        return [(rest, valid, test)]
    if not config.folds:
        return []
    everything = np.concatenate([rest, valid])
    groups = [rated.groups[index] for index in everything]
    if len(set(groups)) < 2:
        return []
    fold = group_folds(groups, min(config.folds, len(set(groups))), config.seed)
    return [(everything[fold != k], valid[:0], everything[fold == k]) for k in range(fold.max() + 1)]


def held_out(
    config: RatingConfig,
    rated: RatedPieces,
    parts: list[Split],
    fit_members: Callable[[int, np.ndarray, np.ndarray], list[RatingMember]],
) -> dict[str, object]:
    """Figures of pieces that the judges were not fitted on.

    Returns:
        `agreement` by who predicts: the `score`, the `mean` of the reward_members members, the `gold rater`, the mean of
        `all members`, a `ridge` regression and a `constant`; the mean also by the `source` of the counts.
        `calibration` of the mean by decile, in p.
    """
    known = rated.targets().numpy()
    names = ("score", "mean", "gold rater", "all members", "ridge")
    predicted = {name: np.zeros(len(known), np.float32) for name in names}
    constant = np.zeros(len(known), np.float32)
    for number, (train, valid, test) in enumerate(parts):
        members = fit_members(number, train, valid)
        judged = np.stack([rated.features.piece_ratings(member, i, test) for i, member in enumerate(members)], 1)
        reward_members = judged[:, : config.reward_members]
        predicted["mean"][test] = reward_members.mean(1)
        score = reward_members.mean(1) - config.pessimism * reward_members.std(1)
        predicted["score"][test] = np.clip(score, -RATING_LIMIT, RATING_LIMIT)
        predicted["gold rater"][test] = judged[:, -1]
        predicted["all members"][test] = judged.mean(1)
        predicted["ridge"][test] = ridge(rated.ridge_features[train], known[train], rated.ridge_features[test])
        constant[test] = known[train].mean()
    if config.reward_members == config.members:
        del predicted["gold rater"]
    tested = np.concatenate([test for _, _, test in parts])
    groups = np.array(rated.groups)
    figures = {name: agreement(values[tested], known[tested], groups[tested]) for name, values in predicted.items()}
    mse = float(np.mean((constant[tested] - known[tested]) ** 2))
    figures["constant"] = Agreement(0.0, (0.0, 0.0), 0.0, mse, len(tested))
    sources = np.array([preference.source or "" for preference in rated.preferences])
    for source in sorted(set(sources[tested])) if len(set(sources[tested])) > 1 else ():
        some = tested[sources[tested] == source]
        figures[f"mean, {source}"] = agreement(predicted["mean"][some], known[some], groups[some])
    mean, spread = rated.popularity.mean(), rated.popularity.std()
    return {
        "agreement": {name: asdict(figure) for name, figure in figures.items()},
        "calibration": calibration(mean + spread * predicted["mean"][tested], rated.popularity[tested]),
        "noise_ceiling": noise_ceiling([rated.preferences[index] for index in tested]),
    }
