"""Votes on pairs of pieces, as the Bradley-Terry loss of a rating and as held-out results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from toccata.reward_models.preferences import Pair
from toccata.reward_models.preferences.bradley_terry import bradley_terry
from toccata.stats import bootstrap_clusters, spearman

RESAMPLES = 500
LEAST_DISCRIMINATION = 0.25  # log-odds; votes that agree on nothing would make ratings without bounds
FEWEST_RANKED = 10  # pieces of a rank correlation


@dataclass(frozen=True, eq=False)
class Votes:
    """Votes on pairs of the n pieces of a fit.

    Args:
        first: (m,) int64 index of a piece.
        second: (m,) int64 index of the other.
        share: (m,) float32, 1 where the first was preferred, 0 where the second was, 0.5 for a tie.
    """

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, pairs: Sequence[Pair], kept: Sequence[int]) -> Votes:
        """Those between the pieces `kept`, indices in a table, which are counted anew in that order."""
        new = {old: index for index, old in enumerate(kept)}
        rows = [(new[a], new[b], share) for a, b, share in pairs if a in new and b in new]
        first, second, share = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(first, np.int64), np.array(second, np.int64), np.array(share, np.float32))

    def __len__(self) -> int:
        """Number of votes."""
        return len(self.share)

    def __getitem__(self, index: np.ndarray) -> Votes:
        """Some of the votes, by index or mask."""
        return Votes(self.first[index], self.second[index], self.share[index])

    @property
    def pieces(self) -> np.ndarray:
        """Indices of the pieces that were voted on, in order."""
        return np.unique(np.concatenate([self.first, self.second]))

    def among(self, pieces: np.ndarray, touching: np.ndarray | None = None) -> Votes:
        """Those between two of these pieces; with `touching`, of which one at least is one of these."""
        kept = np.isin(self.first, pieces) & np.isin(self.second, pieces)
        if touching is not None:
            kept &= np.isin(self.first, touching) | np.isin(self.second, touching)
        return self[kept]

    def strengths(self, pieces: int) -> np.ndarray:
        """(pieces,) Bradley-Terry strengths in log-odds, of mean 0 over the pieces voted on; NaN for the others."""
        strengths = np.full(pieces, np.nan)
        voted, index = np.unique(np.concatenate([self.first, self.second]), return_inverse=True)
        if len(voted):
            strengths[voted] = bradley_terry(index[: len(self)], index[len(self) :], self.share, len(voted))[0]
        return strengths

    def discrimination(self) -> float:
        """Log-odds of a vote for a difference of 1 in rating: the standard deviation of the strengths.

        So one unit of a rating is one standard deviation of pieces, as it is with plays and likes.
        """
        strengths = self.strengths(int(self.pieces.max(initial=0)) + 1)
        return max(float(np.nanstd(strengths)), LEAST_DISCRIMINATION) if len(self) else 1.0


def bradley_terry_loss(first: Tensor, second: Tensor, share: Tensor, discrimination: float) -> Tensor:
    """Mean negative log-likelihood of votes, in nats: `-log sigmoid(discrimination * (first - second))` where it won.

    Bradley & Terry 1952; as the loss of a network, Christiano et al. 2017, "Deep reinforcement learning from human
    preferences", section 2.2.3, where a tie is half a vote for each, too.

    Args:
        first: (m,) ratings of the pieces heard first.
        second: (m,) ratings of the others.
        share: (m,) as in `Votes`.
        discrimination: log-odds for a difference of 1 in rating.
    """
    return functional.binary_cross_entropy_with_logits(discrimination * (first - second), share)


def held_out_votes(votes: Votes, ratings: np.ndarray, pieces: int, seed: int = 0) -> dict[str, object]:
    """How well ratings predict votes that they were not fitted to.

    Args:
        votes: between held-out pieces.
        ratings: (pieces,).
        pieces: n of the fit.
        seed: of the bootstrap.

    Returns:
        `accuracy`, the share of votes without ties that the ratings predict, with its 95 % `interval`, for which pairs
        of pieces are resampled as clusters; `votes`, their number; `rank_correlation` with the strengths of the pieces
        by these votes, and its `rank_interval`, for which pieces are resampled; `pieces`, their number. An entry is
        None where there is too little.
    """
    rng = np.random.default_rng(seed)
    decided = votes[votes.share != 0.5]
    difference = ratings[decided.first] - ratings[decided.second]
    right = np.where(difference == 0, 0.5, (difference > 0) == (decided.share > 0.5)).astype(float)
    results: dict[str, object] = dict.fromkeys(("accuracy", "interval", "rank_correlation", "rank_interval"))
    if len(right):
        clusters = [f"{min(pair)} {max(pair)}" for pair in zip(decided.first, decided.second, strict=True)]
        accuracy = bootstrap_clusters(lambda index: float(right[index].mean()), clusters, rng, RESAMPLES)
        results |= {"accuracy": accuracy.mean, "interval": (accuracy.low, accuracy.high)}
    voted = votes.pieces
    if len(voted) >= FEWEST_RANKED:
        strengths = votes.strengths(pieces)[voted]

        def correlation(index: np.ndarray) -> float:
            return spearman(ratings[voted][index], strengths[index])

        ranks = bootstrap_clusters(correlation, voted.astype(str).tolist(), rng, RESAMPLES)
        results |= {"rank_correlation": ranks.mean, "rank_interval": (ranks.low, ranks.high)}
    return results | {"votes": len(decided), "pieces": len(voted)}
