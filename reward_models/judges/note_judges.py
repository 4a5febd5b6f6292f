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
from toccata.reward_models.judges.features import FEATURE_COUNT, highest_notes, piece_features
from toccata.weights import load_weights, save_weights

FEWEST_NOTES = 2
PASSAGE_BEATS = 32  # whose melody is recognised; people wrote two bars of about anything, also of two notes in turn
PASSAGE_FEATURES = FEATURE_COUNT + 1
SUPPORT = "support"  # name of its weights
MARGIN = 2.0  # log-odds against a person at which the support is a half: melodies in doubt keep their rating
WEIGHTS = Path(__file__).parent.parent / "weights"


def windows_of(score: Score, beats: int) -> list[Score]:
    """Windows one after the other; a last one of more than half the length, or the whole of a shorter score."""
    length = beats * score.ticks_per_beat
    starts = range(0, max(1, score.length_ticks - length // 2), length)
    return [score.slice(start, min(start + length, score.length_ticks)) for start in starts]


def passage_features(passage: Score) -> np.ndarray:
    """(`PASSAGE_FEATURES`,) of the melody of a passage: `piece_features`, and log2 of its length in 8 beats."""
    beats = passage.length_ticks / passage.ticks_per_beat
    return np.append(piece_features(highest_notes(passage)), np.log2(max(beats, 1) / GoldRating.beats))


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
        return np.array([windows.mean() for windows in self.window_scores(pieces)])

    def window_scores(self, pieces: Pieces) -> list[np.ndarray]:
        """The scores of the windows of each piece, (windows,) in [least, most]."""
        windows = [windows_of(score, self.beats) for score in pieces.own]
        features = np.array([self.features(window) for each in windows for window in each])
        outputs = self.ensemble.predict(features.reshape(-1, FEATURE_COUNT)).clip(self.least, self.most)
        notes = np.array([len(window) for each in windows for window in each])
        ends = np.cumsum([len(each) for each in windows])
        return np.split(np.where(notes < FEWEST_NOTES, self.least, outputs), ends[:-1])[: len(windows)]

    @staticmethod
    def features(window: Score) -> np.ndarray:
        """(`FEATURE_COUNT`,) of a window."""
        return piece_features(window)

    def save(self, folder: str | PathLike[str], about: Mapping[str, Any]) -> None:
        """Write into `folder` what `load` reads; `about` goes into config.json."""
        config = {"features": FEATURE_COUNT, "members": len(self.ensemble.members), "fit": dict(about)}
        save_weights(folder, {name: each.state_dict() for name, each in self._ensembles().items()}, config)

    def _ensembles(self) -> dict[str, FeatureEnsemble]:
        """The ensembles by the name of their weights."""
        return {self.name: self.ensemble}

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Any:
        """Read what `save` wrote; by default the shipped weights.

        Raises:
            WeightsError: when a file is missing, damaged or does not match its hash, naming it.
        """
        return cls(cls._read(folder, cls.name, FEATURE_COUNT))

    @classmethod
    def _read(cls, folder: str | PathLike[str] | None, name: str, features: int) -> FeatureEnsemble:
        """The ensemble with the weights NAME in a folder; by default in that of the shipped ones."""
        folder = WEIGHTS / cls.name if folder is None else Path(folder)
        return load_weights(folder, name, lambda config: FeatureEnsemble(features, config["members"]))[0]


class GoldRating(NoteJudge):
    """Popularity of the melody, in standard deviations of that of the Bach Doodle's melodies, as far as it is a melody.

    It reads notes, where the rating that agents are paid by hears sound; of each onset the highest. The popularity of a
    window is measured from that of nothing and multiplied by the support of the passage that it is in:
    -3 + support * (popularity + 3).

    Args:
        ensemble: popularity of a window, on `piece_features`.
        support: log-odds that a person wrote the melody of a passage of up to 32 beats, on `passage_features`.
    """

    name = "gold-rating"
    beats = 8
    least, most = -3.0, 3.0

    def __init__(self, ensemble: FeatureEnsemble, support: FeatureEnsemble) -> None:
        super().__init__(ensemble)
        self.support_ensemble = support.eval().requires_grad_(False)

    @staticmethod
    def features(window: Score) -> np.ndarray:
        """(`FEATURE_COUNT`,) of the melody of a window."""
        return piece_features(highest_notes(window))

    def window_scores(self, pieces: Pieces) -> list[np.ndarray]:
        """The scores of the windows of each piece, (windows,) in [-3, 3]."""
        popularity = super().window_scores(pieces)
        return [
            self.least + self.support_of_windows(score, len(each)) * (each - self.least)
            for score, each in zip(pieces.own, popularity, strict=True)
        ]

    def support_of_windows(self, score: Score, count: int) -> np.ndarray:
        """(count,) support in [0, 1] of the windows of a score: that of the passage in which each begins."""
        passages = windows_of(score, PASSAGE_BEATS)
        support = support_of(self.support_ensemble.predict(np.stack([passage_features(each) for each in passages])))
        return support[np.minimum(np.arange(count) * self.beats // PASSAGE_BEATS, len(passages) - 1)]

    def _ensembles(self) -> dict[str, FeatureEnsemble]:
        return {**super()._ensembles(), SUPPORT: self.support_ensemble}

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Any:
        """Read what `save` wrote; by default the shipped weights.

        Raises:
            WeightsError: when a file is missing, damaged or does not match its hash, naming it.
        """
        return cls(cls._read(folder, cls.name, FEATURE_COUNT), cls._read(folder, SUPPORT, PASSAGE_FEATURES))


def support_of(log_odds: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1] of (n,) log-odds that a person wrote a melody; a half at `-MARGIN`."""
    return 1 / (1 + np.exp(-np.clip(log_odds + MARGIN, -50, 50)))


class HeldOutRealism(NoteJudge):
    """Log-odds that a person wrote a piece, against a zoo of generators, families of which were never shown to it."""

    name = "held-out-realism"
    beats = 32
    least, most = -10.0, 10.0
