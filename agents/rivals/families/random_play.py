"""Uniformly random legal play: what the piano itself makes possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toccata.agents.prior.markov import uniform_log_prob
from toccata.agents.rivals.composer import OnProgress, checked_genre
from toccata.agents.rivals.families.playing import in_batches, played, steps_of
from toccata.agents.rivals.registry import Request
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score


@dataclass(frozen=True)
class RandomPlay:
    """Plays a legal `what`, then a legal `value`, each uniformly distributed.

    Args:
        request: what it composes.
    """

    request: Request
    name: str = "random"
    genres: tuple[str, ...] = ()

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """As `Composer.compose`."""
        checked_genre(self.name, genre, self.genres)
        scores: list[Score] = []
        in_batches(
            self.name, self._play, n, seed, on_progress, lambda pieces: scores.extend(piece.score for piece in pieces)
        )
        return scores

    def _play(self, count: int, seed: int, on_progress: OnProgress) -> list[Piece]:
        rng, whats = np.random.default_rng(seed), Piano().nvec[0]

        def act(_: Any, masks: np.ndarray, *__: Any) -> tuple[np.ndarray, None]:
            return random_legal_actions(masks, whats, rng), None

        return played(act, self.request, None, count, seed, on_progress)

    def log_prob(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """As `WithLikelihood.log_prob`."""
        return uniform_log_prob(steps_of(pieces))


def load(request: Request) -> RandomPlay:
    """Uniformly random legal play."""
    return RandomPlay(request)
