"""The pieces of a fit with their features and popularity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from toccata.music.score import Score
from toccata.reward_models.preferences.reading import (
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
)
from toccata.reward_models.rating.fitting.config import FitRatingConfig, FitRatingError
from toccata.reward_models.rating.fitting.features import PieceFeatures, Sound, augmented_mels, extract_features
from toccata.reward_models.rating.fitting.note_features import note_features
from toccata.reward_models.rating.network import RatingMember

LEAST_PIECES = 10  # fewer cannot even be split into pieces to fit on, to stop by and to test on
SECONDS = 64  # of each piece are loaded at most: `MOST_WINDOWS` windows


@dataclass(frozen=True)
class RatedPieces:
    """The pieces of a fit, those that could be read, and what the transcribers made of them.

    Args:
        preferences: n of them.
        scores: those that are scores, the others being recordings.
        features: the same n pieces in all augmented_mels.
        ridge_features: (n, k) for the ridge regression.
        popularity: (n,) p of each.
    """

    preferences: tuple[Preference, ...]
    scores: tuple[Score, ...]
    features: PieceFeatures
    ridge_features: np.ndarray
    popularity: np.ndarray

    @property
    def groups(self) -> list[str]:
        """(n,) what stays on one side of every split."""
        return [preference.group for preference in self.preferences]

    def targets(self) -> Tensor:
        """(n,) float32 p with mean 0 and variance 1."""
        spread = self.popularity.std()
        return torch.from_numpy(((self.popularity - self.popularity.mean()) / spread).astype(np.float32))

    def of_split(self, *splits: str | None) -> np.ndarray:
        """Indices of the pieces of these splits; None for those of none."""
        return np.flatnonzero([preference.split in splits for preference in self.preferences])


def extract_pieces(
    config: FitRatingConfig, table: PreferenceTable, members: list[RatingMember], progress: Progress
) -> tuple[RatedPieces, list[LeftOut]]:
    """Let the members hear the pieces of a table; also those that could not be read or say nothing.

    Raises:
        FitRatingError: when too few pieces are left, or all are as popular.
    """
    rng = np.random.default_rng(config.seed)
    kept: list[Preference] = []
    scores: list[Score] = []
    left_out: list[LeftOut] = []
    bar = progress.add_task("transcribing", total=len(table.preferences))

    def sounds() -> Iterator[list[Sound]]:
        for preference in table.preferences:
            progress.advance(bar)
            try:
                piece = preference.load(SECONDS)
            except PreferenceError as error:
                left_out.append(LeftOut(preference.name, "unreadable file", str(error)))
                continue
            if isinstance(piece, Score) and (reason := _too_little(piece, config.least_notes)):
                left_out.append(LeftOut(preference.name, reason, f"{len(piece)} notes"))
                continue
            kept.append(preference)
            if isinstance(piece, Score):
                scores.append(piece)
            yield augmented_mels(piece, config.copies, rng)
        if len(kept) < LEAST_PIECES:
            everything = PreferenceTable(tuple(kept), (*table.left_out, *left_out))
            raise FitRatingError(
                f"{config.data}: at least {LEAST_PIECES} pieces are needed, a few thousand to learn anything; "
                f"there are {everything.summary()}"
            )

    heard = extract_features(members, sounds())
    popularity = np.array([preference.popularity for preference in kept])
    if popularity.std() < 1e-6 * max(popularity.mean(), 1e-6):
        raise FitRatingError(
            f"{config.data}: every piece has p = likes / plays * log(likes) = {popularity[0]:.4g}, so there is nothing "
            "to tell apart; p is 0 wherever a piece was liked once or never"
        )
    if sum(preference.split in (None, "train") for preference in kept) < LEAST_PIECES:
        raise FitRatingError(
            f"{config.data}: fewer than {LEAST_PIECES} pieces are left beside its valid and test split"
        )
    only_scores = len(scores) == len(kept)
    features = np.array([note_features(score) for score in scores]) if only_scores else _loudness(heard)
    return RatedPieces(tuple(kept), tuple(scores), heard, features, popularity), left_out


def _too_little(score: Score, least_notes: int) -> str | None:
    """Why a score is not judged, None where it is; a single key over and over is what a negative is."""
    pitch = score.notes["pitch"]
    if len(pitch) < least_notes:
        return f"fewer than {least_notes} notes"
    return "one key only" if pitch.min() == pitch.max() else None


def _loudness(heard: PieceFeatures) -> np.ndarray:
    """(n, 2 * mels) mean and standard deviation of each mel band of each piece, what recordings are told apart by.

    The silence behind the end of a short one counts, so its length does too.
    """
    parts = [
        heard.coarse[first : first + count].float().transpose(1, 2).flatten(0, 1)
        for first, count in zip(heard.first[:, 0], heard.count[:, 0], strict=True)
    ]
    return torch.stack([torch.cat([part.mean(0), part.std(0)]) for part in parts]).numpy()
