"""The data set of a fit: pieces with their features and popularity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from toccata.music.score import Score
from toccata.music.sound.bank import NoteBank
from toccata.reward_models.preferences import LeftOut, Preference, PreferenceError, PreferenceTable
from toccata.reward_models.rating.fitting.agreement import note_features
from toccata.reward_models.rating.fitting.config import FitRatingConfig, FitRatingError
from toccata.reward_models.rating.fitting.features import PieceFeatures, WindowMels, augmented_mels, extract_features
from toccata.reward_models.rating.fitting.pairs import Votes
from toccata.reward_models.rating.network import RatingMember

MIN_PIECES = 10  # fewer cannot be split into training, validation and test pieces
NO_VOTES = Votes.of((), ())
MAX_SECONDS = 64  # loaded of each piece, from its middle: `MAX_WINDOWS` windows


@dataclass(frozen=True)
class RatedPieces:
    """The n pieces of a fit that could be read, and their features.

    Args:
        preferences: n of them.
        scores: of those pieces that are scores, in order; the others are recordings.
        features: of the n pieces and their augmented copies.
        ridge_features: (n, k) for the ridge regression.
        popularity: (n,) p of each; NaN where only votes on pairs are known.
        votes: on pairs of the pieces.
    """

    preferences: tuple[Preference, ...]
    scores: tuple[Score, ...]
    features: PieceFeatures
    ridge_features: np.ndarray
    popularity: np.ndarray
    votes: Votes = NO_VOTES

    @property
    def are_melodies(self) -> bool:
        """Whether all pieces are scores in which no note begins before the one before it ends."""
        lines = [bool((score.offset_ticks[:-1] <= score.notes["onset_tick"][1:]).all()) for score in self.scores]
        return len(lines) == len(self.preferences) and all(lines)

    @property
    def groups(self) -> list[str]:
        """(n,) group of each piece; a group is never divided between the parts of a split."""
        return [preference.group for preference in self.preferences]

    @property
    def counted(self) -> np.ndarray:
        """(n,) bool, whether plays and likes of a piece are known."""
        return np.isfinite(self.popularity)

    def targets(self) -> Tensor:
        """(n,) float32 p with mean 0 and variance 1; NaN where only votes on pairs are known."""
        counted = self.popularity[self.counted]
        mean, spread = (counted.mean(), counted.std()) if len(counted) else (0.0, 1.0)
        return torch.from_numpy(((self.popularity - mean) / spread).astype(np.float32))

    def observed(self) -> np.ndarray:
        """(n,) what held-out predictions are compared with: `targets`, without any the strengths by all votes."""
        if self.counted.any():
            return self.targets().numpy()
        return (self.votes.strengths(len(self.preferences)) / self.votes.discrimination()).astype(np.float32)

    def split_indices(self, *splits: str | None) -> np.ndarray:
        """Indices of the pieces of these splits; None selects pieces without a split."""
        return np.flatnonzero([preference.split in splits for preference in self.preferences])


def load_rated_pieces(
    config: FitRatingConfig,
    table: PreferenceTable,
    members: list[RatingMember],
    banks: Sequence[NoteBank],
    progress: Progress,
) -> tuple[RatedPieces, list[LeftOut]]:
    """Load the pieces of a table and extract their features with the transcribers of `members`.

    Augmented copies of scores are played by `banks`.

    Returns:
        The pieces, and those left out because they cannot be read or are degenerate.

    Raises:
        FitRatingError: when too few pieces are left, or all have the same popularity and there are no votes on pairs.
    """
    rng = np.random.default_rng(config.seed)
    preferences: list[Preference] = []
    kept: list[int] = []  # their indices in the table
    scores: list[Score] = []
    left_out: list[LeftOut] = []
    bar = progress.add_task("extracting features", total=len(table.preferences))

    def copies() -> Iterator[list[WindowMels]]:
        for number, preference in enumerate(table.preferences):
            progress.advance(bar)
            try:
                piece = preference.load(MAX_SECONDS)
            except PreferenceError as error:
                left_out.append(LeftOut(preference.name, "unreadable file", str(error)))
                continue
            if isinstance(piece, Score) and (reason := _degenerate(piece, config.min_notes)):
                left_out.append(LeftOut(preference.name, reason, f"{len(piece)} notes"))
                continue
            preferences.append(preference)
            kept.append(number)
            if isinstance(piece, Score):
                scores.append(piece)
            yield augmented_mels(piece, config.copies, banks, rng)
        if len(preferences) < MIN_PIECES:
            loaded = PreferenceTable(tuple(preferences), (*table.left_out, *left_out))
            raise FitRatingError(
                f"{config.data}: at least {MIN_PIECES} pieces are needed, a few thousand for a useful rating; "
                f"there are {loaded.summary()}"
            )

    features = extract_features(members, copies())
    popularity = np.array([preference.popularity for preference in preferences])
    votes = Votes.of(table.pairs, kept)
    counted = popularity[np.isfinite(popularity)]
    no_spread = not len(counted) or counted.std() < 1e-6 * max(counted.mean(), 1e-6)
    if len(votes) and config.pair_weight and (no_spread or len(counted) < MIN_PIECES):
        popularity[:] = np.nan  # the votes have to do
    elif not len(counted):
        raise FitRatingError(
            f"{config.data}: there are no plays and likes, and no votes on pairs with a weight above 0"
        )
    elif no_spread:
        raise FitRatingError(
            f"{config.data}: every piece has p = likes / plays * log(likes) = {counted[0]:.4g}, so there is nothing "
            "to fit; p is 0 for pieces with no more than one like"
        )
    if sum(preference.split in (None, "train") for preference in preferences) < MIN_PIECES:
        raise FitRatingError(
            f"{config.data}: at least {MIN_PIECES} training pieces are needed, its valid and test splits leave fewer"
        )
    only_scores = len(scores) == len(preferences)
    ridge_features = np.array([note_features(score) for score in scores]) if only_scores else _band_features(features)
    return RatedPieces(tuple(preferences), tuple(scores), features, ridge_features, popularity, votes), left_out


def _degenerate(score: Score, min_notes: int) -> str | None:
    """Why a score is left out, None if it is not; a single repeated key is one of the synthetic negatives."""
    pitch = score.notes["pitch"]
    if len(pitch) < min_notes:
        return f"fewer than {min_notes} notes"
    return "one key only" if pitch.min() == pitch.max() else None


def _band_features(features: PieceFeatures) -> np.ndarray:
    """(n, 2 * mels) mean and standard deviation over time of each mel band of each piece.

    The zeros in the padding of the last window are included, so the features depend on the length as well.
    """
    bands = [
        features.pooled[first : first + count].float().transpose(1, 2).flatten(0, 1)
        for first, count in zip(features.first[:, 0], features.count[:, 0], strict=True)
    ]
    return torch.stack([torch.cat([band.mean(0), band.std(0)]) for band in bands]).numpy()
