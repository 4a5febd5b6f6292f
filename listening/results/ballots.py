"""The votes, plays and likes of a database, as arrays, without the listeners who fail attention checks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from toccata.errors import one_line
from toccata.listening.results.config import ListenResultsError
from toccata.listening.schema import ATTENTION_SOURCE, VERSION

SHARE = {"first": 1.0, "second": 0.0, "tie": 0.5}  # of a vote, of the piece that was heard first


@dataclass(frozen=True)
class HeardPiece:
    """A piece that listeners were given."""

    source: str
    file: Path
    by_person: bool | None
    genre: str | None
    seconds: float  # of its sound, from the beginning


@dataclass(frozen=True, eq=False)
class Ballots:
    """Votes on pairs: m answers to one question.

    Args:
        first: (m,) index of the piece heard first.
        second: (m,) index of the other.
        share: (m,) 1 where the first was chosen, 0 where the second was, 0.5 for no difference.
        listener: (m,) number of the listener, 0 and up.
    """

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray
    listener: np.ndarray

    def __len__(self) -> int:
        """Number of votes."""
        return len(self.share)

    def __getitem__(self, index: np.ndarray) -> Ballots:
        """Some of the votes, by index or mask."""
        return Ballots(self.first[index], self.second[index], self.share[index], self.listener[index])


@dataclass(frozen=True, eq=False)
class Survey:
    """What a database says.

    Args:
        pieces: n of them; those of attention checks alone are not among them.
        better: votes on which of two pieces is better.
        person: votes on which of two a person wrote.
        plays: (n,) of the radio.
        likes: (n,) listeners who like the piece, at most its plays.
        listeners: number of those who are counted.
        left_out: number of those who are not, as they failed too many attention checks.
        checks: attention checks answered by all of them.
        failed: those answered wrongly.
    """

    pieces: tuple[HeardPiece, ...]
    better: Ballots
    person: Ballots
    plays: np.ndarray
    likes: np.ndarray
    listeners: int
    left_out: int
    checks: int
    failed: int

    @property
    def sources(self) -> list[str]:
        """Names of the sources, in alphabetical order."""
        return sorted({piece.source for piece in self.pieces})

    def source_of_pieces(self) -> np.ndarray:
        """(n,) index in `sources` of the source of each piece."""
        index = {name: number for number, name in enumerate(self.sources)}
        return np.array([index[piece.source] for piece in self.pieces], np.int64)


def read_survey(path: Path, max_failed: float) -> Survey:
    """Read a database, without changing it.

    Args:
        path: the file.
        max_failed: share of attention checks that a listener may fail.

    Raises:
        ListenResultsError: when it is missing, no database of `toccata listen`, or damaged.
    """
    if not path.is_file():
        raise ListenResultsError(f"{path}: no such file; `toccata listen --db` writes it")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
        try:
            connection.execute("BEGIN")  # one state of it, while listeners go on voting
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                raise ListenResultsError(f"{path}: is no database of toccata listen, version {VERSION}")
            return _survey(connection.execute, max_failed)
        finally:
            connection.close()
    except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ListenResultsError):
            raise
        raise ListenResultsError(
            f"{path}: cannot be read as a database of toccata listen: {one_line(error)}"
        ) from error


def _survey(query: Callable[..., sqlite3.Cursor], max_failed: float) -> Survey:
    """What the tables hold."""
    checks = query(
        "SELECT listener, attention = choice FROM pairs JOIN votes ON pair = pairs.id WHERE attention IS NOT NULL"
    ).fetchall()
    everyone = [row[0] for row in query("SELECT id FROM listeners ORDER BY id")]
    counts = {listener: [0, 0] for listener in everyone}  # answered, failed
    for listener, right in checks:
        counts[listener][0] += 1
        counts[listener][1] += not right
    trusted = [each for each in everyone if counts[each][1] <= max_failed * counts[each][0]]
    number = {listener: index for index, listener in enumerate(trusted)}

    rows = query(
        "SELECT id, source, file, by_person, genre, seconds FROM pieces WHERE source != ? ORDER BY source, file, id",
        (ATTENTION_SOURCE,),
    ).fetchall()
    piece = {row[0]: index for index, row in enumerate(rows)}
    pieces = tuple(
        HeardPiece(source, Path(file), None if person is None else bool(person), genre, float(seconds))
        for _, source, file, person, genre, seconds in rows
    )

    def ballots(question: str) -> Ballots:
        votes = query(
            "SELECT first, second, choice, listener FROM pairs JOIN votes ON pair = pairs.id "
            "WHERE question = ? AND attention IS NULL ORDER BY pairs.rowid",
            (question,),
        ).fetchall()
        kept = [(piece[a], piece[b], SHARE[choice], number[who]) for a, b, choice, who in votes if who in number]
        first, second, share, listener = zip(*kept, strict=True) if kept else ((), (), (), ())
        return Ballots(
            np.array(first, np.int64),
            np.array(second, np.int64),
            np.array(share, float),
            np.array(listener, np.int64),
        )

    def tally(table: str) -> np.ndarray:
        given = query(f"SELECT piece, listener FROM {table}").fetchall()  # the table's name is one of two below
        of_pieces = [piece[each] for each, listener in given if listener in number and each in piece]
        return np.bincount(np.array(of_pieces, np.int64), minlength=len(pieces))

    voters = {who for (who,) in query("SELECT DISTINCT listener FROM pairs JOIN votes ON pair = pairs.id")}
    voters |= {who for (who,) in query("SELECT DISTINCT listener FROM plays")}
    plays = tally("plays")
    return Survey(
        pieces,
        ballots("better"),
        ballots("person"),
        plays,
        np.minimum(tally("likes"), plays),
        listeners=len(voters & set(trusted)),
        left_out=len(everyone) - len(trusted),
        checks=len(checks),
        failed=sum(not right for _, right in checks),
    )
