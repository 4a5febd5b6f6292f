import os
import signal
import socket
import stat
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from helpers.listening import write_tunes
from helpers.listening_server import Listener, Server, check_kept, running
from toccata.agents.generation.sound_options import SoundOptions
from toccata.files import FileError
from toccata.listening import listen as module
from toccata.listening.config import ListenConfig
from toccata.listening.listen import ListenError, listen, make_state, read_token
from toccata.listening.server.state import ServerState
from toccata.listening.sources import find_pieces
from toccata.listening.store import Store, StoreError
from toccata.settings.options import ConfigError


def quiet() -> Console:
    return Console(file=StringIO(), width=200)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def state_of(config: ListenConfig, store: Store, console: Console) -> ServerState:
    found = find_pieces(config.folders, config.people, config.pieces, config.seed)
    return make_state(config, found, store, "agree", console)


def test_a_room_of_folders(tmp_path: Path, store: Store) -> None:
    machine, people = write_tunes(tmp_path / "machine", 3), write_tunes(tmp_path / "people", 2, seed=1)
    (machine / "letter.mid").write_text("Dear Clara,")
    config = ListenConfig((str(machine),), (str(people),), seconds=2.0)
    console = quiet()
    state = state_of(config, store, console)
    assert sorted(piece.source for piece in state.asked_about) == ["machine"] * 3 + ["people"] * 2
    assert len(state.served) == 7, "and two pieces with their notes at random"
    assert all(piece.sound.is_file() and piece.roll.is_file() for piece in state.served.values())
    text = printed(console)
    assert "machine: 3 pieces, machine" in text
    assert "people: 2 pieces, people" in text
    assert "left out" in text
    assert "letter.mid" in text
    rows = store.rows("SELECT source, by_person, file FROM pieces")
    assert len(rows) == 7
    assert all(Path(file).is_absolute() and Path(file).is_file() for _, _, file in rows)
    again = state_of(config, store, quiet())
    assert again.served == state.served, "the same ids when it is started again"


def test_a_name_that_is_not_utf_8(tmp_path: Path, store: Store) -> None:
    folder = write_tunes(tmp_path / "a", 1)
    try:
        (folder / "tune-0.mid").rename(folder / os.fsdecode(b"\xff.mid"))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    state_of(ListenConfig((str(folder),), seconds=2.0), store, quiet())
    assert [file for (file,) in store.rows("SELECT file FROM pieces WHERE source = 'a'")] == [rf"{folder}/\xff.mid"]


def test_one_piece_is_radio_only(tmp_path: Path, store: Store) -> None:
    from toccata.listening.server import api

    state = state_of(ListenConfig((str(write_tunes(tmp_path / "a", 1)),)), store, quiet())
    assert api.session(state, None, "")["modes"] == ["radio"]
    store.add_listener("a" * 32)
    assert state.next_pair("a" * 32) is None
    assert state.next_on_radio("a" * 32) == state.next_on_radio("a" * 32)


def test_settings_without_pieces_are_refused() -> None:
    with pytest.raises(ConfigError, match="folders must name at least one folder"):
        ListenConfig()


def test_the_token_of_a_database_stays(tmp_path: Path) -> None:
    database = tmp_path / "my.sqlite"
    token = read_token(database)
    assert len(token) == 24
    assert read_token(database) == token
    path = tmp_path / "my.sqlite.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("")
    with pytest.raises(FileError, match=r"my\.sqlite\.token: holds no token; delete it"):
        read_token(database)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"folders": ("nowhere",)}, Exception, "nowhere: no such folder"),
        ({"db": Path("nowhere/my.sqlite")}, FileError, r"nowhere/my\.sqlite: there is no folder nowhere"),
        ({"db": Path("a/tune-0.mid")}, StoreError, r"tune-0\.mid: cannot be used as a database"),
        ({"consent": Path("nowhere.txt")}, FileError, r"nowhere\.txt: cannot be read"),
        ({"sound": SoundOptions(soundfont=Path("nowhere.sf2"))}, FileNotFoundError, r"nowhere\.sf2"),
        ({"host": "no.such.host.invalid"}, ListenError, r"host no\.such\.host\.invalid: "),
        ({"host": "192.0.2.1"}, ListenError, r"host 192\.0\.2\.1, port 0: "),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict, error: type, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tunes(tmp_path / "a", 1)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message) as caught:
        listen(ListenConfig(**{"folders": ("a",), "port": 0, **change}), quiet())
    assert "\n" not in str(caught.value)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.suffix != ".lock"] == before


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "a", 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ListenConfig((str(folder),), port=taken.getsockname()[1], db=tmp_path / "my.sqlite")
        with pytest.raises(ListenError, match="choose another --port, or 0 for a free one"):
            listen(config, quiet())
    assert not (tmp_path / "my.sqlite").exists()


def test_a_port_that_another_server_took_while_pieces_were_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with module._bound("127.0.0.1", 0) as other:

        def rendered_meanwhile(*arguments: object) -> ServerState:
            other.listen()
            return make_state(*arguments)  # type: ignore[arg-type]  # handed through

        monkeypatch.setattr(module, "make_state", rendered_meanwhile)
        port = other.getsockname()[1]
        config = ListenConfig((str(write_tunes(tmp_path / "a", 1)),), port=port, db=tmp_path / "my.sqlite", seconds=2.0)
        with pytest.raises(ListenError, match=rf"host 127\.0\.0\.1, port {port}: .*choose another --port"):
            listen(config, quiet())


def test_without_the_packages_of_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(ListenError, match=r'uvicorn is not installed: pip install "toccata\[listen\]"'):
        listen(ListenConfig((str(tmp_path),)), quiet())


@pytest.mark.parametrize(
    ("host", "token", "expected"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:80/"),
        ("::1", None, "http://[::1]:80/"),
        ("192.168.1.5", "t", "http://192.168.1.5:80/?token=t"),
    ],
)
def test_addresses_that_are_printed(host: str, token: str | None, expected: str) -> None:
    assert module._addresses(host, 80, token)[0] == f"listen: {expected}"
    assert module._is_loopback(host) is (token is None)


def test_a_server_in_use(tmp_path: Path) -> None:
    """Votes, a second server on the same database, Ctrl-C, and paths that clients would not send."""
    write_tunes(tmp_path / "machine", 3)
    write_tunes(tmp_path / "people", 2, seed=1)
    with running(tmp_path) as server:
        listener = Listener(server, 0)
        listener.enter()
        for _ in range(3):
            listener.vote()
            listener.play()
        second = Server(tmp_path)
        with pytest.raises(AssertionError, match=r"listening\.sqlite: another toccata listen serves it"):
            second.start()
        for path in (
            b"/static/../../secret",
            b"//etc/passwd",
            b"/sound/../static/page.js",
            b"/static/%2e%2e/config.py",
        ):
            assert raw(server.port, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(
                b"HTTP/1.1 404"
            )
        assert raw(server.port, b"GET / HTTP/1.1\r\nHost: evil.example.org\r\n\r\n").startswith(b"HTTP/1.1 421")
        assert raw(server.port, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").startswith(b"HTTP/1.1 4")
        assert raw(server.port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000).startswith(b"HTTP/1.1 4")
        assert raw(server.port, b"\x16\x03\x01\x02\x00").startswith(b"HTTP/1.1 4"), "TLS"
        listener.close()
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(timeout=20) == 130
    assert check_kept(tmp_path, [listener]) == 3
    assert not list(tmp_path.glob("*-wal")), "closed in order"


def test_other_machines_need_the_token(tmp_path: Path) -> None:
    write_tunes(tmp_path / "machine", 2)
    write_tunes(tmp_path / "people", 2, seed=1)
    with running(tmp_path, "--host", "0.0.0.0") as server:
        token = (tmp_path / "listening.sqlite.token").read_text().strip()
        assert server.address.endswith(f"/?token={token}")
        listener = Listener(server, 0)
        assert listener.request("GET", "/api/session")[0] == 401
        assert listener.request("GET", f"/?token={token}")[0] == 200
        assert set(listener.cookies.values()) == {token}
        listener.enter()
        assert listener.vote()
        listener.close()


def raw(port: int, request: bytes) -> bytes:
    """The answer to bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65_536)
