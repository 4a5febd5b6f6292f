"""The JSON that browsers ask for and send: one function an address. `app.py` calls them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from toccata.errors import ToccataError
from toccata.listening.selection import CHOICES
from toccata.listening.server.state import Served, ServerState
from toccata.listening.store import RefusedError

PLAY_SECONDS = 10.0  # of a piece that were heard, or half of it: a play, as the rating's data counts them
MAX_SECONDS = 24 * 3600.0  # from question to answer; a page that was left open
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
HEX = re.compile(r"[0-9a-f]{32}")

Body = dict[str, Any]


class RequestError(ToccataError, ValueError):
    """A request that is answered with an error.

    Attributes:
        status: of the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def session(state: ServerState, listener: str | None, csrf: str) -> Body:
    """What a page needs to begin: GET /api/session, and the answer to a consent."""
    return {
        "csrf": csrf,
        "consented": listener is not None,
        "consent_text": state.consent_text,
        "pieces": len(state.asked_about),
        "votes": 0 if listener is None else state.store.votes(listener),
        "likes": [] if listener is None else state.store.likes(listener),
        "modes": ["pairs", "radio"] if len(state.asked_about) > 1 else ["radio"],
    }


def pair(state: ServerState, listener: str, _: Body) -> Body | None:
    """GET /api/pair: what the listener is asked; None when nothing is left to ask."""
    found = state.next_pair(listener)
    if found is None:
        return None
    return {
        "pair": found.id,
        "question": found.question,
        "first": _piece(state.served[found.first]),
        "second": _piece(state.served[found.second]),
        "number": state.store.votes(listener) + 1,
    }


def vote(state: ServerState, listener: str, body: Body) -> Body:
    """POST /api/vote: an answer to a pair."""
    choice = body.get("choice")
    if not isinstance(choice, str) or choice not in CHOICES:
        raise RequestError(422, f"choice must be {', '.join(CHOICES)}")
    number = _text(body, "pair", HEX)
    seconds = min(_seconds(body, "seconds"), MAX_SECONDS)
    try:
        return {"ok": True, "votes": state.vote(listener, number, choice, seconds)}
    except RefusedError as error:
        raise RequestError(409, str(error)) from None


def radio(state: ServerState, listener: str, _: Body) -> Body:
    """GET /api/radio: the next piece."""
    piece = state.next_on_radio(listener)
    return {**_piece(state.served[piece]), "liked": piece in state.store.likes(listener)}


def play(state: ServerState, listener: str, body: Body) -> Body:
    """POST /api/play: a piece was heard; counted after 10 s, or half of a shorter piece."""
    piece = _served(state, body)
    heard, needed = _seconds(body, "heard_seconds"), min(PLAY_SECONDS, piece.seconds / 2)
    number = _text(body, "id", UUID).lower()
    if heard < needed:
        raise RequestError(422, f"heard_seconds must be at least {needed:.1f} for a play")
    state.store.play(listener, piece.id, number)
    return {"ok": True}


def like(state: ServerState, listener: str, body: Body) -> Body:
    """POST /api/like: a piece is liked, or no longer; once a listener, after a play."""
    piece, liked = _served(state, body), body.get("liked")
    if not isinstance(liked, bool):
        raise RequestError(422, "liked must be true or false")
    try:
        state.store.like(listener, piece.id, liked)
    except RefusedError as error:
        raise RequestError(422, str(error)) from None
    return {"ok": True, "liked": liked}


Handler = Callable[[ServerState, str, Body], Body | None]
READ: dict[str, Handler] = {"pair": pair, "radio": radio}  # GET
WRITE: dict[str, Handler] = {"vote": vote, "play": play, "like": like}  # POST


def _piece(piece: Served) -> Body:
    """What is told of a piece: nothing that its source could be guessed from."""
    return {
        "piece": piece.id,
        "sound": f"/sound/{piece.id}",
        "roll": f"/roll/{piece.id}",
        "seconds": round(piece.seconds, 3),
    }


def _served(state: ServerState, body: Body) -> Served:
    """The piece that a request names."""
    number = body.get("piece")
    piece = state.served.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
    if piece is None or piece.check:
        raise RequestError(404, "no such piece")
    return piece


def _text(body: Body, name: str, pattern: re.Pattern[str]) -> str:
    """A field that must be an id of this form."""
    value = body.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RequestError(422, f"{name} must be an id")
    return value


def _seconds(body: Body, name: str) -> float:
    """A field that must be a duration."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise RequestError(422, f"{name} must be a number of seconds, at least 0")
    return float(min(value, 1e9))
