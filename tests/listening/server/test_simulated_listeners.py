"""Simulated listeners who use the application as a page does; what is kept of them says what their taste is."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import numpy as np

from helpers.listening import Browser
from toccata.listening.results.ballots import read_survey
from toccata.listening.results.strengths import piece_strengths
from toccata.listening.server.state import ServerState
from toccata.listening.simulation import WEIGHTS, SimulatedListener
from toccata.stats import spearman

LISTENERS, VOTES, PLAYS = 12, 24, 6


def take_part(browser: Browser, listener: SimulatedListener, features: dict[int, np.ndarray]) -> None:
    """Vote on pairs, then listen to the radio."""
    browser.enter()
    for _ in range(VOTES):
        answer = browser.get("/api/pair")
        if answer.status_code == 204:
            break
        pair = answer.json()
        first, second = (features[pair[name]["piece"]] for name in ("first", "second"))
        choice = listener.choose(first, second, may_tie=pair["question"] == "better")
        assert browser.post("/api/vote", {"pair": pair["pair"], "choice": choice, "seconds": 20.0}).status_code == 200
    for _ in range(PLAYS):
        piece = browser.get("/api/radio").json()["piece"]
        play = {"id": str(uuid4()), "piece": piece, "heard_seconds": 12.0}
        assert browser.post("/api/play", play).status_code == 200
        if listener.likes(features[piece]):
            assert browser.post("/api/like", {"piece": piece, "liked": True}).status_code == 200


def test_their_votes_give_their_taste(state: ServerState, connect: Callable[..., Browser]) -> None:
    rng = np.random.default_rng(0)
    features = {number: rng.normal(size=3) for number in state.served}
    for number in range(LISTENERS):
        take_part(connect(), SimulatedListener.drawn(number), features)
    survey = read_survey(state.store.path, max_failed=1.0)
    assert survey.listeners == LISTENERS and len(survey.pieces) == 9
    assert survey.plays.sum() == LISTENERS * PLAYS and 0 < survey.likes.sum() < survey.plays.sum()
    ids = {str(row[1]): row[0] for row in state.store.rows("SELECT id, file FROM pieces")}
    tastes = np.array([WEIGHTS @ features[ids[str(piece.file)]] for piece in survey.pieces])
    strengths = {row["piece"]: row["strength"] for row in piece_strengths(survey)}
    assert len(strengths) == 9
    assert spearman(np.array([strengths[number] for number in range(9)]), tastes) > 0.7
