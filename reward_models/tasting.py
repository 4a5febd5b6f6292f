"""Fitting the members of a rating network to what people liked, once a listener has heard the pieces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.reward_models.listening import describe
from toccata.reward_models.preferences import Preference, contour_folds
from toccata.reward_models.rating import Listener, RatingConfig, Taster, mean_by_owner
from toccata.reward_models.rating_report import rank_correlation

NEGATIVE_RATING = -2.5  # standard deviations; no melody of the Bach Doodle lies below -1.35
NEGATIVES_PER_BATCH = 8  # beside 128 melodies
BATCH = 128
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 0.3
DROPOUT = 0.3


@dataclass(frozen=True)
class Heard:
    """What a listener made of several renditions of the same n pieces.

    Args:
        windows: (windows, STATISTICS) of all windows of all renditions.
        first: (renditions, n) the first window of each piece.
        count: (renditions, n) how many windows it has.
    """

    windows: Tensor
    first: np.ndarray
    count: np.ndarray

    @classmethod
    def by(cls, listener: Listener, renditions: Iterable[list[np.ndarray]]) -> Heard:
        """Let `listener` hear the renditions, given as spectrograms."""
        windows, first, count, total = [], [], [], 0
        for spectra in renditions:
            described, borders = describe(listener, spectra)
            windows.append(described)
            first.append(borders[:-1] + total)
            count.append(np.diff(borders))
            total += len(described)
        return cls(torch.cat(windows), np.array(first), np.array(count))

    def sample(self, pieces: np.ndarray, rng: np.random.Generator) -> Tensor:
        """(len(pieces), STATISTICS): a random window of a random rendition of each."""
        rendition = rng.integers(0, len(self.first), len(pieces))
        window = (rng.random(len(pieces)) * self.count[rendition, pieces]).astype(np.int64)
        return self.windows[self.first[rendition, pieces] + window]

    def rated(self, taster: Taster, pieces: np.ndarray) -> np.ndarray:
        """(len(pieces),) float32: the mean rating over the windows of rendition 0."""
        count = self.count[0, pieces]
        index = np.concatenate([np.arange(a, a + c) for a, c in zip(self.first[0, pieces], count, strict=True)])
        owner = torch.from_numpy(np.repeat(np.arange(len(pieces)), count))
        with torch.no_grad():
            return mean_by_owner(taster.eval()(self.windows[index]), owner, len(pieces))[:, 0].numpy()


def fit_taster(
    config: RatingConfig,
    heard: Heard,
    negatives: Heard,
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
) -> Taster:
    """One member of the ensemble, fitted by mean squared error with early stopping.

    Args:
        config: shape of the network.
        heard: the melodies; rendition 0 is the plain one, which validation uses.
        negatives: what no one wants to hear, in one rendition.
        targets: (n,) standardised log-popularity.
        train: indices of the melodies to fit on.
        valid: indices of the melodies that choose the epoch.
        epochs: passes over `train`.
        seed: of the weights and the batches.

    Returns:
        The member as it was after the epoch of its highest rank correlation on `valid`.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    taster = Taster(config, DROPOUT)
    known = heard.windows[heard.first[:, train].ravel()].numpy()
    edges = np.quantile(known, np.linspace(0, 1, config.bins + 1), axis=0).T
    taster.edges.copy_(torch.from_numpy(edges.astype(np.float32)))
    batches = -(-len(train) // BATCH)
    optimizer = torch.optim.AdamW(taster.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    worst = torch.full((NEGATIVES_PER_BATCH,), NEGATIVE_RATING)
    noises = np.arange(negatives.first.shape[1])
    best, best_correlation = taster.state_dict(), -np.inf
    for _ in range(epochs):
        taster.train()
        for index in np.array_split(rng.permutation(train), batches):
            windows = [heard.sample(index, rng), negatives.sample(rng.choice(noises, len(worst)), rng)]
            loss = functional.mse_loss(taster(torch.cat(windows))[:, 0], torch.cat([targets[index], worst]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        correlation = rank_correlation(heard.rated(taster, valid), targets[valid].numpy())
        if correlation > best_correlation:
            best, best_correlation = {k: v.clone() for k, v in taster.state_dict().items()}, correlation
    taster.load_state_dict(best)
    return taster.eval()


def fit_ensemble(
    config: RatingConfig,
    heard: Heard,
    negatives: Heard,
    preferences: list[Preference],
    targets: Tensor,
    train: np.ndarray,
    epochs: int,
    seed: int,
) -> list[Taster]:
    """The members, each leaving out other contours, a tenth of `train`, to choose its epoch by."""
    splits = min(10, max(2, len(train) // 8))
    fold = contour_folds([preferences[i].score for i in train], splits, seed)
    return [
        fit_taster(
            config,
            heard,
            negatives,
            targets,
            train[fold != member % splits],
            train[fold == member % splits],
            epochs,
            1000 * seed + member,
        )
        for member in range(config.members)
    ]
