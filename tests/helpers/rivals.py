"""Composers and fitters for tests of what is built around them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from toccata.agents.rivals.composer import OnProgress, checked_genre
from toccata.agents.rivals.fitting.job import FitJob
from toccata.agents.rivals.registry import Request
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.weights import save_weights


class Scales:
    """Composes random walks of quarter notes; every action has probability 1/8."""

    name = "scales"
    genres = ("classical", "folk")

    def __init__(self, request: Request) -> None:
        self.request = request

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        checked_genre(self.name, genre, self.genres)
        return [self._walk(np.random.default_rng([seed, i])) for i in range(n)]

    def continue_primer(
        self,
        primer: Score,
        n: int,
        seed: int = 0,
        genre: str | None = None,
        on_progress: OnProgress = lambda done: None,
    ) -> list[Score]:
        start = primer.bars * primer.ticks_per_bar
        tails = self.compose(n, seed, genre, on_progress)
        notes = [(onset + start, ticks, pitch, 64) for tail in tails for onset, ticks, pitch, _ in tail.notes.tolist()]
        return [
            Score([*primer.notes.tolist(), *notes], 24, primer.beats_per_bar, 120, start + tail.length_ticks)
            for tail in tails
        ]

    def log_prob(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        return [np.full(len(piece.actions), -np.log(8)) for piece in pieces]

    def _walk(self, rng: np.random.Generator) -> Score:
        beats = int(self.request.bars * self.request.beats_per_bar)
        pitches = 60 + np.cumsum(rng.integers(-2, 3, beats))
        notes = [(24 * beat, 24, int(pitch), 64) for beat, pitch in enumerate(pitches)]
        return Score(notes, 24, self.request.beats_per_bar, self.request.tempo_bpm, 24 * beats)


def load(request: Request) -> Scales:
    return Scales(request)


def fit(job: FitJob) -> str:
    """Writes one weight a genre; which genres are done is in the checkpoint."""
    done = sorted(path.name for path in job.checkpoint.glob("*.done"))
    for number, genre in enumerate(job.works):
        if f"{genre}.done" in done:
            continue
        job.on_progress(number / len(job.works), genre)
        (job.checkpoint / f"{genre}.done").write_text("")
    save_weights(job.folder, {"weights": {genre: torch.zeros(1) for genre in job.works}}, {"genres": list(job.works)})
    return f"# Scales\n\nFitted to {', '.join(job.works)}; found done: {', '.join(done) or 'nothing'}."


def interrupted(job: FitJob) -> str:
    """Is stopped after the first genre, and then by nothing."""
    if not job.config.resume:
        (job.checkpoint / f"{next(iter(job.works))}.done").write_text("")
        raise KeyboardInterrupt
    return fit(job)


def interrupted_at_once(job: FitJob) -> str:
    raise KeyboardInterrupt


def broken(job: FitJob) -> str:
    raise ValueError("a bug")
