"""The reward `lyric_agreement`: whether notes and syllables belong together as in songs that people wrote."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toccata.envs.pieces import Pieces
from toccata.music.songs.prosody import SungSyllables
from toccata.reward_models.lyrics.features import COUNT, note_features, products, syllable_features
from toccata.reward_models.lyrics.sung import NO_WORDS, sung_of
from toccata.weights import load_weights, save_weights, sha256

SHIPPED = Path(__file__).parent.parent / "weights" / "lyric-agreement"
WEIGHTS_NAME = "agreement"
SCALE = 3.0  # of the gain in log-odds


def linear(weights: torch.Tensor | None = None, bias: torch.Tensor | float = 0.0) -> torch.nn.Linear:
    """The layer of the log-odds of a pair, with weights (COUNT,), by default zeros."""
    layer = torch.nn.Linear(COUNT, 1).double().requires_grad_(False)
    layer.weight.copy_(torch.zeros(COUNT) if weights is None else weights)
    layer.bias.fill_(float(bias))
    return layer


class LyricAgreement:
    """How likely each note carries its own syllable rather than another one of the song.

    tanh of 3 times the mean log-odds of the pairs of note and syllable, minus what they would be on average with the
    syllables in random order: so notes that do not depend on the words have 0 on average. The log-odds are those of a
    logistic regression that was fitted to songs against the same songs with their words in another order; see the model
    card. Pieces without words have 0.

    Args:
        layer: what `linear` makes.
        about: of the fit; it is saved.
    """

    name = "lyric_agreement"
    score_range = (-1.0, 1.0)

    def __init__(self, layer: torch.nn.Linear, about: Mapping[str, Any] | None = None) -> None:
        self.layer = layer
        self.about = dict(about or {})
        self._weights = layer.weight.detach().cpu().numpy()[0].astype(np.float64)
        self._bias = float(layer.bias.detach())

    def log_odds(self, sung: SungSyllables) -> np.ndarray:
        """(n,) float64 log-odds that each of n syllables is sung to its own note."""
        return products(note_features(sung), syllable_features(sung)) @ self._weights + self._bias

    def gain(self, sung: SungSyllables) -> float:
        """The mean log-odds minus their mean over all orders of the syllables, which is that of the mean features.

        Args:
            sung: syllables, at least one.
        """
        notes, syllables = note_features(sung), syllable_features(sung)
        pairs = products(notes, syllables).mean(0)
        unrelated = products(notes.mean(0, keepdims=True), syllables.mean(0, keepdims=True))[0]
        return float((pairs - unrelated) @ self._weights)

    def agreement(self, sung: SungSyllables) -> float:
        """The score of one song, in [-1, 1]; 0 without a syllable."""
        return float(np.tanh(SCALE * self.gain(sung))) if len(sung) else NO_WORDS

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 1]."""
        found = [sung_of(piece) for piece in pieces]
        return np.array([self.agreement(sung) if sung is not None else NO_WORDS for sung in found], np.float32)

    def to(self, device: torch.device | str) -> LyricAgreement:
        """This model: 61 numbers, which stay where they are."""
        return self

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of the weights, that of agreement.safetensors; see `toccata.weights`."""
        return sha256(self.layer.state_dict())

    def save(self, folder: str | PathLike[str]) -> None:
        """Write `agreement.safetensors` and `config.json` into `folder`."""
        save_weights(folder, {WEIGHTS_NAME: self.layer.state_dict()}, {"fit": self.about})

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> LyricAgreement:
        """Read what `save` wrote; by default the weights that come with Toccata.

        Raises:
            WeightsError: naming the file, when it is missing, damaged or does not match its SHA-256.
        """
        layer, config = load_weights(Path(SHIPPED if folder is None else folder), WEIGHTS_NAME, lambda _: linear())
        return cls(layer, config.get("fit"))
