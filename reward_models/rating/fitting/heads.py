"""Fitting the popularity heads of a rating network on frozen transcribers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.reward_models.preferences.reading import group_folds
from toccata.reward_models.rating.fitting.features import PieceFeatures
from toccata.reward_models.rating.network import RatingMember

NEGATIVE_RATING = -2.5  # standard deviations; no melody of the Bach Doodle lies below -1.35
NEGATIVE_SHARE = 1 / 16  # beside so many pieces one of them
VALID_FOLDS = 10
LEAST_VALID = 10  # of fewer pieces held out no epoch is chosen by: the last is taken
EDGE_SAMPLES = 7  # windows of each piece that the bins are cut by
BATCH = 128
LEAST_BATCHES = 12  # an epoch; few pieces are dealt several times, each time in other augmented_mels
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.3
DROPOUT = 0.3

Curve = list[dict[str, float]]  # `train_mse` (negatives included) and `valid_mse` of each epoch


def fit_head(
    transcribing: RatingMember,
    index: int,
    heard: PieceFeatures,
    negatives: PieceFeatures,
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
) -> tuple[RatingMember, Curve]:
    """One member of the ensemble, fitted by mean squared error with early stopping.

    Args:
        transcribing: the member, its transcriber fitted; it is not changed.
        index: which of the members that `heard` knows it is.
        heard: the pieces.
        negatives: what no one wants to hear.
        targets: (n,) standardised p.
        train: indices of the pieces to fit on.
        valid: indices of the pieces that choose the epoch.
        epochs: passes over `train`.
        seed: of the weights and the batches.

    Returns:
        The member as it was after the epoch of its smallest mean squared error on `valid`, or after the last where
        `valid` is too small to tell, and its learning curve.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    member = RatingMember(transcribing.config, DROPOUT)
    member.load_state_dict(transcribing.transcriber_state(), strict=False)
    known = heard.melody[index, np.concatenate([heard.sample(train, rng) for _ in range(EDGE_SAMPLES)])].numpy()
    edges = np.quantile(known, np.linspace(0, 1, transcribing.config.bins + 1), axis=0).T
    member.head.edges.copy_(torch.from_numpy(edges.astype(np.float32)))
    fitted = [*member.sound.parameters(), *member.head.parameters()]
    batches = -(-len(train) // BATCH)
    rounds = -(-LEAST_BATCHES // batches)
    batches *= rounds
    optimizer = torch.optim.AdamW(fitted, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    noises = np.arange(len(negatives.first))
    best = member.state_dict()
    curve: Curve = []
    for _ in range(epochs):
        member.train()
        losses = []
        dealt = np.concatenate([rng.permutation(train) for _ in range(rounds)])
        for pieces in np.array_split(dealt, batches):
            worst = rng.choice(noises, max(1, round(NEGATIVE_SHARE * len(pieces))))
            parts = zip(
                heard.windows(index, heard.sample(pieces, rng)),
                negatives.windows(index, negatives.sample(worst, rng)),
                strict=True,
            )
            wanted = torch.cat([targets[pieces], torch.full((len(worst),), NEGATIVE_RATING)])
            loss = functional.mse_loss(member.predict(*(torch.cat(both) for both in parts)), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        valid_mse = float(np.mean((heard.piece_ratings(member, index, valid) - targets[valid].numpy()) ** 2))
        if len(valid) < LEAST_VALID or not curve or valid_mse < min(epoch["valid_mse"] for epoch in curve):
            best = {name: value.clone() for name, value in member.state_dict().items()}
        curve.append({"train_mse": float(np.mean(losses)), "valid_mse": valid_mse})
    member.load_state_dict(best)
    return member.eval(), curve


def fit_ensemble(
    transcribing: Sequence[RatingMember],
    heard: PieceFeatures,
    negatives: PieceFeatures,
    groups: Sequence[str],
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
    on_member: Callable[[], None] = lambda: None,
) -> tuple[list[RatingMember], list[Curve]]:
    """The members, each with a seed of its own.

    Where no piece is set aside in `valid`, each leaves out other groups of `train`, a tenth, to choose its epoch by.

    Returns:
        The fitted members and their learning curves, as `fit_head` gives them.
    """
    train_groups = [groups[index] for index in train]
    folds = min(VALID_FOLDS, len(set(train_groups)))
    fold = group_folds(train_groups, folds, seed)
    members, curves = [], []
    for index, member in enumerate(transcribing):
        kept, out = train, valid
        if not len(valid):
            kept, out = (train[fold != index % folds], train[fold == index % folds]) if folds > 1 else (train, train)
        fitted, curve = fit_head(member, index, heard, negatives, targets, kept, out, epochs, seed=1000 * seed + index)
        members.append(fitted)
        curves.append(curve)
        on_member()
    return members, curves
