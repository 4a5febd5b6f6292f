"""Fit of the popularity heads of a rating network, on the features of frozen transcribers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.reward_models.preferences import group_folds
from toccata.reward_models.rating.fitting.features import PieceFeatures
from toccata.reward_models.rating.network import NOISE_RATING, RatingMember

NEGATIVE_SHARE = 1 / 10  # synthetic negatives per piece of a batch
VALID_FOLDS = 10
MIN_VALID_PIECES = 10  # with fewer there is no early stopping: the last epoch is kept
EDGE_SAMPLES = 7  # windows of each piece whose quantiles are the bin edges
BATCH = 128
MIN_BATCHES = 12  # an epoch; small data sets are sampled several times, each time in other copies
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.3
DROPOUT = 0.3

Curve = list[dict[str, float]]  # `train_mse` (negatives included) and `valid_mse` of each epoch


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
) -> tuple[RatingMember, Curve]:
    """Fit one member of the ensemble by mean squared error with early stopping.

    Args:
        pretrained: the member with its fitted transcriber; it is not changed.
        index: its index among the members of `features`.
        features: those of n pieces.
        negatives: features of the synthetic negatives, whose target is `NOISE_RATING`.
        targets: (n,) standardised p.
        train: indices of the training pieces.
        valid: indices of the validation pieces.
        epochs: passes over `train`.
        seed: of the initial weights and the batches.

    Returns:
        A new member with the weights of the epoch of its smallest mean squared error on `valid`, or of the last epoch
        where `valid` has fewer than `MIN_VALID_PIECES`; and its learning curve.
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
    batches = -(-len(train) // BATCH)
    repeats = -(-MIN_BATCHES // batches)
    batches *= repeats
    optimizer = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    negative_indices = np.arange(len(negatives.first))
    best = member.state_dict()
    curve: Curve = []
    for _ in range(epochs):
        member.train()
        losses = []
        order = np.concatenate([rng.permutation(train) for _ in range(repeats)])
        for pieces in np.array_split(order, batches):
            negative_pieces = rng.choice(negative_indices, max(1, round(NEGATIVE_SHARE * len(pieces))))
            inputs = zip(
                features.windows(index, features.sample(pieces, rng)),
                negatives.windows(index, negatives.sample(negative_pieces, rng)),
                strict=True,
            )
            batch_targets = torch.cat([targets[pieces], torch.full((len(negative_pieces),), NOISE_RATING)])
            loss = functional.mse_loss(member.predict(*(torch.cat(both) for both in inputs)), batch_targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        valid_mse = float(np.mean((features.piece_ratings(member, index, valid) - targets[valid].numpy()) ** 2))
        if len(valid) < MIN_VALID_PIECES or not curve or valid_mse < min(epoch["valid_mse"] for epoch in curve):
            best = {name: value.clone() for name, value in member.state_dict().items()}
        curve.append({"train_mse": float(np.mean(losses)), "valid_mse": valid_mse})
    member.load_state_dict(best)
    return member.eval(), curve


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
        )
        members.append(fitted)
        curves.append(curve)
        on_member()
    return members, curves
