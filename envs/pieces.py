"""A finished or partial piece, and batches of pieces that reward models score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np

from toccata.envs.instrument import Piano
from toccata.music.score import Score


@dataclass(frozen=True, eq=False)
class Piece:
    """A finished or partial piece with what is known of how it came about.

    Args:
        score: the whole piece, a primer included.
        genre: what the agent was asked for; None when unknown.
        start_tick: where the agent's own part begins, after a primer.
        actions: (steps, 2) what the agent played; None for a piece that no agent wrote.
    """

    score: Score
    genre: str | None = None
    start_tick: int = 0
    actions: np.ndarray | None = None

    @classmethod
    def later(cls, draft: Callable[[], Score], genre: str | None, start_tick: int, actions: np.ndarray | None) -> Piece:
        """A piece whose score is made by `draft` when it is first looked at: of many pieces nobody asks for it."""
        piece = object.__new__(cls)
        piece.__dict__.update(_draft=draft, genre=genre, start_tick=start_tick, actions=actions)
        return piece

    def __getattr__(self, name: str) -> Any:
        """The score of a piece made by `later`; it is asked for here only once."""
        if name != "score" or "_draft" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.__dict__["score"] = self.__dict__.pop("_draft")()
        return self.__dict__["score"]


class Pieces(Sequence[Piece]):
    """A batch of pieces with views computed once and shared by every reward model that asks for them.

    Args:
        pieces: `Piece`s or bare `Score`s.
        piano: the instrument; its keys are the columns of `rolls` and its vocabulary that of `actions`.
    """

    def __init__(self, pieces: Iterable[Piece | Score], piano: Piano | None = None) -> None:
        self._pieces = tuple(piece if isinstance(piece, Piece) else Piece(piece) for piece in pieces)
        self.piano = piano or Piano()

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self._pieces)

    @overload
    def __getitem__(self, index: int) -> Piece: ...

    @overload
    def __getitem__(self, index: slice) -> Pieces: ...

    def __getitem__(self, index: int | slice) -> Piece | Pieces:
        """One piece, or a batch of some."""
        return Pieces(self._pieces[index], self.piano) if isinstance(index, slice) else self._pieces[index]

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """The whole pieces, primers included."""
        return tuple(piece.score for piece in self)

    @cached_property
    def own(self) -> tuple[Score, ...]:
        """What the agent itself wrote: each score from its `start_tick` on."""
        return tuple(
            piece.score.slice(piece.start_tick, piece.score.length_ticks) if piece.start_tick else piece.score
            for piece in self
        )

    @cached_property
    def genres(self) -> tuple[str | None, ...]:
        """The genre each piece was asked for, None when unknown."""
        return tuple(piece.genre for piece in self)

    @cached_property
    def rolls(self) -> np.ndarray:
        """(n, ticks, keys) uint8 velocities of what sounds, padded with silence to the longest piece."""
        ticks = max((score.length_ticks for score in self.scores), default=0)
        rolls = np.zeros((len(self), ticks, self.piano.keys), np.uint8)
        for roll, score in zip(rolls, self.scores, strict=True):
            roll[: score.length_ticks] = score.roll()[:, self.piano.lowest : self.piano.highest + 1]
        return rolls

    @cached_property
    def audio(self) -> np.ndarray:
        """(n, samples) float32 mono at 16 kHz, padded with silence to the longest piece."""
        from toccata.music.sound.bank import note_bank
        from toccata.music.sound.spectrogram import SAMPLE_RATE

        return note_bank(SAMPLE_RATE).render(self.scores)

    @cached_property
    def audio_samples(self) -> np.ndarray:
        """(n,) samples of each piece before padding."""
        from toccata.music.sound.bank import audio_samples
        from toccata.music.sound.spectrogram import SAMPLE_RATE

        return np.array([audio_samples(score, SAMPLE_RATE) for score in self.scores], np.int64)

    @cached_property
    def log_mel(self) -> np.ndarray:
        """(n, mels, frames) float32 log-mel spectrograms of `audio`."""
        from toccata.music.sound.spectrogram import log_mel

        return log_mel(self.audio)

    @cached_property
    def mel_frames(self) -> np.ndarray:
        """(n,) frames of each piece before padding."""
        from toccata.music.sound.spectrogram import mel_frames

        return np.array([mel_frames(int(samples)) for samples in self.audio_samples], np.int64)

    @cached_property
    def actions(self) -> tuple[np.ndarray, ...]:
        """(steps, 2) int16 of each piece: what the agent played, else the score encoded for `piano`."""
        from toccata.envs.codec import encode

        return tuple(encode(piece.score, self.piano)[0] if piece.actions is None else piece.actions for piece in self)
