"""Markov chains of the last few actions as composers: one for each genre, and one for all music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toccata.agents.generation.sampling import nucleus
from toccata.agents.prior.markov import Markov
from toccata.agents.rivals.composer import OnProgress, RivalError, checked_genre
from toccata.agents.rivals.families.playing import in_batches, played, steps_of
from toccata.agents.rivals.registry import Request
from toccata.agents.rivals.weights import shipped_folder
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.settings.genres import ALL_GENRES, check_genres
from toccata.weights import BROKEN, CONFIG_FILE, SUFFIX, WeightsError, read_config, read_tensors, save_weights

WEIGHTS_NAME = "chains"


@dataclass(frozen=True)
class MarkovComposer:
    """Samples a Markov chain, at the temperature and in the nucleus of the request.

    Args:
        chains: by genre, and under `ALL_GENRES` the one for music of no genre in particular.
        request: what it composes.
    """

    chains: Mapping[str, Markov]
    request: Request
    name: str = "markov"

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres that have a chain of their own."""
        return tuple(genre for genre in self.chains if genre != ALL_GENRES)

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
        """Pieces in one batch."""
        chain, temperature, top_p = self.chains[genre or ALL_GENRES], self.request.temperature, self.request.top_p
        if not 0 < temperature < np.inf or not 0 < top_p <= 1:
            raise RivalError(
                f"{self.name}: temperature must be greater than 0 and finite, top_p greater than 0 and at most 1, got "
                f"{temperature:g} and {top_p:g}"
            )
        rng, values = np.random.default_rng(seed), Piano().nvec[1]

        def act(_: Any, masks: np.ndarray, history: Any, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            history = np.full((count, chain.order, 2), -1) if history is None else history
            history = np.where(starts[:, None, None], -1, history)
            probs = torch.from_numpy(chain.next_probs(history, masks))
            if temperature != 1:
                logs = probs.log()
                probs = ((logs - logs.amax(dim=1, keepdim=True)) / temperature).softmax(dim=1)
            index = sampled((nucleus(probs, top_p) if top_p < 1 else probs).numpy(), rng)
            actions = np.stack([index // values, index % values], axis=1)
            return actions, np.concatenate([actions[:, None], history], axis=1)[:, : chain.order]

        return played(act, self.request, genre, count, seed, on_progress)

    def log_prob(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        """As `WithLikelihood.log_prob`: under the chain of each piece's genre, or that of all music for another one."""
        results: list[np.ndarray] = [np.empty(0)] * len(pieces)
        which = [piece.genre if piece.genre in self.genres else ALL_GENRES for piece in pieces]
        for name in dict.fromkeys(which):
            rows = [row for row, each in enumerate(which) if each == name]
            log_probs = self.chains[str(name)].log_prob(steps_of([pieces[row] for row in rows]))
            for row, values in zip(rows, log_probs, strict=True):
                results[row] = values
        return results


def sampled(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(rows,) int64 columns, each sampled in proportion to the weights of its row (rows, n), at least one above 0."""
    cumulative = weights.cumsum(axis=1)
    total = cumulative[:, -1]
    drawn = np.minimum(rng.random(len(weights)) * total, np.nextafter(total, 0))  # below the total, whatever is rounded
    return (cumulative > drawn[:, None]).argmax(axis=1)


def load(request: Request) -> MarkovComposer:
    """The chains that come with Toccata, or those in the folder of the request.

    Raises:
        WeightsError: when they are missing or damaged, or of another piano, naming the file.
    """
    return MarkovComposer(read_chains(request.folder or shipped_folder("markov")), request)


def save_chains(folder: Path, chains: Mapping[str, Markov], about: Mapping[str, Any]) -> None:
    """Write chains by genre, and JSON values about their fit."""
    tensors = {
        f"{genre}/{name}": torch.tensor(array)
        for genre, chain in chains.items()
        for name, array in chain.arrays().items()
    }
    save_weights(folder, {WEIGHTS_NAME: tensors}, {"genres": list(chains), "fit": dict(about)})


def read_chains(folder: Path) -> dict[str, Markov]:
    """What `save_chains` wrote.

    Raises:
        WeightsError: when a file is missing or damaged, or the chains are of another piano.
    """
    names: Any = read_config(folder).get("genres")
    tensors = read_tensors(folder, WEIGHTS_NAME)
    try:
        check_genres(name for name in names if name != ALL_GENRES)
        by_genre: dict[str, dict[str, np.ndarray]] = {name: {} for name in [*names, ALL_GENRES]}
        for key, tensor in tensors.items():
            genre, _, name = key.partition("/")
            by_genre[genre][name] = tensor.numpy()
        chains = {name: Markov.from_arrays(arrays) for name, arrays in by_genre.items()}
    except BROKEN as error:
        raise WeightsError(f"{folder / CONFIG_FILE}: not Markov chains by genre: {error}") from error
    for chain in chains.values():
        if chain.nvec != Piano().nvec:
            raise WeightsError(f"{folder / WEIGHTS_NAME}{SUFFIX}: is of another piano, with actions {chain.nvec}")
    return chains
