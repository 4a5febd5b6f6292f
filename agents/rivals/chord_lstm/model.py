"""The composer that samples from an LSTM over events, one for each genre."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toccata.agents.devices import resolve_device
from toccata.agents.generation.sampling import nucleus
from toccata.agents.prior.primer import PreparedPrimer
from toccata.agents.rivals.chord_lstm.classes import (
    FIRST_CHORD,
    UNKNOWN,
    Events,
    Vocabulary,
    events_of,
    score_of,
)
from toccata.agents.rivals.chord_lstm.network import ChordLSTM, State, network_inputs
from toccata.agents.rivals.composer import OnProgress, RivalError, check_count, checked_genre
from toccata.agents.rivals.registry import Request
from toccata.agents.rivals.weights import weights_of
from toccata.envs.instrument import Piano
from toccata.music.score import Score
from toccata.weights import load_weights

NAME = "chord-lstm"


def load(request: Request) -> ChordLSTMComposer:
    """The composer with the weights in `request.folder`, or with those that come with Toccata.

    Raises:
        WeightsError: when a file is missing or damaged, naming it.
    """
    folder, _, genres = weights_of(NAME, request.folder)
    device = resolve_device(request.device)
    models = {}
    for genre in genres:
        network, config = load_weights(folder, genre, partial(_network, genre))
        models[genre] = GenreModel(network.to(device).eval().requires_grad_(False), _vocabulary(genre, config))
    return ChordLSTMComposer(request, models)


def _network(genre: str, config: dict[str, Any]) -> ChordLSTM:
    """The network of a genre in a configuration."""
    return ChordLSTM(_vocabulary(genre, config))


def _vocabulary(genre: str, config: dict[str, Any]) -> Vocabulary:
    """The vocabulary of a genre in a configuration."""
    return Vocabulary.from_json(config["genres"][genre])


@dataclass(frozen=True)
class GenreModel:
    """The network of a genre and its vocabulary."""

    network: ChordLSTM
    vocabulary: Vocabulary


class ChordLSTMComposer:
    """Samples event after event, from the start of a piece or after a primer.

    Args:
        request: metre, tempo, length of the pieces, and how events are sampled.
        models: by genre.
    """

    name = NAME

    def __init__(self, request: Request, models: dict[str, GenreModel]) -> None:
        self.request = request
        self.models = models
        self.genres = tuple(models)
        self.piano = Piano()

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """See `Composer`. Without a genre the pieces are of each genre in turn."""
        request = self.request
        start = Score(beats_per_bar=request.beats_per_bar, tempo_bpm=request.tempo_bpm, length_ticks=0)
        return self._continued(start, Events((), np.empty((0, 2), np.int64)), n, seed, genre, on_progress)

    def continue_primer(
        self,
        primer: Score,
        n: int,
        seed: int = 0,
        genre: str | None = None,
        on_progress: OnProgress = lambda done: None,
    ) -> list[Score]:
        """Pieces that begin with `primer` as the piano plays it, and go on for `request.bars` bars in its metre.

        Raises:
            RivalError: for a genre that it does not know, and a primer without notes.
        """
        try:
            score = PreparedPrimer.from_score(primer, self.piano, primer.beats_per_bar, primer.tempo_bpm).score
        except ValueError as error:
            raise RivalError(f"{NAME}: {error}") from None
        return self._continued(score, events_of(score, self.piano), n, seed, genre, on_progress)

    def _continued(
        self, start: Score, events: Events, n: int, seed: int, genre: str | None, on_progress: OnProgress
    ) -> list[Score]:
        """`n` pieces of the score `start`, whose events are given, and what follows."""
        check_count(NAME, n, seed)
        wanted = checked_genre(NAME, genre, self.genres)
        of_each = [wanted or self.genres[index % len(self.genres)] for index in range(n)]
        length = self.request.bars * start.ticks_per_bar
        pieces: dict[int, Score] = {}
        for number, each in enumerate(genres := sorted({*of_each})):
            rows = [index for index in range(n) if of_each[index] == each]
            generator = torch.Generator().manual_seed(seed + self.genres.index(each) * 2**32)
            followed = self._sample(self.models[each], events, len(rows), length, generator)
            for index, following in zip(rows, followed, strict=True):
                pieces[index] = _joined(start, score_of(following, length, start.beats_per_bar, start.tempo_bpm))
            on_progress((number + 1) / len(genres))
        return [pieces[index] for index in range(n)]

    def _sample(
        self, model: GenreModel, events: Events, rows: int, length_ticks: int, generator: torch.Generator
    ) -> list[Events]:
        """Events that follow the given ones, until `length_ticks` are filled, for each of `rows` pieces."""
        network, vocabulary = model.network, model.vocabulary
        device = next(network.parameters()).device
        classes = vocabulary.chord_classes(events.chords), vocabulary.timing_classes(events.timings)
        chords, timings = network_inputs(*classes)
        features, state = _prefilled(network, chords, timings, rows, device)
        sampled: list[tuple[list[tuple[int, ...]], list[tuple[int, int]]]] = [([], []) for _ in range(rows)]
        clock = np.zeros(rows, np.int64)
        with torch.no_grad():
            while (clock < length_ticks).any():
                logits = network.chord_logits(features)
                logits[:, UNKNOWN] = -torch.inf
                chord = self._draw(logits, generator).to(device)
                timing = self._draw(network.timing_logits(features, chord), generator).to(device)
                for row in np.flatnonzero(clock < length_ticks).tolist():
                    sampled[row][0].append(vocabulary.chords[int(chord[row]) - FIRST_CHORD])
                    sampled[row][1].append(vocabulary.timings[int(timing[row])])
                    clock[row] += vocabulary.timings[int(timing[row])][0]
                outputs, state = network(chord[:, None], 1 + timing[:, None], state)
                features = outputs[:, -1]
        return [Events(tuple(each), np.array(times, np.int64).reshape(-1, 2)) for each, times in sampled]

    def _draw(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """(rows,) classes sampled from logits (rows, classes) at the temperature and top_p of the request.

        Raises:
            RivalError: for logits that are not finite, of weights that are too large.
        """
        logits = logits.cpu().double()
        logits = (logits - logits.amax(dim=1, keepdim=True)) / self.request.temperature
        if logits.isnan().any():
            raise RivalError(f"{NAME}: its weights give probabilities that are not finite")
        return torch.multinomial(nucleus(logits.softmax(dim=1), self.request.top_p), 1, generator=generator)[:, 0]


def _prefilled(
    network: ChordLSTM, chords: np.ndarray, timings: np.ndarray, rows: int, device: torch.device
) -> tuple[Tensor, State]:
    """Features (rows, UNITS) and state after the classes of events (events,), the same in each row."""
    inputs = [torch.as_tensor(each, device=device)[None] for each in (chords, timings)]
    with torch.no_grad():
        features, (hidden, cell) = network(*inputs)
    return features[:, -1].repeat(rows, 1), (hidden.repeat(1, rows, 1), cell.repeat(1, rows, 1))


def _joined(start: Score, following: Score) -> Score:
    """One score after the other, in the metre and tempo of the first."""
    notes = following.notes.copy()
    notes["onset_tick"] += start.length_ticks
    length = start.length_ticks + following.length_ticks
    return replace(start, notes=np.concatenate([start.notes, notes]), length_ticks=length)
