"""Embeddings of pieces and probabilities of their genres, for distances between sets of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.prior import Prior
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.pieces import Piece, Pieces
from toccata.reward_models.judges.typicality import Typicality
from toccata.reward_models.typicality.action_model import mean_hidden_states

CLASSIFIED_ACTIONS = 1024  # of a piece whose genre is estimated; the prior's attention takes their number squared


def embeddings(pieces: Pieces, judge: Typicality) -> np.ndarray:
    """(n, d) float64, one row a piece: the mean hidden state of the typicality judge over the piece's actions.

    The judge was fitted to real music, and no agent starts from its network or is trained towards it. What an agent
    wrote is embedded, without a primer; a piece without actions is at 0.
    """
    return mean_hidden_states(judge.network, pieces)


def genre_probabilities(pieces: Sequence[Piece], prior: Prior) -> np.ndarray:
    """(n, genres) float64 probabilities of the prior's genres given each piece, with rows that sum to 1.

    By Bayes' theorem, with equal probabilities before: proportional to the likelihood of the piece's first 1,024
    actions under the prior conditioned on each genre. Over a hundred actions most rows are near 0 and 1, whether right
    or not; see docs/sets.md for how often the likeliest is right. Uniform for a piece without actions. It is given by
    the prior from which agents start.
    """
    nats = np.zeros((len(pieces), len(prior.genres)))
    actions = [each[:CLASSIFIED_ACTIONS] for each in Pieces(pieces, prior.piano).actions]
    playable = [i for i, each in enumerate(actions) if len(each)]
    if playable:
        starts = [0 if each.actions is None else each.start_tick for each in pieces]  # what is encoded is whole scores
        unconditional = [Piece(pieces[i].score, None, starts[i], actions[i]) for i in playable]
        trajectories = record_trajectories(unconditional, prior.piano, prior.genres)
        for genre in range(len(prior.genres)):
            observed = {**trajectories.observations, "genre": np.full_like(trajectories.observations["genre"], genre)}
            log_probs = log_prob(prior.network, prior.piano, replace(trajectories, observations=observed))
            nats[playable, genre] = [each.sum() for each in log_probs]
    likelihoods = np.exp(nats - nats.max(axis=1, keepdims=True))
    return likelihoods / likelihoods.sum(axis=1, keepdims=True)
