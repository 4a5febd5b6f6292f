"""The reward `lyrics`: all terms of songs together."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch

from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardSpecError
from toccata.music.score import Score
from toccata.music.songs.prosody import SungSyllables
from toccata.reward_models.lyrics.agreement import LyricAgreement
from toccata.reward_models.lyrics.sung import NO_WORDS, sung_of
from toccata.reward_models.lyrics.terms import FIGURES, term_of

AGREEMENT = LyricAgreement.name
LARGEST_WEIGHT = 1e6  # float32 holds the sum of the terms
WEIGHTS = {
    "stress_on_beats": 1.0,
    "stress_on_length": 0.5,  # real songs have less of it
    "line_end_degree": 1.0,
    "line_end_length": 1.0,
    "phrase_arch": 0.5,
    AGREEMENT: 1.0,
}


class LyricsReward:
    """The weighted mean of what makes words and notes a song, in [-1, 1]; each term is in [-1, 1] too.

    Terms: `stress_on_beats`, `stress_on_length`, `line_end_degree`, `line_end_length`, `phrase_arch`, see `terms.py`,
    and the learnt `lyric_agreement`, see `agreement.py`. A piece without words has 0 in all of them, and so has one
    whose notes do not fit its words; of an unfinished piece the words so far count.

    Args:
        agreement: the learnt term.
        weights: of terms, by name, finite and not negative, one of them positive; those left out have their default.

    Raises:
        RewardSpecError: for an unknown term, and for weights outside that range.
    """

    name = "lyrics"
    score_range = (-1.0, 1.0)

    def __init__(self, agreement: LyricAgreement, **weights: float) -> None:
        for term, weight in weights.items():
            if term not in WEIGHTS:
                raise RewardSpecError(f"unknown term {term!r}: there are {', '.join(WEIGHTS)}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= LARGEST_WEIGHT:
                raise RewardSpecError(f"{term} must be a weight in [0, {LARGEST_WEIGHT:g}], got {weight!r}")
        self.weights = WEIGHTS | weights
        if not any(self.weights.values()):
            raise RewardSpecError("at least one term must have a weight above 0")
        self.agreement = agreement

    def terms(self, sung: SungSyllables, score: Score) -> dict[str, float]:
        """The unweighted terms of one song, each in [-1, 1], by name."""
        return {name: term_of(name, sung, score) for name in FIGURES} | {AGREEMENT: self.agreement.agreement(sung)}

    def total(self, terms: Mapping[str, float]) -> float:
        """The weighted mean of the terms of one song, in [-1, 1]."""
        return sum(terms[name] * weight for name, weight in self.weights.items()) / sum(self.weights.values())

    def contributions(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """The weighted terms, (n,) float32 by name, whose sum is the score."""
        rows = [self._terms_of(piece) for piece in pieces]
        total = sum(self.weights.values())
        return {
            name: np.array([row[name] * weight / total for row in rows], np.float32)
            for name, weight in self.weights.items()
        }

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 1]."""
        total = np.sum(list(self.contributions(pieces).values()), axis=0, dtype=np.float64)
        return np.clip(total, -1, 1).astype(np.float32)

    def _terms_of(self, piece: Piece) -> dict[str, float]:
        sung = sung_of(piece)
        return dict.fromkeys(WEIGHTS, NO_WORDS) if sung is None else self.terms(sung, piece.score)

    def to(self, device: torch.device | str) -> LyricsReward:
        """This model, which computes on the CPU."""
        return self

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of the weights of the learnt term."""
        return self.agreement.weights_hash()

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the weights of the learnt term into `folder`."""
        self.agreement.save(folder)

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None, **weights: Any) -> LyricsReward:
        """The reward with the weights in `folder`, by default those that come with Toccata.

        Args:
            folder: of the learnt term.
            weights: of the terms, as in the constructor.

        Raises:
            WeightsError: naming the file, when it is missing, damaged or does not match its SHA-256.
            RewardSpecError: for weights of terms that it cannot have.
        """
        return cls(LyricAgreement.load(folder), **weights)
