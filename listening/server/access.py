"""Who may ask the server what, and how often: hosts, token, rates; and the headers of every answer."""

from __future__ import annotations

import hmac
import ipaddress
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"  # parameter of the address
BY_ADDRESS = ("/api/session", "/api/consent")  # limited by address: nobody needs a listener for them
LOOPBACK_NAMES = ("localhost",)
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
# The cookie is not sent with a redirect from another site's link, since it is SameSite=Strict, but with a refresh of
# our own page. The address with the token does not stay in the browser's history.
ENTERED = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>Listening</title>
<p><a href="/">Go on</a></p></html>
"""
NO_TOKEN = "open the address that was printed where toccata listen was started: it holds a token"


@dataclass(frozen=True)
class Rate:
    """A token bucket: so many requests at once, and so many a second after them."""

    burst: float
    per_second: float


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        token: that every browser must have; None lets every one in, which only loopback may.
        names: host names that browsers may use, beside loopback and, with a token, every address of this machine.
        listener_rate: requests to /api by one listener.
        address_rate: those of an address without a listener, which include every consent.
        suffix: of the names of cookies. Browsers send cookies to all ports of a machine: servers of two databases need
            two suffixes.
    """

    token: str | None = None
    names: tuple[str, ...] = ()
    listener_rate: Rate = Rate(100, 10)
    address_rate: Rate = Rate(400, 2)
    suffix: str = ""

    def cookie(self, name: str) -> str:
        """The name of a cookie of this server."""
        return name + self.suffix

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server.

        Another site could let its own name point here (DNS rebinding), and its pages would then be of the same origin
        as ours. It cannot do that with a bare address.
        """
        name = _host_name(host)
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in LOOPBACK_NAMES or name in (each.lower() for each in self.names)
        return address.is_loopback or self.token is not None


@dataclass
class Buckets:
    """Token buckets by key; the least recently used are forgotten beyond `most`."""

    rate: Rate
    most: int = 10_000
    clock: Callable[[], float] = time.monotonic
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)  # level, at time

    def take(self, key: str) -> float:
        """Take one request out of a bucket: 0 when there is one, else seconds until there is."""
        now = self.clock()
        level, at = self._levels.pop(key, (self.rate.burst, now))
        level = min(self.rate.burst, level + (now - at) * self.rate.per_second)
        wait = 0.0 if level >= 1 else (1 - level) / self.rate.per_second
        self._levels[key] = (level if wait else level - 1, now)
        while len(self._levels) > self.most:
            self._levels.popitem(last=False)
        return wait


class AccessMiddleware:
    """ASGI middleware that answers what `access` forbids, and puts security headers on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access
        self._listeners, self._addresses = Buckets(access.listener_rate), Buckets(access.address_rate)
        # Behind a proxy all have one address: who has no token must not use up what those with one may ask
        self._strangers = Buckets(access.address_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # no WebSockets
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        cookies = cookie_parser(headers.get("cookie", ""))
        if len(headers.getlist("host")) != 1 or not self.access.knows(headers["host"]):
            await _answer(with_headers, 421, "this server has another name; use --names to allow more")
        elif self.access.token is not None and not self._has_token(cookies.get(self.access.cookie("token"), "")):
            given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(TOKEN, [""])[0]
            if scope["method"] == "GET" and scope["path"] == "/" and self._has_token(given):
                await _enter(with_headers, self.access)
            elif wait := self._strangers.take(_address(scope)):
                await _answer(with_headers, 429, "too many requests", wait)
            else:
                await _answer(with_headers, 401, NO_TOKEN)
        elif scope["path"].startswith("/api/") and (wait := self._wait(scope, cookies)):
            await _answer(with_headers, 429, "too many requests; try again in a moment", wait)
        else:
            await self.app(scope, receive, with_headers)

    def _has_token(self, given: str) -> bool:
        assert self.access.token is not None
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.access.token.encode())

    def _wait(self, scope: Scope, cookies: dict[str, str]) -> float:
        """Seconds that a request comes too early."""
        listener = cookies.get(self.access.cookie("listener"), "")
        if listener and scope["path"] not in BY_ADDRESS:
            return self._listeners.take(listener[:64])
        return self._addresses.take(_address(scope))


def _host_name(host: str) -> str:
    """The name or address in a Host header, without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _enter(send: Send, access: Access) -> None:
    """Give a browser the token as a cookie, and let it load the page."""
    cookie = f"{access.cookie('token')}={access.token}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", cookie.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ENTERED})


async def _answer(send: Send, status: int, message: str, wait: float = 0.0) -> None:
    """An error as JSON."""
    headers = [(b"content-type", b"application/json")]
    if wait:
        headers.append((b"retry-after", str(int(wait) + 1).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": message}).encode()})
