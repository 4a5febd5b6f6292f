import sqlite3
from pathlib import Path

import pytest

from helpers.listening import piece_row
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.listening.store import RefusedError, Store, StoreError

ME, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def pieces(store: Store) -> list[int]:
    ids = store.add_pieces(piece_row(number) for number in range(4))
    store.add_listener(ME)
    store.add_listener(OTHER)
    return ids


def test_a_vote_is_kept_once(store: Store, pieces: list[int]) -> None:
    pair = store.ask(ME, "better", pieces[0], pieces[1])
    assert store.open_pairs(ME) == [pair]
    assert store.vote(ME, pair.id, "first", 3.5) == pair
    assert store.vote(ME, pair.id, "first", 9.0) is None, "the same answer once more"
    with pytest.raises(RefusedError, match="answered already, with first"):
        store.vote(ME, pair.id, "second", 1.0)
    assert store.rows("SELECT * FROM votes") == [(pair.id, "first", 3.5)]
    assert (store.votes(ME), store.votes(OTHER), store.open_pairs(ME)) == (1, 0, [])


def test_votes_that_contradict_the_question(store: Store, pieces: list[int]) -> None:
    pair = store.ask(ME, "person", pieces[0], pieces[1])
    with pytest.raises(RefusedError, match="were not asked"):
        store.vote(OTHER, pair.id, "first", 1.0)
    with pytest.raises(RefusedError, match="were not asked"):
        store.vote(ME, "0" * 32, "first", 1.0)
    with pytest.raises(RefusedError, match="first or second, got tie"):
        store.vote(ME, pair.id, "tie", 1.0)
    assert store.rows("SELECT * FROM votes") == []


def test_plays_and_likes(store: Store, pieces: list[int]) -> None:
    with pytest.raises(RefusedError, match="once it was heard"):
        store.like(ME, pieces[0], True)
    assert store.play(ME, pieces[0], "one")
    assert not store.play(ME, pieces[0], "one"), "a repeated request is one play"
    assert store.play(ME, pieces[0], "two")
    store.like(ME, pieces[0], True)
    store.like(ME, pieces[0], True)
    assert (store.plays(ME), store.plays(OTHER), store.plays()) == ({pieces[0]: 2}, {}, {pieces[0]: 2})
    assert store.likes(ME) == [pieces[0]]
    store.like(ME, pieces[0], False)
    assert store.likes(ME) == []


def test_ids_of_pieces_are_random_and_stay(store: Store) -> None:
    rows = [piece_row(number) for number in range(50)]
    ids = store.add_pieces(rows)
    assert len(set(ids)) == 50
    assert ids != sorted(ids)
    renamed = [piece_row(number, source="new", by_person=True) for number in range(50)]
    assert store.add_pieces(renamed) == ids, "a piece is known by its digest"
    assert store.rows("SELECT DISTINCT source, by_person FROM pieces") == [("new", 1)]
    store.add_pieces([piece_row(0, source=ATTENTION_SOURCE)])
    assert store.rows("SELECT DISTINCT source FROM pieces") == [("new",)], "a check takes no piece from its source"


def test_who_withdraws_leaves_nothing(store: Store, pieces: list[int]) -> None:
    for listener in (ME, OTHER):
        pair = store.ask(listener, "better", pieces[0], pieces[1])
        store.vote(listener, pair.id, "tie", 1.0)
        store.ask(listener, "person", pieces[0], pieces[1])
        store.play(listener, pieces[0], f"play of {listener}")
        store.like(listener, pieces[0], True)
    store.withdraw(ME)
    counts = {
        table: store.rows(f"SELECT COUNT(*) FROM {table}")[0][0] for table in ("pairs", "votes", "plays", "likes")
    }
    assert counts == {"pairs": 2, "votes": 1, "plays": 1, "likes": 1}
    assert not store.has_listener(ME)
    assert store.has_listener(OTHER)
    assert ME.encode() not in b"".join(path.read_bytes() for path in store.path.parent.glob("listening.sqlite*"))


def test_a_block_is_kept_whole_or_not_at_all(store: Store, pieces: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.ask(ME, "better", pieces[0], pieces[1])
        store.play(ME, pieces[0], "one")
        raise ZeroDivisionError
    assert store.open_pairs(ME) == []
    assert store.plays() == {}


def test_a_transaction_is_on_disk_when_it_ends(tmp_path: Path) -> None:
    store = Store(tmp_path / "my.sqlite")
    settings = [store.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert settings == ["wal", 2, 1], "2 is FULL"
    store.close()


def test_what_is_kept_is_there_when_opened_again(store: Store, pieces: list[int]) -> None:
    pair = store.ask(ME, "better", pieces[0], pieces[1])
    store.vote(ME, pair.id, "first", 1.0)
    other = Store(store.path)  # beside the open one, as a second process
    assert other.votes(ME) == 1
    other.close()


@pytest.mark.parametrize("content", [b"no database, but long enough to have a header of one" * 9, None])
def test_files_that_are_no_database_of_listening(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.sqlite"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE mine (x)")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"mine\.sqlite: (cannot be used as a database|is no database of listening)"):
        Store(path)
    assert path.read_bytes() == before


def test_a_database_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "mine.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 1; give another --db"):
        Store(path)
    with pytest.raises(StoreError, match="unable to open"):
        Store(tmp_path / "nowhere" / "mine.sqlite")
