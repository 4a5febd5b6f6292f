"""Fitting a Markov chain to passages of real music in random keys."""

from __future__ import annotations

import numpy as np

from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.markov import ORDER, Markov
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.pieces import Piece

MARKOV_STEPS = 300_000  # training steps on a large corpus
STEPS_PER_NOTE = 24  # on a small one: an onset and a rest a note, in each of twelve keys
CHUNK = 256  # passages sampled at a time


def fit_markov(train: PassageDataset, seed: int = 0, order: int = ORDER) -> tuple[Markov, int]:
    """A Markov chain fitted to passages in random keys, and the number of its training steps."""
    rng = np.random.default_rng(seed)
    min_steps = min(MARKOV_STEPS, STEPS_PER_NOTE * sum(len(work.score) for work in train.works))
    pieces: list[Piece] = []
    steps = 0
    while steps < min_steps:
        sample = train.sample(CHUNK, rng)
        pieces += sample
        steps += sum(len(piece.actions) for piece in sample if piece.actions is not None)
    return Markov(order).fit(record_trajectories(pieces, train.piano, train.genres)), steps
