"""The composers that generate pictures of scores."""

from __future__ import annotations

import numpy as np

from toccata.agents.devices import resolve_device
from toccata.agents.rivals.composer import OnProgress, RivalError, check_count, checked_genre
from toccata.agents.rivals.image_gan.networks import Generator, sample
from toccata.agents.rivals.image_gan.pictures import LOWEST, SIZE, pictures_per_piece, score_of
from toccata.agents.rivals.registry import Request
from toccata.agents.rivals.weights import weights_of
from toccata.music.reduction import HIGHEST_KEY
from toccata.music.score import Score
from toccata.weights import load_weights

PIANO_ROWS = HIGHEST_KEY - LOWEST + 1  # of a picture: pitches above are on no piano


def load_dcgan(request: Request) -> PictureComposer:
    """The composer of DCGANs, with the weights in `request.folder` or with those that come with Toccata.

    Raises:
        WeightsError: when a file is missing or damaged, naming it.
        RivalError: for a metre that pictures cannot be read in.
    """
    return _load("dcgan", request)


def load_wgan_gp(request: Request) -> PictureComposer:
    """The same of WGANs with gradient penalty."""
    return _load("wgan-gp", request)


def _load(name: str, request: Request) -> PictureComposer:
    folder, _, genres = weights_of(name, request.folder)
    device = resolve_device(request.device)
    generators = {genre: load_weights(folder, genre, lambda config: Generator())[0] for genre in genres}
    return PictureComposer(
        name, request, {genre: each.to(device).eval().requires_grad_(False) for genre, each in generators.items()}
    )


class PictureComposer:
    """Generates pictures, and reads them as scores.

    Args:
        name: of the composer.
        request: metre, tempo and length of the pieces.
        generators: by genre.

    Raises:
        RivalError: for a metre that pictures cannot be read in.
    """

    def __init__(self, name: str, request: Request, generators: dict[str, Generator]) -> None:
        self.name = name
        self.request = request
        self.generators = generators
        self.genres = tuple(generators)
        self.per_piece = pictures_per_piece(request.bars, request.beats_per_bar)

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """See `Composer`. Without a genre the pieces are of each genre in turn.

        A piece is joined from independent pictures, as many as its bars need. Pitches that no piano has are left out.
        """
        request = self.request
        pieces: dict[int, Score] = {}
        check_count(self.name, n, seed)
        wanted = checked_genre(self.name, genre, self.genres)
        for number, each in enumerate(genres := (wanted,) if wanted else self.genres):
            rows = range(number, n, len(genres))
            pictures = self.pictures(len(rows) * self.per_piece, seed, each)[:, :PIANO_ROWS]
            for row, index in enumerate(rows):
                joined = pictures[row * self.per_piece : (row + 1) * self.per_piece]
                pieces[index] = score_of(joined, request.bars, request.beats_per_bar, request.tempo_bpm)
            on_progress((number + 1) / len(genres))
        return [pieces[index] for index in range(n)]

    def pictures(self, n: int, seed: int, genre: str) -> np.ndarray:
        """(n, SIZE, SIZE) float32 pictures in [0, 1] of one of `genres`.

        Raises:
            RivalError: for a genre that it does not know, and for weights that give numbers that are not finite.
        """
        checked_genre(self.name, genre, self.genres)
        pictures = sample(self.generators[genre], n, seed) if n else np.empty((0, SIZE, SIZE), np.float32)
        if not np.isfinite(pictures).all():
            raise RivalError(f"{self.name}: the weights of genre {genre} give pictures that are not finite")
        return pictures
