"""`toccata listen`: find and render pieces, then serve them until it is stopped."""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.errors import ToccataError, printable
from toccata.files import FileError, read_bytes
from toccata.listening.attention import attention_pairs
from toccata.listening.config import ListenConfig
from toccata.listening.consent import read_consent
from toccata.listening.rendering import Rendered, render_all
from toccata.listening.selection import AttentionCheck
from toccata.listening.sources import Found, SourceError, find_pieces
from toccata.listening.store import PieceRow, Store
from toccata.music.sound.listening import check_soundfont

if TYPE_CHECKING:
    from toccata.listening.server.state import ServerState

STATIC = Path(__file__).parent / "static"
BACKLOG = 512  # connections that wait to be accepted
MAX_FAILURES = 20  # that are printed
TOKEN_BYTES = 18  # of randomness in the token, 24 characters


class ListenError(ToccataError, RuntimeError):
    """A server that cannot be started."""


def listen(config: ListenConfig, console: Console | None = None) -> None:
    """Serve the pieces until a signal stops it.

    Raises:
        ListenError: when a package of the extra `listen` is missing, the port is taken, or another process serves the
            same database.
        SourceError, CorpusError, StoreError, FileError, ConsentError, SoundError: naming what cannot be used, before
            anything is served.
    """
    try:
        import starlette  # noqa: F401  is said to be missing before minutes of rendering
        import uvicorn
    except ImportError as error:
        raise ListenError(f'{error.name} is not installed: pip install "toccata[listen]"') from error
    from toccata.listening.server.access import Access
    from toccata.listening.server.app import make_app

    console = console or Console()
    text = read_consent(config.consent)
    check_soundfont(config.sound.soundfont)
    found = find_pieces(config.folders, config.people, config.pieces, config.seed)
    with ExitStack() as stack:
        server_socket = stack.enter_context(_bound(config.host, config.port))
        stack.enter_context(_only_server_of(config.db))
        store = Store(config.db)
        stack.callback(store.close)
        state = make_state(config, found, store, text, console)
        # Behind a proxy, which --names is for, others are let in too
        token = None if _is_loopback(config.host) and not config.names else read_token(config.db)
        names = (*config.names, config.host, *(() if token is None else _own_names()))
        app = make_app(state, Access(token, names, suffix=_suffix(config.db)), STATIC)
        settings = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # nobody may choose the address that its rate is counted for
            timeout_graceful_shutdown=3,
            limit_concurrency=1000,
        )
        with _named_errors(config.host, config.port):  # two that render at once may both have bound it
            server_socket.listen(BACKLOG)
        for line in _addresses(config.host, server_socket.getsockname()[1], token):
            console.print(line, soft_wrap=True, markup=False, highlight=False)
        uvicorn.Server(settings).run([server_socket])


def make_state(
    config: ListenConfig, found: tuple[list[Found], list[str]], store: Store, text: str, console: Console
) -> ServerState:
    """Render the pieces, and list them in the database.

    Args:
        config: of the command.
        found: pieces, and a line for each file that cannot be read, as `find_pieces` gives them.
        store: the database.
        text: that listeners agree to.
        console: gets a line for each source, and each file that was left out.

    Raises:
        SourceError: when no piece can be heard.
    """
    from toccata.listening.server.state import Served, ServerState

    pieces, failures = found
    pairs = attention_pairs(pieces, config.seed) if len(pieces) > 1 else []
    known = {piece.digest for piece in pieces}
    checks = list({each.digest: each for pair in pairs for each in pair if each.digest not in known}.values())
    everything = [*pieces, *checks]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Rendering", total=len(everything))
        rendered, unheard = render_all(
            everything, config.seconds, config.format, config.sound, lambda: progress.advance(task)
        )
    failures = [*failures, *unheard]
    if not any(each.piece.digest in known for each in rendered):
        raise SourceError(f"no piece can be heard; {failures[0]}")
    ids = dict(zip((each.piece.digest for each in rendered), store.add_pieces(map(_row, rendered)), strict=True))
    served = [
        Served(
            id=ids[each.piece.digest],
            source=each.piece.source,
            by_person=each.piece.by_person,
            seconds=each.seconds,
            sound=each.sound,
            roll=each.roll,
            check=each.piece.digest not in known,
        )
        for each in rendered
    ]
    attention = [
        AttentionCheck(ids[right.digest], ids[wrong.digest])
        for right, wrong in pairs
        if right.digest in ids and wrong.digest in ids
    ]
    _say_what([each.piece for each in rendered if each.piece.digest in known], failures, console)
    return ServerState(store, served, attention, text, config.seed)


def _row(rendered: Rendered) -> PieceRow:
    piece = rendered.piece
    return PieceRow(
        digest=piece.digest,
        source=piece.source,
        file=printable(str(piece.file.resolve())),  # SQLite takes UTF-8 only
        by_person=piece.by_person,
        genre=piece.genre,
        seconds=rendered.seconds,
    )


def _say_what(pieces: Sequence[Found], failures: Sequence[str], console: Console) -> None:
    """Print what was left out, and how many pieces each source has."""
    lines = [f"left out: {line}" for line in failures[:MAX_FAILURES]]
    if len(failures) > MAX_FAILURES:
        lines.append(f"... and {len(failures) - MAX_FAILURES:,} more were left out")
    for source, count in Counter((piece.source, piece.by_person) for piece in pieces).items():
        lines.append(f"{source[0]}: {count} pieces, {'people' if source[1] else 'machine'}")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that is bound to the address, so that a port that is taken is known before anything is rendered.

    Raises:
        ListenError: when the port is taken, may not be used, or there is no such address.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        server = socket.socket(family, kind)
    except OSError as error:
        raise ListenError(f"host {host}: {error.strerror or error}") from error
    try:
        with _named_errors(host, port):
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
    except ListenError:
        server.close()
        raise
    return server


@contextmanager
def _named_errors(host: str, port: int) -> Iterator[None]:
    """A block whose OSError becomes a ListenError that names the address."""
    try:
        yield
    except OSError as error:
        hint = "; choose another --port, or 0 for a free one" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        raise ListenError(f"host {host}, port {port}: {error.strerror}{hint}") from error


def _only_server_of(database: Path) -> ExitStack:
    """A lock that one process holds; the system lets go of it when the process ends, however that is.

    Raises:
        ListenError: when another process holds it.
        FileError: when the folder of the database does not exist.
    """
    from filelock import FileLock, Timeout

    if not database.parent.is_dir():
        raise FileError(f"{database}: there is no folder {database.parent}")
    lock = FileLock(f"{database}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ListenError(f"{database}: another toccata listen serves it; stop that, or give another --db") from None
    stack = ExitStack()
    stack.callback(lock.release)
    return stack


def read_token(database: Path) -> str:
    """The token of a database, which stays the same when the server is started again; its file is made if missing.

    Raises:
        FileError: when the file cannot be read or holds no token.
    """
    path = database.with_name(f"{database.name}.token")
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(token_urlsafe(TOKEN_BYTES) + "\n")
    token = read_bytes(path, 1000).decode("ascii", "replace").strip()
    if len(token) < TOKEN_BYTES or not token.replace("-", "").replace("_", "").isalnum() or not token.isascii():
        raise FileError(f"{path}: holds no token; delete it, and a new one is made")
    return token


def _is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _suffix(database: Path) -> str:
    """Of the cookies of a server: another one of each database, the same when it is started again."""
    return "-" + hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:8]


def _own_names() -> tuple[str, ...]:
    """Names by which other machines may know this one."""
    name = socket.gethostname().partition(".")[0]
    return socket.gethostname(), name, f"{name}.local"


def _addresses(host: str, port: int, token: str | None) -> list[str]:
    """What is printed once browsers can connect."""
    name = f"[{host}]" if ":" in host else host
    if token is None:
        return [f"listen: http://{name}:{port}/", "stop with Ctrl-C"]
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else name
    return [
        f"listen: http://{shown}:{port}/?token={token}",
        "whoever has this address can take part; other names of this machine may be used in it, and its addresses",
        "stop with Ctrl-C",
    ]
