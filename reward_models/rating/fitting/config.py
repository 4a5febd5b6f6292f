"""What `toccata fit-rating` can be told. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toccata.errors import ToccataError


class FitRatingError(ToccataError, ValueError):
    """A fit that cannot be made; says what to change."""


@dataclass(frozen=True)
class FitRatingConfig:
    """Fit a rating network: sound in, predicted popularity out.

    It takes a table of pieces with plays and likes, and writes a reward for `train.py --rewards rating:OUT 1.0`.
    """

    data: Path
    """A manifest CSV (file,plays,likes[,genre,split]) beside sound or MIDI files, or a public data set; docs/rating.md
    lists them."""
    out: Path
    """Folder to write rating.safetensors, config.json, report.md and curves.png into; must not hold a network yet."""
    seed: int = 0
    """Seed of everything; equal seeds on one machine give equal networks."""
    copies: int = 6
    """Changed augmented_mels of each piece: other keys, tempi, loudness, accompaniments; more take longer."""
    epochs: int = 40
    """Passes over the pieces; each member keeps the epoch that is best on pieces held out from it."""
    folds: int = 5
    """Folds of the cross-validation; 0 leaves it out. Not used when the table has a split with test pieces."""
    members: int = 3
    """Networks in the ensemble; of three or more the last is the gold rater, which no agent is trained against."""
    pessimism: float = 1.0
    """Standard deviations of the ensemble that the score takes off its mean."""
    least_notes: int = 8
    """Scores of fewer notes are left out: they say more about how something was tried out than about music."""
    refit_transcribers: bool = False
    """Fit the transcribers anew on made-up music instead of taking those that come with Toccata; takes minutes more."""
    synthetic_pieces: int = 8_000
    """With hear-anew: made-up pieces on which each member learns to hear notes."""
    transcriber_epochs: int = 6
    """With hear-anew: how often each made-up piece is heard."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**31),
            ("copies", 0, 100),
            ("epochs", 1, 10_000),
            ("folds", 0, 20),
            ("members", 1, 16),
            ("pessimism", 0, 10),
            ("least_notes", 1, 10_000),
            ("synthetic_pieces", 10, 10**6),
            ("transcriber_epochs", 1, 1000),
        ):
            if not low <= getattr(self, name) <= high:
                raise FitRatingError(f"{name} must be in {low}..{high}, got {getattr(self, name)}")
        if self.folds == 1:
            raise FitRatingError("folds must be 0 or 2..20, got 1")
