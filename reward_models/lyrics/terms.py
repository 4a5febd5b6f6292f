"""The terms of the reward of songs that need no weights: how stress, lines and phrases fit the notes.

Each is a figure of `toccata.music.songs.prosody`, moved from [0, 1] to [-1, 1]: 0 is what notes have on average that do
not depend on the words. Of an unfinished piece the words so far count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from toccata.envs.pieces import Piece, Pieces
from toccata.music.score import Score
from toccata.music.songs import prosody
from toccata.music.songs.prosody import SungSyllables
from toccata.reward_models.lyrics.sung import NO_WORDS, sung_of

Figure = Callable[[SungSyllables, Score], float]

FIGURES: Mapping[str, Figure] = {
    "stress_on_beats": lambda sung, _: prosody.stress_on_beats(sung),
    "stress_on_length": lambda sung, _: prosody.stress_on_length(sung),
    "line_end_degree": prosody.line_end_degree,
    "line_end_length": lambda sung, _: prosody.line_end_length(sung),
    "phrase_arch": lambda sung, _: prosody.phrase_arch(sung),
}
"""The figures by the names of their terms, with their sources in the docstrings of `toccata.music.songs.prosody`."""


def term_of(name: str, sung: SungSyllables, score: Score) -> float:
    """The value of a term for one song, in [-1, 1]."""
    return 2 * FIGURES[name](sung, score) - 1


class _Term:
    """A reward model of one term, in [-1, 1]; 0 for pieces without words, or whose notes do not fit them."""

    name: ClassVar[str]
    score_range = (-1.0, 1.0)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-1, 1]."""
        return np.array([self._of(piece) for piece in pieces], np.float32)

    def _of(self, piece: Piece) -> float:
        sung = sung_of(piece)
        return NO_WORDS if sung is None else term_of(self.name, sung, piece.score)


@dataclass(frozen=True)
class StressOnBeats(_Term):
    """Stressed syllables on stronger beats than their unstressed neighbours; see `prosody.stress_on_beats`."""

    name = "stress_on_beats"


@dataclass(frozen=True)
class StressOnLength(_Term):
    """Stressed syllables longer than their unstressed neighbours; see `prosody.stress_on_length`."""

    name = "stress_on_length"


@dataclass(frozen=True)
class LineEndDegree(_Term):
    """Lines that end on stable degrees of the key; see `prosody.line_end_degree`."""

    name = "line_end_degree"


@dataclass(frozen=True)
class LineEndLength(_Term):
    """Lines whose last syllable is long; see `prosody.line_end_length`."""

    name = "line_end_length"


@dataclass(frozen=True)
class PhraseArch(_Term):
    """Lines whose contour is an arch; see `prosody.phrase_arch`."""

    name = "phrase_arch"
