"""What is read of a database."""

import sqlite3

import pytest

from toccata.listening.results.ballots import read_room
from toccata.listening.results.config import ListenResultsError
from toccata.listening.schema import ATTENTION_SOURCE

PIECES = [("agent", False), ("agent", False), ("bach", True), (ATTENTION_SOURCE, False)]


def test_votes_plays_and_likes_are_counted(database):
    path = database(
        PIECES,
        [
            ("a", "better", 100, 102, None, "second"),
            ("b", "better", 102, 101, None, "tie"),
            ("b", "person", 100, 102, None, "second"),
            ("b", "better", 100, 101, None, None),
        ],
        plays=[("a", 100), ("a", 100), ("b", 100), ("b", 102)],
        likes=[("a", 100), ("b", 102)],
    )
    room = read_room(path, 0.25)
    assert [piece.source for piece in room.pieces] == ["agent", "agent", "bach"]
    assert room.better.first.tolist() == [0, 2] and room.better.second.tolist() == [2, 1]
    assert room.better.share.tolist() == [0.0, 0.5]
    assert room.better.listener.tolist() == [0, 1]
    assert len(room.person) == 1
    assert room.plays.tolist() == [3, 0, 1] and room.likes.tolist() == [1, 0, 1]
    assert (room.listeners, room.left_out, room.checks, room.failed) == (2, 0, 0, 0)
    assert room.source_of_pieces().tolist() == [0, 0, 1]


def test_who_fails_too_many_checks_is_left_out_wholly(database):
    right, wrong = ("better", 102, 103, "first", "first"), ("better", 103, 102, "second", "first")
    votes = [("good", *right)] * 3 + [("good", *wrong), ("bad", *right), ("bad", *wrong)]
    votes += [(name, "better", 100, 102, None, "first") for name in ("good", "bad", "unchecked")]
    path = database(PIECES, votes, plays=[("good", 100), ("bad", 100)], likes=[("bad", 100)])
    room = read_room(path, 0.25)
    assert (room.listeners, room.left_out, room.checks, room.failed) == (2, 1, 6, 2)
    assert len(room.better) == 2
    assert room.plays.tolist() == [1, 0, 0] and room.likes.tolist() == [0, 0, 0]
    assert read_room(path, 0.5).left_out == 0
    assert read_room(path, 0.0).left_out == 2


def test_a_database_without_votes_is_one(database):
    room = read_room(database([]), 0.25)
    assert room.pieces == () and len(room.better) == 0 and room.plays.tolist() == []


def test_likes_are_never_more_than_plays(database):
    room = read_room(database(PIECES, likes=[("a", 100)]), 0.25)
    assert room.likes.tolist() == [0, 0, 0]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0 but broken"])
def test_what_is_no_database_of_listening_is_refused(tmp_path, content):
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    with pytest.raises(ListenResultsError, match=r"x\.sqlite: ") as caught:
        read_room(path, 0.25)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_other_tables_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE votes (x)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(ListenResultsError, match="cannot be read as a database of toccata listen: no such table"):
        read_room(path, 0.25)
    with pytest.raises(ListenResultsError, match=r"gone\.sqlite: no such file"):
        read_room(tmp_path / "gone.sqlite", 0.25)


def test_a_database_in_use_can_be_read(database):
    path = database(PIECES, [("a", "better", 100, 102, None, "second")])
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO listeners VALUES ('c', '2026-01-01')")
    assert read_room(path, 0.25).listeners == 1
    writer.execute("COMMIT")
    writer.close()
