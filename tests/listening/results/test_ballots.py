"""What is read of a database."""

import sqlite3

import pytest

from toccata.listening.results.ballots import read_survey
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
    survey = read_survey(path, 0.25)
    assert [piece.source for piece in survey.pieces] == ["agent", "agent", "bach"]
    assert survey.better.first.tolist() == [0, 2] and survey.better.second.tolist() == [2, 1]
    assert survey.better.share.tolist() == [0.0, 0.5]
    assert survey.better.listener.tolist() == [0, 1]
    assert len(survey.person) == 1
    assert survey.plays.tolist() == [3, 0, 1] and survey.likes.tolist() == [1, 0, 1]
    assert (survey.listeners, survey.left_out, survey.checks, survey.failed) == (2, 0, 0, 0)
    assert survey.source_of_pieces().tolist() == [0, 0, 1]


def test_who_fails_too_many_checks_is_left_out_wholly(database):
    right, wrong = ("better", 102, 103, "first", "first"), ("better", 103, 102, "second", "first")
    votes = [("good", *right)] * 3 + [("good", *wrong), ("bad", *right), ("bad", *wrong)]
    votes += [(name, "better", 100, 102, None, "first") for name in ("good", "bad", "unchecked")]
    path = database(PIECES, votes, plays=[("good", 100), ("bad", 100)], likes=[("bad", 100)])
    survey = read_survey(path, 0.25)
    assert (survey.listeners, survey.left_out, survey.checks, survey.failed) == (2, 1, 6, 2)
    assert len(survey.better) == 2
    assert survey.plays.tolist() == [1, 0, 0] and survey.likes.tolist() == [0, 0, 0]
    assert read_survey(path, 0.5).left_out == 0
    assert read_survey(path, 0.0).left_out == 2


def test_a_database_without_votes_is_one(database):
    survey = read_survey(database([]), 0.25)
    assert survey.pieces == () and len(survey.better) == 0 and survey.plays.tolist() == []


def test_likes_are_never_more_than_plays(database):
    survey = read_survey(database(PIECES, likes=[("a", 100)]), 0.25)
    assert survey.likes.tolist() == [0, 0, 0]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0 but broken"])
def test_what_is_no_database_of_listening_is_refused(tmp_path, content):
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    with pytest.raises(ListenResultsError, match=r"x\.sqlite: ") as caught:
        read_survey(path, 0.25)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_other_tables_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE votes (x)")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with pytest.raises(ListenResultsError, match="cannot be read as a database of toccata listen: no such table"):
        read_survey(path, 0.25)
    with pytest.raises(ListenResultsError, match=r"gone\.sqlite: no such file"):
        read_survey(tmp_path / "gone.sqlite", 0.25)


def test_a_database_in_use_can_be_read(database):
    path = database(PIECES, [("a", "better", 100, 102, None, "second")])
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO listeners VALUES ('c', '2026-01-01')")
    assert read_survey(path, 0.25).listeners == 1
    writer.execute("COMMIT")
    writer.close()
