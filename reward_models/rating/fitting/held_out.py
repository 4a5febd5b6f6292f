"""Held-out evaluation of a rating network: agreement with popularity on test pieces or by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from toccata.reward_models.preferences import group_folds
from toccata.reward_models.rating.fitting.agreement import Agreement, agreement, calibration, noise_ceiling, ridge
from toccata.reward_models.rating.fitting.config import FitRatingConfig
from toccata.reward_models.rating.fitting.data import RatedPieces
from toccata.reward_models.rating.fitting.pairs import Votes, held_out_votes
from toccata.reward_models.rating.model import RATING_LIMIT
from toccata.reward_models.rating.network import RatingConfig, RatingMember

Split = tuple[np.ndarray, np.ndarray, np.ndarray]  # indices of training, validation (may be empty) and test pieces


def make_splits(config: FitRatingConfig, rated: RatedPieces) -> list[Split]:
    """The split of the table if it has test pieces, else folds of whole groups; empty without folds or groups."""
    train, valid, test = rated.split_indices(None, "train"), rated.split_indices("valid"), rated.split_indices("test")
    if len(test):
        return [(train, valid, test)]
    if not config.folds:
        return []
    pieces = np.concatenate([train, valid])
    groups = [rated.groups[index] for index in pieces]
    if len(set(groups)) < 2:
        return []
    fold = group_folds(groups, min(config.folds, len(set(groups))), config.seed)
    return [(pieces[fold != k], valid[:0], pieces[fold == k]) for k in range(fold.max() + 1)]


def evaluate_held_out(
    config: RatingConfig,
    rated: RatedPieces,
    splits: list[Split],
    fit_members: Callable[[int, np.ndarray, np.ndarray], list[RatingMember]],
) -> dict[str, object]:
    """Fit an ensemble to each split and evaluate it on the test pieces.

    Args:
        config: of the network.
        rated: the pieces.
        splits: their test pieces are disjoint.
        fit_members: fits an ensemble, given the number of the split and its training and validation indices.

    Returns:
        `agreement` by prediction: the `score`, the `mean` of the reward members, the `sibling member`, the mean of
        `all members`, a `ridge` regression and a `constant`; that of the mean also by `source` of the counts.
        `calibration` of the mean by decile, in p. `noise_ceiling` of the test pieces. With votes on pairs, `votes` by
        prediction: `held_out_votes` between test pieces of one split. Without plays and likes, agreement is that with
        `RatedPieces.observed`, and `calibration` and `noise_ceiling` are missing.
    """
    targets = rated.observed()
    known = np.isfinite(targets)
    names = ("score", "mean", "sibling member", "all members", "ridge")
    predictions = {name: np.zeros(len(targets), np.float32) for name in names}
    constant = np.zeros(len(targets), np.float32)
    for number, (train, valid, test) in enumerate(splits):
        members = fit_members(number, train, valid)
        ratings = np.stack([rated.features.piece_ratings(member, i, test) for i, member in enumerate(members)], 1)
        reward_ratings = ratings[:, : config.reward_members]
        predictions["mean"][test] = reward_ratings.mean(1)
        score = reward_ratings.mean(1) - config.pessimism * reward_ratings.std(1)
        predictions["score"][test] = np.clip(score, -RATING_LIMIT, RATING_LIMIT)
        predictions["sibling member"][test] = ratings[:, -1]
        predictions["all members"][test] = ratings.mean(1)
        fitted = train[known[train]]
        predictions["ridge"][test] = ridge(rated.ridge_features[fitted], targets[fitted], rated.ridge_features[test])
        constant[test] = targets[fitted].mean()
    if config.reward_members == config.members:
        del predictions["sibling member"]
    tested = np.concatenate([test[known[test]] for _, _, test in splits])
    groups = np.array(rated.groups)
    results = {name: agreement(values[tested], targets[tested], groups[tested]) for name, values in predictions.items()}
    mse = float(np.mean((constant[tested] - targets[tested]) ** 2))
    results["constant"] = Agreement(0.0, (0.0, 0.0), 0.0, mse, len(tested))
    sources = np.array([preference.source or "" for preference in rated.preferences])
    for source in sorted(set(sources[tested])) if len(set(sources[tested])) > 1 else ():
        index = tested[sources[tested] == source]
        results[f"mean, {source}"] = agreement(predictions["mean"][index], targets[index], groups[index])
    found: dict[str, object] = {"agreement": {name: asdict(result) for name, result in results.items()}}
    if len(rated.votes):
        of_splits = [rated.votes.among(test) for _, _, test in splits]
        votes = Votes(*(np.concatenate([getattr(each, name) for each in of_splits]) for name in Votes.__annotations__))
        found["votes"] = {name: held_out_votes(votes, each, len(targets)) for name, each in predictions.items()}
    if rated.counted.any():
        counted = rated.popularity[rated.counted]
        predicted = counted.mean() + counted.std() * predictions["mean"][tested]
        found["calibration"] = calibration(predicted, rated.popularity[tested])
        found["noise_ceiling"] = noise_ceiling([rated.preferences[index] for index in tested])
    return found
