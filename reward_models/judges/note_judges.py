"""Two judges on features of notes: a rating of the melody, and a realism."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.ensemble import FeatureEnsemble
from toccata.reward_models.judges.features import FEATURE_COUNT, piece_features, skyline
from toccata.weights import load_weights, save_weights

FEWEST_NOTES = 2
WEIGHTS = Path(__file__).parent.parent / "weights"


class NoteJudge:
    """The mean output of an ensemble over windows of a piece, on features of their notes.

    Args:
        ensemble: on `piece_features`.
    """

    name: ClassVar[str]
    beats: ClassVar[int]  # of a window; the music it was fitted to has about as many
    least: ClassVar[float]  # the score of a window with fewer than `FEWEST_NOTES` notes
    most: ClassVar[float]

    def __init__(self, ensemble: FeatureEnsemble) -> None:
        self.ensemble = ensemble.eval().requires_grad_(False)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float64 in [least, most]; higher is better."""
        windows = [self.windows_of(score) for score in pieces.own]
        features = np.array([self.features(window) for each in windows for window in each])
        ends = np.cumsum([len(each) for each in windows])
        outputs = self.ensemble.predict(features.reshape(-1, FEATURE_COUNT))
        notes = np.array([len(window) for each in windows for window in each])
        parts = np.split(np.where(notes < FEWEST_NOTES, self.least, outputs.clip(self.least, self.most)), ends[:-1])
        return np.array([part.mean() for part in parts[: len(windows)]])

    def windows_of(self, score: Score) -> list[Score]:
        """Windows one after the other; a last one of at least half the length, or the whole of a shorter score."""
        length = self.beats * score.ticks_per_beat
        starts = range(0, max(1, score.length_ticks - length // 2), length)
        return [score.slice(start, min(start + length, score.length_ticks)) for start in starts]

    @staticmethod
    def features(window: Score) -> np.ndarray:
        """(`FEATURE_COUNT`,) of a window."""
        return piece_features(window)

    def save(self, folder: str | PathLike[str], about: Mapping[str, Any]) -> None:
        """Write into `folder` what `load` reads; `about` goes into config.json."""
        config = {"features": FEATURE_COUNT, "members": len(self.ensemble.members), "fit": dict(about)}
        save_weights(folder, {self.name: self.ensemble.state_dict()}, config)

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Any:
        """Read what `save` wrote; by default the shipped weights.

        Raises:
            WeightsError: when a file is missing, damaged or does not match its hash, naming it.
        """
        folder = WEIGHTS / cls.name if folder is None else Path(folder)
        ensemble, _ = load_weights(folder, cls.name, lambda config: FeatureEnsemble(FEATURE_COUNT, config["members"]))
        return cls(ensemble)


class GoldRating(NoteJudge):
    """Popularity of the melody, in standard deviations of that of the Bach Doodle's melodies.

    It reads notes, where the rating that agents are paid by hears sound; of each onset the highest.
    """

    name = "gold-rating"
    beats = 8
    least, most = -3.0, 3.0

    @staticmethod
    def features(window: Score) -> np.ndarray:
        """(`FEATURE_COUNT`,) of the melody of a window."""
        return piece_features(skyline(window))


class HeldOutRealism(NoteJudge):
    """Log-odds that a person wrote a piece, against a zoo of generators, families of which were never shown to it."""

    name = "held-out-realism"
    beats = 32
    least, most = -10.0, 10.0
