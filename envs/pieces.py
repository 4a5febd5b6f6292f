"""A finished or partial piece, and batches of pieces that reward models score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np

from toccata.envs.instrument import Piano
from toccata.music.lyrics import Lyrics, Underlay, underlay
from toccata.music.score import Score


class Piece:
    """A finished or partial piece; two are equal if their score, genre, start, actions and words are.

    Args:
        score: the whole piece, a primer included; or a function without arguments that returns it, which is called
            when `score` is first read: the score of a piece in a rollout is often not needed.
        genre: the genre it was written for; None if unknown.
        start_tick: where the agent's part begins, after a primer.
        actions: (steps, 2) integers, the `(what, value)` that the agent played, illegal ones as the rests that they
            became: played again they give this piece. (steps, 3) with velocities. None if no agent wrote it.
        lyrics: the words that its highest line carries; None without words.
        voice: that sings them: soprano, alto, tenor or bass.
    """

    def __init__(
        self,
        score: Score | Callable[[], Score],
        genre: str | None = None,
        start_tick: int = 0,
        actions: np.ndarray | None = None,
        lyrics: Lyrics | None = None,
        voice: str = "soprano",
    ) -> None:
        self._score = score
        self.genre = genre
        self.start_tick = start_tick
        self.actions = actions
        self.lyrics = lyrics
        self.voice = voice

    @property
    def score(self) -> Score:
        """The whole piece, a primer included."""
        if not isinstance(self._score, Score):
            self._score = self._score()
        return self._score

    @property
    def underlay(self) -> Underlay | None:
        """Which note carries which syllable, of an unfinished piece the first ones; None without words.

        Raises:
            LyricsError: when the piece has more sung notes than the words.
        """
        if self.lyrics is None:
            return None
        return underlay(self.score, self.lyrics, self.voice, self.start_tick, partial=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Piece):
            return NotImplemented
        same_actions = (
            self.actions is other.actions
            if self.actions is None or other.actions is None
            else np.array_equal(self.actions, other.actions)
        )
        same_place = (self.genre, self.start_tick) == (other.genre, other.start_tick)
        same_words = (self.lyrics, self.voice) == (other.lyrics, other.voice)
        return same_place and same_words and same_actions and self.score == other.score

    def __hash__(self) -> int:
        return hash((self.genre, self.start_tick, self.score))

    def __repr__(self) -> str:
        actions = "None" if self.actions is None else f"<{len(self.actions)} actions>"
        return f"Piece({self.score!r}, genre={self.genre!r}, start_tick={self.start_tick}, actions={actions})"


class Pieces(Sequence[Piece]):
    """A batch of pieces. Its rolls, sound and spectrograms are computed once and shared by all reward models.

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
        """One piece, or a batch of those in a slice."""
        return Pieces(self._pieces[index], self.piano) if isinstance(index, slice) else self._pieces[index]

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """The whole pieces, primers included."""
        return tuple(piece.score for piece in self)

    @cached_property
    def own(self) -> tuple[Score, ...]:
        """The part that the agent wrote: each score from its `start_tick` on."""
        return tuple(
            piece.score.slice(piece.start_tick, piece.score.length_ticks) if piece.start_tick else piece.score
            for piece in self
        )

    @cached_property
    def genres(self) -> tuple[str | None, ...]:
        """The genre each piece was written for, None if unknown."""
        return tuple(piece.genre for piece in self)

    @cached_property
    def rolls(self) -> np.ndarray:
        """(n, ticks, keys) uint8 velocities of the sounding notes, padded with silence to the longest piece."""
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
        """(steps, 2) int16 of each piece: the actions of the agent, or if there was none the encoded score.

        (steps, 3) where the piano that played it has velocities.
        """
        from toccata.envs.codec import encode

        return tuple(encode(piece.score, self.piano)[0] if piece.actions is None else piece.actions for piece in self)
