"""The web application: its addresses, and what each answers."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from toccata.listening.server import api
from toccata.listening.server.access import Access, AccessMiddleware
from toccata.listening.server.api import Body, Handler, RequestError
from toccata.listening.server.identity import (
    checked_csrf,
    cookie_of,
    delete_cookie,
    find_listener,
    listener_of,
    required_listener,
    set_cookie,
)
from toccata.listening.server.state import Served, ServerState

PIECE = re.compile(r"[0-9]{1,10}")  # id in an address
NO_DATE = "Thu, 01 Jan 1970 00:00:00 GMT"
MAX_BODY = 16 * 2**10  # bytes of a request
STATIC_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}
SOUND_TYPES = {".ogg": "audio/ogg", ".wav": "audio/wav"}

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(state: ServerState, access: Access, static: Path) -> AccessMiddleware:
    """The application, an ASGI callable.

    Args:
        state: what is served.
        access: who may ask.
        static: folder of the page; what is in it now is served, by name.
    """
    files = {
        path.relative_to(static).as_posix(): path
        for path in sorted(static.rglob("*"))
        if path.suffix in STATIC_TYPES and path.is_file()
    }
    routes = [
        Route("/", _file(lambda request: _static(files, "index.html"))),
        Route("/static/{name:path}", _file(lambda request: _static(files, request.path_params["name"]))),
        Route("/sound/{piece}", _file(lambda request: _sound(state, request.path_params["piece"]))),
        Route("/roll/{piece}", _file(lambda request: _roll(state, request.path_params["piece"]))),
        Route("/api/session", _session(state, access), methods=["GET"]),
        Route("/api/consent", _consent(state, access), methods=["POST"]),
        Route("/api/withdraw", _withdraw(state, access), methods=["POST"]),
        *(Route(f"/api/{name}", _read(state, access, handler), methods=["GET"]) for name, handler in api.READ.items()),
        *(
            Route(f"/api/{name}", _write(state, access, handler), methods=["POST"])
            for name, handler in api.WRITE.items()
        ),
    ]
    handlers: dict[Any, Any] = {
        HTTPException: lambda _, error: _error(error.status_code, error.detail),
        RequestError: lambda _, error: _error(error.status, str(error)),
        ClientDisconnect: lambda *_: _error(400, "the request was cut off"),  # nobody reads it; no traceback is printed
        sqlite3.Error: lambda _, error: _error(503, "the answer could not be saved; try again"),
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return AccessMiddleware(app, access)


# Files


def _file(find: Callable[[Request], FileResponse]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return find(request)

    return endpoint


def _static(files: Mapping[str, Path], name: str) -> FileResponse:
    if name not in files:
        raise RequestError(404, "no such file")
    path = files[name]
    return FileResponse(path, media_type=STATIC_TYPES[path.suffix], headers={"cache-control": "no-cache"})


def _sound(state: ServerState, name: str) -> FileResponse:
    path = _served(state, name).sound
    return _made(path, SOUND_TYPES[path.suffix])


def _roll(state: ServerState, name: str) -> FileResponse:
    return _made(_served(state, name).roll, "application/json")


def _served(state: ServerState, name: str) -> Served:
    """The piece with this id."""
    piece = state.served.get(int(name)) if PIECE.fullmatch(name) else None
    if piece is None:
        raise RequestError(404, "no such piece")
    return piece


def _made(path: Path, media_type: str) -> FileResponse:
    """A file of the cache."""
    if not path.is_file():
        raise RequestError(404, "this piece is gone from the cache; start toccata listen again")
    headers = {
        "cache-control": "private, max-age=3600",
        "etag": f'"{path.stem}"',
        "last-modified": NO_DATE,  # the pieces of one source were rendered one after another
    }
    return FileResponse(path, media_type=media_type, headers=headers)


# JSON


def _session(state: ServerState, access: Access) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        listener = await find_listener(state, access, request)
        csrf = cookie_of(access, request, "csrf") or token_hex(16)
        response = JSONResponse(await run_in_threadpool(api.session, state, listener, csrf))
        for name, value in (("csrf", csrf), ("listener", token_hex(16))):
            if cookie_of(access, request, name) is None:
                set_cookie(response, access.cookie(name), value)
        return response

    return endpoint


def _consent(state: ServerState, access: Access) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        csrf = checked_csrf(access, request)
        await _body(request)
        # The browser has the cookie before it agrees: a consent whose answer was lost is sent again, of one listener
        cookie = cookie_of(access, request, "listener")
        new = cookie or token_hex(16)
        listener = listener_of(new)
        await run_in_threadpool(state.store.add_listener, listener)
        response = JSONResponse(await run_in_threadpool(api.session, state, listener, csrf))
        if cookie is None:
            set_cookie(response, access.cookie("listener"), new)
        return response

    return endpoint


def _withdraw(state: ServerState, access: Access) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        checked_csrf(access, request)
        await _body(request)
        listener = await required_listener(state, access, request)
        await run_in_threadpool(state.withdraw, listener)
        response = JSONResponse({"ok": True})
        delete_cookie(response, access.cookie("listener"))
        return response

    return endpoint


def _read(state: ServerState, access: Access, handler: Handler) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        listener = await required_listener(state, access, request)
        answer = await run_in_threadpool(handler, state, listener, {})
        return Response(status_code=204) if answer is None else JSONResponse(answer)

    return endpoint


def _write(state: ServerState, access: Access, handler: Handler) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        checked_csrf(access, request)
        listener = await required_listener(state, access, request)
        body = await _body(request)
        return JSONResponse(await run_in_threadpool(handler, state, listener, body))

    return endpoint


async def _body(request: Request) -> Body:
    """The JSON object that a request sends."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "the content type must be application/json")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise RequestError(413, f"a request may have at most {MAX_BODY:,} bytes")
    try:
        body = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise RequestError(400, "the request is not JSON") from None
    if not isinstance(body, dict):
        raise RequestError(422, "the request must be a JSON object")
    return body


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
