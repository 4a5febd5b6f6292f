"""The priors as composers: sequence networks that were fitted to real music, sampled without any reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toccata.agents.devices import resolve_device
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.prior import Prior
from toccata.agents.rivals.composer import OnProgress, RivalError, checked_genre
from toccata.agents.rivals.families.playing import in_batches, steps_of
from toccata.agents.rivals.registry import Request
from toccata.envs.pieces import Piece
from toccata.music.score import Score


@dataclass(frozen=True)
class PriorComposer:
    """Samples a prior, at the temperature and in the nucleus of the request.

    Args:
        name: of its backbone.
        prior: the network.
        request: what it composes.
    """

    name: str
    prior: Prior
    request: Request

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres that the prior is conditioned on."""
        return self.prior.genres

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """As `Composer.compose`."""
        checked_genre(self.name, genre, self.genres)
        scores: list[Score] = []

        def sample(count: int, seed: int, on_batch: OnProgress) -> list[Piece]:
            return self.sample(count, seed, genre, on_batch)

        in_batches(
            self.name, sample, n, seed, on_progress, lambda pieces: scores.extend(piece.score for piece in pieces)
        )
        return scores

    def sample(self, count: int, seed: int, genre: str | None, on_progress: OnProgress) -> list[Piece]:
        """Pieces in one batch.

        Raises:
            RivalError: for a length, metre, tempo, temperature or nucleus out of range.
        """
        try:
            return sample_pieces(
                self.prior.network,
                self.prior.piano,
                count,
                bars=self.request.bars,
                seed=seed,
                genre=genre,
                beats_per_bar=self.request.beats_per_bar,
                tempo_bpm=self.request.tempo_bpm,
                temperature=self.request.temperature,
                top_p=self.request.top_p,
                on_progress=on_progress,
            )
        except ValueError as error:
            raise RivalError(str(error)) from error

    def log_prob(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """As `WithLikelihood.log_prob`; at temperature 1, with all legal actions."""
        return self.prior.log_prob(steps_of(pieces, self.prior.piano))


def load_prior_composer(backbone: str, request: Request) -> PriorComposer:
    """The prior that comes with Toccata, or the one in the folder of the request.

    Raises:
        RivalError: for a prior of another backbone.
        PriorError, WeightsError: when it cannot be loaded.
    """
    prior = Prior.load(request.folder or backbone, resolve_device(request.device))
    kind = prior.network.config.backbone
    if kind != backbone:
        raise RivalError(f"{request.folder}: is a prior of backbone {kind}, not {backbone}; load it as {kind}:FOLDER")
    return PriorComposer(backbone, prior, request)


def load_transformer(request: Request) -> PriorComposer:
    """The transformer prior."""
    return load_prior_composer("transformer", request)


def load_lstm(request: Request) -> PriorComposer:
    """The LSTM prior."""
    return load_prior_composer("lstm", request)


def load_wavenet(request: Request) -> PriorComposer:
    """The prior of dilated causal convolutions."""
    return load_prior_composer("wavenet", request)
