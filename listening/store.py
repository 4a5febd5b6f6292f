"""The database of a listening application: SQLite, where what is acknowledged is on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from secrets import randbelow, token_hex
from threading import RLock
from typing import Any

from toccata.errors import ToccataError, one_line
from toccata.listening.schema import ATTENTION_SOURCE, SCHEMA, VERSION

MAX_ID = 2**31  # ids of pieces are random below it: their order tells nothing of the source
BUSY_SECONDS = 10.0  # that a transaction waits for another process


class StoreError(ToccataError, RuntimeError):
    """A database that cannot be used; the message names its file."""


class RefusedError(ToccataError, ValueError):
    """An answer that contradicts the database: a vote on a pair of somebody else, another vote on a pair."""


@dataclass(frozen=True)
class PieceRow:
    """A row of the table `pieces`, without its id."""

    digest: str
    source: str
    file: str
    by_person: bool
    genre: str | None
    seconds: float


@dataclass(frozen=True)
class Pair:
    """A row of the table `pairs`, without its listener."""

    id: str
    question: str  # "better" or "person"
    first: int
    second: int
    attention: str | None = None


class Store:
    """The database in `path`, made where it does not exist. Safe to use from several threads.

    Every method that writes is one transaction, which is on disk when it returns.

    Raises:
        StoreError: naming the file, when it cannot be opened, is no database, or has tables of another kind or version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        try:
            # Each statement is its own transaction unless `transaction` begins one
            self._connection = sqlite3.connect(
                path.absolute(), timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be used as a database: {one_line(error)}") from error

    def _prepare(self) -> None:
        """Set the connection up, and make the tables where there are none; another database is left as it is."""
        self._is_new()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            if self._is_new():
                for statement in filter(str.strip, _without_comments(SCHEMA).split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _is_new(self) -> bool:
        """Whether the database is empty.

        Raises:
            StoreError: when it has other tables than ours.
        """
        version = self._value("PRAGMA user_version")
        tables = {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables and version == 0:
            return True
        if version != VERSION or not {"pieces", "votes"} <= tables:
            raise StoreError(f"{self.path}: is no database of listening, version {VERSION}; give another --db")
        return False

    def close(self) -> None:
        """Close the connection; the write-ahead log is merged into the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A block whose writes are kept together, or not at all when it raises."""
        with self._lock:
            if self._connection.in_transaction:  # inside another block, which commits
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a query gives."""
        with self._lock:
            return self._connection.execute(query, tuple(values)).fetchall()

    def _value(self, query: str, *values: Any) -> Any:
        """The first value of the first row that a query gives; None without a row."""
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    # Pieces and listeners

    def add_pieces(self, pieces: Iterable[PieceRow]) -> list[int]:
        """The ids of pieces, in order.

        A piece of a known digest keeps its id and gets the new values; not those of an attention check, so that votes
        on it stay votes on its source.
        """
        ids = []
        with self.transaction():
            taken = {each for (each,) in self.rows("SELECT id FROM pieces")}
            for piece in pieces:
                number = self._value("SELECT id FROM pieces WHERE digest = ?", piece.digest)
                if number is None:
                    while (number := randbelow(MAX_ID)) in taken:
                        pass
                    taken.add(number)
                self._connection.execute(
                    "INSERT INTO pieces (id, digest, source, file, by_person, genre, seconds) VALUES (?,?,?,?,?,?,?) "
                    "ON CONFLICT (digest) DO UPDATE SET source = excluded.source, file = excluded.file, "
                    "by_person = excluded.by_person, genre = excluded.genre, seconds = excluded.seconds "
                    f"WHERE excluded.source != '{ATTENTION_SOURCE}'",
                    (
                        number,
                        piece.digest,
                        piece.source,
                        piece.file,
                        int(piece.by_person),
                        piece.genre,
                        float(piece.seconds),
                    ),
                )
                ids.append(number)
        return ids

    def add_listener(self, listener: str) -> None:
        """Keep the consent of a listener; once more changes nothing."""
        with self.transaction():
            day = date.today().isoformat()
            self._connection.execute("INSERT OR IGNORE INTO listeners (id, day) VALUES (?, ?)", (listener, day))

    def has_listener(self, listener: str) -> bool:
        """Whether the listener has agreed."""
        with self._lock:
            return self._value("SELECT 1 FROM listeners WHERE id = ?", listener) is not None

    def withdraw(self, listener: str) -> None:
        """Delete a listener and all that is of it, also in the write-ahead log."""
        with self.transaction():
            self._connection.execute(
                "DELETE FROM votes WHERE pair IN (SELECT id FROM pairs WHERE listener = ?)", (listener,)
            )
            for table in ("pairs", "plays", "likes"):
                self._connection.execute(f"DELETE FROM {table} WHERE listener = ?", (listener,))
            self._connection.execute("DELETE FROM listeners WHERE id = ?", (listener,))
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    # Pairs and votes

    def ask(self, listener: str, question: str, first: int, second: int, attention: str | None = None) -> Pair:
        """A new pair that the listener is asked."""
        pair = Pair(token_hex(16), question, first, second, attention)
        with self.transaction():
            self._connection.execute(
                "INSERT INTO pairs (id, listener, question, first, second, attention) VALUES (?, ?, ?, ?, ?, ?)",
                (pair.id, listener, question, first, second, attention),
            )
        return pair

    def open_pairs(self, listener: str) -> list[Pair]:
        """What the listener was asked and has not answered."""
        query = (
            "SELECT pairs.id, question, first, second, attention FROM pairs LEFT JOIN votes ON pair = pairs.id "
            "WHERE listener = ? AND choice IS NULL"
        )
        return [Pair(*row) for row in self.rows(query, (listener,))]

    def drop(self, pair: Pair) -> None:
        """Forget a pair that nobody has answered."""
        with self.transaction():
            self._connection.execute(
                "DELETE FROM pairs WHERE id = ? AND id NOT IN (SELECT pair FROM votes)", (pair.id,)
            )

    def asked(self, listener: str) -> list[Pair]:
        """All that the listener was asked, the oldest first."""
        query = "SELECT id, question, first, second, attention FROM pairs WHERE listener = ? ORDER BY rowid"
        return [Pair(*row) for row in self.rows(query, (listener,))]

    def vote(self, listener: str, pair: str, choice: str, seconds: float) -> Pair | None:
        """Keep an answer.

        Args:
            listener: whose answer it is.
            pair: id of what was asked.
            choice: "first", "second", or of the question "better" also "tie".
            seconds: from question to answer.

        Returns:
            the pair; None where this very answer is kept already.

        Raises:
            RefusedError: for a pair that this listener was not asked, one that is answered differently, and a tie where
                there is none.
        """
        with self.transaction():
            query = "SELECT id, question, first, second, attention FROM pairs WHERE id = ? AND listener = ?"
            rows = self.rows(query, (pair, listener))
            if not rows:
                raise RefusedError("you were not asked this pair")
            found = Pair(*rows[0])
            if found.question != "better" and choice == "tie":
                raise RefusedError("choice must be first or second, got tie")
            before = self._value("SELECT choice FROM votes WHERE pair = ?", pair)
            if before is not None:
                if before != choice:
                    raise RefusedError(f"this pair is answered already, with {before}")
                return None
            self._connection.execute(
                "INSERT INTO votes (pair, choice, seconds) VALUES (?, ?, ?)", (pair, choice, float(seconds))
            )
            return found

    def votes(self, listener: str) -> int:
        """How many pairs the listener has answered."""
        with self._lock:
            return self._value("SELECT COUNT(*) FROM votes JOIN pairs ON pairs.id = pair WHERE listener = ?", listener)

    # Radio

    def play(self, listener: str, piece: int, play: str) -> bool:
        """Count a play of a piece; `play`, its id, was chosen by the client. False where it is counted already."""
        with self.transaction():
            query = "INSERT OR IGNORE INTO plays (id, listener, piece) VALUES (?, ?, ?)"
            return self._connection.execute(query, (play, listener, piece)).rowcount == 1

    def plays(self, listener: str | None = None) -> dict[int, int]:
        """Plays by piece, of a listener or of all; pieces without a play are missing."""
        if listener is None:
            return dict(self.rows("SELECT piece, COUNT(*) FROM plays GROUP BY piece"))
        return dict(self.rows("SELECT piece, COUNT(*) FROM plays WHERE listener = ? GROUP BY piece", (listener,)))

    def like(self, listener: str, piece: int, liked: bool) -> None:
        """Like a piece or take that back; once more changes nothing.

        Raises:
            RefusedError: for a like without a play.
        """
        with self.transaction():
            if not liked:
                self._connection.execute("DELETE FROM likes WHERE listener = ? AND piece = ?", (listener, piece))
                return
            if self._value("SELECT 1 FROM plays WHERE listener = ? AND piece = ?", listener, piece) is None:
                raise RefusedError("a piece can be liked once it was heard for 10 s or half of it")
            self._connection.execute("INSERT OR IGNORE INTO likes (listener, piece) VALUES (?, ?)", (listener, piece))

    def likes(self, listener: str) -> list[int]:
        """The pieces that the listener likes."""
        rows = self.rows("SELECT piece FROM likes WHERE listener = ? ORDER BY piece", (listener,))
        return [piece for (piece,) in rows]


def _without_comments(script: str) -> str:
    """An SQL script without comments, which may hold semicolons."""
    return "\n".join(line.partition("--")[0] for line in script.splitlines())
