"""Who sends a request: listeners and their cookies, and proof that our own page sent it."""

from __future__ import annotations

import hashlib
import hmac

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from toccata.listening.server.access import Access
from toccata.listening.server.api import HEX, RequestError
from toccata.listening.server.state import ServerState

CSRF_HEADER = "x-csrf-token"
COOKIE_SECONDS = 365 * 24 * 3600


def listener_of(cookie: str) -> str:
    """The id of the listener with this cookie. The database holds no cookies: nobody can vote as another from it."""
    return hashlib.sha256(cookie.encode()).hexdigest()[:32]


def cookie_of(access: Access, request: Request, name: str) -> str | None:
    """The cookie that a browser has, "listener" or "csrf"; None where it has none yet."""
    cookie = request.cookies.get(access.cookie(name), "")
    return cookie if HEX.fullmatch(cookie) else None


async def find_listener(state: ServerState, access: Access, request: Request) -> str | None:
    """The listener that a request is from; None for one that has not agreed, or has withdrawn."""
    cookie = cookie_of(access, request, "listener")
    listener = None if cookie is None else listener_of(cookie)
    return listener if listener is not None and await run_in_threadpool(state.store.has_listener, listener) else None


async def required_listener(state: ServerState, access: Access, request: Request) -> str:
    """The listener that a request is from.

    Raises:
        RequestError: 403 where there is none.
    """
    listener = await find_listener(state, access, request)
    if listener is None:
        raise RequestError(403, "agree to take part first")
    return listener


def checked_csrf(access: Access, request: Request) -> str:
    """The token that both cookie and header have: a page of another site can read neither, nor send such a header.

    Raises:
        RequestError: 403 where they differ.
    """
    cookie, header = cookie_of(access, request, "csrf"), request.headers.get(CSRF_HEADER, "")
    if cookie is None or not hmac.compare_digest(cookie.encode(), header.encode()):
        raise RequestError(403, f"the header {CSRF_HEADER} must be the csrf of /api/session; reload the page")
    return cookie


def set_cookie(response: Response, name: str, value: str) -> None:
    """Give a browser a cookie that scripts cannot read, and that no page of another site sends."""
    response.set_cookie(name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="strict")


def delete_cookie(response: Response, name: str) -> None:
    """Take such a cookie back."""
    response.delete_cookie(name, httponly=True, samesite="strict")
