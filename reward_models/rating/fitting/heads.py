"""Fit of the popularity heads of a rating network, on the features of frozen transcribers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.reward_models.preferences import group_folds
from toccata.reward_models.rating.fitting.features import PieceFeatures
from toccata.reward_models.rating.fitting.pairs import Votes, bradley_terry_loss
from toccata.reward_models.rating.network import NOISE_RATING, RatingMember

NEGATIVE_SHARE = 1 / 10  # synthetic negatives per piece of a batch
VALID_FOLDS = 10
MIN_VALID_PIECES = 10  # with fewer there is no early stopping: the last epoch is kept
EDGE_SAMPLES = 7  # windows of each piece whose quantiles are the bin edges
BATCH = 128
FEWEST = 16  # pieces with a target in a batch, where votes are many and such pieces few
MIN_BATCHES = 12  # an epoch; small data sets are sampled several times, each time in other copies
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.3
DROPOUT = 0.3

# Of each epoch `train_mse` (negatives included) and `valid_mse`, NaN without plays and likes; and with votes on pairs
# their mean negative log-likelihoods, `train_pairs` and `valid_pairs`
Curve = list[dict[str, float]]


def fit_head(
    pretrained: RatingMember,
    index: int,
    features: PieceFeatures,
    negatives: PieceFeatures,
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
    votes: Votes | None = None,
    pair_weight: float = 1.0,
) -> tuple[RatingMember, Curve]:
    """Fit one member of the ensemble by mean squared error, or the likelihood of votes, or both, with early stopping.

    The loss is the mean squared error of pieces with a target and of negatives, plus `pair_weight` times
    `bradley_terry_loss`. Votes say nothing of where 0 is: without targets, the square of the mean rating of each batch
    is added, so that it is the mean of the pieces, as with targets.

    Args:
        pretrained: the member with its fitted transcriber; it is not changed.
        index: its index among the members of `features`.
        features: those of n pieces.
        negatives: features of the synthetic negatives, whose target is `NOISE_RATING`.
        targets: (n,) standardised p; NaN where it is not known.
        train: indices of the training pieces.
        valid: indices of the validation pieces.
        epochs: passes over `train`.
        seed: of the initial weights and the batches.
        votes: on pairs of the n pieces; those with a piece in neither `train` nor `valid` are not used.
        pair_weight: of their loss.

    Returns:
        A new member with the weights of the epoch of its smallest loss on `valid`, and on votes on a piece of it, or of
        the last epoch where `valid` has fewer than `MIN_VALID_PIECES`; and its learning curve.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    member = RatingMember(pretrained.config, DROPOUT)
    member.load_state_dict(pretrained.transcriber_state(), strict=False)
    windows = np.concatenate([features.sample(train, rng) for _ in range(EDGE_SAMPLES)])
    statistics = features.melody[index, windows].numpy()
    edges = np.quantile(statistics, np.linspace(0, 1, pretrained.config.bins + 1), axis=0).T
    member.head.edges.copy_(torch.from_numpy(edges.astype(np.float32)))
    parameters = [*member.sound.parameters(), *member.head.parameters()]
    counted = train[np.isfinite(targets[train].numpy())]
    counted_valid = valid[np.isfinite(targets[valid].numpy())]
    train_votes, valid_votes = _divided(votes, train, valid) if pair_weight else (None, None)
    discrimination = 1.0 if train_votes is None else train_votes.discrimination()
    batches = -(-max(len(counted), 0 if train_votes is None else len(train_votes)) // BATCH)
    repeats = -(-MIN_BATCHES // batches)
    batches *= repeats
    times = repeats if train_votes is None or not len(counted) else max(repeats, -(-FEWEST * batches // len(counted)))
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    negative_indices = np.arange(len(negatives.first))
    best, least = member.state_dict(), np.inf
    curve: Curve = []
    for _ in range(epochs):
        member.train()
        losses, pair_losses = [], []
        order = np.concatenate([rng.permutation(counted) for _ in range(times)])
        voted = [] if train_votes is None else _batches_of(train_votes, repeats, batches, rng)
        for number, pieces in enumerate(np.array_split(order, batches)):
            pair = voted[number] if voted else None
            compared = np.empty(0, np.int64) if pair is None else np.concatenate([pair.first, pair.second])
            beside = len(pieces) or len(compared)
            negative_pieces = rng.choice(negative_indices, max(1, round(NEGATIVE_SHARE * beside)))
            inputs = zip(
                features.windows(index, features.sample(pieces, rng)),
                negatives.windows(index, negatives.sample(negative_pieces, rng)),
                *([] if pair is None else [features.windows(index, features.sample(compared, rng))]),
                strict=True,
            )
            batch_targets = torch.cat([targets[pieces], torch.full((len(negative_pieces),), NOISE_RATING)])
            ratings = member.predict(*(torch.cat(parts) for parts in inputs))
            rated, first, second = ratings.split([len(batch_targets), *([len(compared) // 2] * 2)])
            loss = functional.mse_loss(rated, batch_targets, reduction="sum") / (beside + len(negative_pieces))
            losses.append(loss.item() if len(pieces) else np.nan)
            if pair is not None:
                pair_loss = bradley_terry_loss(first, second, torch.from_numpy(pair.share), discrimination)
                pair_losses.append(pair_loss.item())
                loss = loss + pair_weight * pair_loss
                if not len(pieces):
                    loss = loss + ratings[len(batch_targets) :].mean() ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        epoch = {
            "train_mse": float(np.mean(losses)),
            "valid_mse": _squared_error(features.piece_ratings(member, index, counted_valid), targets[counted_valid]),
        }
        valid_loss = epoch["valid_mse"] if len(counted_valid) else 0.0
        if valid_votes is not None:
            epoch["train_pairs"] = float(np.mean(pair_losses))
            epoch["valid_pairs"] = _log_loss(member, index, features, valid_votes, discrimination)
            valid_loss += pair_weight * (epoch["valid_pairs"] if len(valid_votes) else 0.0)
        if len(valid) < MIN_VALID_PIECES or not curve or valid_loss < least:
            best, least = {name: value.clone() for name, value in member.state_dict().items()}, valid_loss
        curve.append(epoch)
    member.load_state_dict(best)
    return member.eval(), curve


def _divided(votes: Votes | None, train: np.ndarray, valid: np.ndarray) -> tuple[Votes | None, Votes | None]:
    """Votes between training pieces, and those on a validation piece; None where there are none between the former."""
    among = None if votes is None else votes.among(train)
    if votes is None or not among:
        return None, None
    return among, votes.among(np.union1d(train, valid), touching=valid)


def _batches_of(votes: Votes, repeats: int, batches: int, rng: np.random.Generator) -> list[Votes]:
    """All votes `repeats` times, each time in another order, in that many batches."""
    order = np.concatenate([rng.permutation(len(votes)) for _ in range(repeats)])
    return [votes[part] for part in np.array_split(order, batches)]


def _squared_error(ratings: np.ndarray, targets: Tensor) -> float:
    """Mean squared error of (n,) ratings; NaN of none."""
    return float(np.mean((ratings - targets.numpy()) ** 2)) if len(ratings) else float("nan")


def _log_loss(member: RatingMember, index: int, features: PieceFeatures, votes: Votes, discrimination: float) -> float:
    """Mean negative log-likelihood of votes, in nats; NaN of none."""
    if not votes:
        return float("nan")
    pieces = votes.pieces
    ratings = torch.from_numpy(features.piece_ratings(member, index, pieces))
    first, second = (ratings[np.searchsorted(pieces, each)] for each in (votes.first, votes.second))
    return float(bradley_terry_loss(first, second, torch.from_numpy(votes.share), discrimination))


def fit_ensemble(
    pretrained: Sequence[RatingMember],
    features: PieceFeatures,
    negatives: PieceFeatures,
    groups: Sequence[str],
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
    on_member: Callable[[], None] = lambda: None,
    votes: Votes | None = None,
    pair_weight: float = 1.0,
) -> tuple[list[RatingMember], list[Curve]]:
    """Fit the members by `fit_head`, each with another seed.

    If `valid` is empty, each member takes another tenth of `train` for validation, which shares no group, (n,), with
    the rest. `on_member` is called after each member.

    Returns:
        The fitted members and their learning curves.
    """
    train_groups = [groups[index] for index in train]
    folds = min(VALID_FOLDS, len(set(train_groups)))
    fold = group_folds(train_groups, folds, seed)
    members, curves = [], []
    for index, member in enumerate(pretrained):
        member_train, member_valid = train, valid
        if not len(valid) and folds > 1:
            member_train, member_valid = train[fold != index % folds], train[fold == index % folds]
        elif not len(valid):
            member_valid = train
        fitted, curve = fit_head(
            member,
            index,
            features,
            negatives,
            targets,
            member_train,
            member_valid,
            epochs,
            seed=1000 * seed + index,
            votes=votes,
            pair_weight=pair_weight,
        )
        members.append(fitted)
        curves.append(curve)
        on_member()
    return members, curves
