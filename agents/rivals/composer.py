"""The interface of everything that composes without being an agent's run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from toccata.envs.pieces import Piece
from toccata.errors import ToccataError
from toccata.music.score import Score
from toccata.settings.genres import genre_index
from toccata.settings.options import MAX_SEED

OnProgress = Callable[[float], object]  # is told the share that is done, 0 to 1


class RivalError(ToccataError, ValueError):
    """A composer that is unknown or cannot do what is asked; the message names it and what is allowed."""


@runtime_checkable
class Composer(Protocol):
    """Something that composes.

    Attributes:
        name: as `toccata compose --with` takes it.
        genres: that it can be asked for; empty for a composer that knows none.
    """

    name: str
    genres: tuple[str, ...]

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """Compose `n` pieces; equal arguments give equal pieces on one machine.

        Args:
            n: how many, at least 1.
            seed: of everything that is random, 0 to `MAX_SEED`.
            genre: one of `genres`; None for music of no genre in particular.
            on_progress: is told the share that is done.

        Raises:
            RivalError: for a genre that it does not know, and a number or seed out of range.
        """
        ...


@runtime_checkable
class WithLikelihood(Protocol):
    """A composer that gives music a probability."""

    def log_prob(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """(length,) float64 log-probabilities in nats of the actions of each piece; divide by log 2 for bits."""
        ...


def check_count(name: str, n: int, seed: int) -> None:
    """Raise RivalError, naming the composer, for a number of pieces below 1 and a seed outside 0 to `MAX_SEED`."""
    if n < 1 or not 0 <= seed <= MAX_SEED:
        raise RivalError(
            f"{name}: the number of pieces must be at least 1 and the seed 0 to {MAX_SEED}, got {n} and {seed}"
        )


def checked_genre(name: str, genre: str | None, genres: tuple[str, ...]) -> str | None:
    """The genre, if the composer `name` knows it.

    Raises:
        RivalError: naming the composer, the genre and the known ones.
    """
    if genre is None:
        return None
    if not genres:
        raise RivalError(f"{name}: composes without genres, got genre {genre!r}; leave it out")
    try:
        genre_index(genre, genres)
    except ValueError as error:
        raise RivalError(f"{name}: {error}") from None
    return genre
