"""Names of genres: what is one, which are known, and errors that name the nearest."""

from __future__ import annotations

import pytest

from toccata.envs.core import GENRES as ENVIRONMENT_GENRES
from toccata.settings.genres import (
    GENRES,
    MAX_GENRES,
    MAX_NAME,
    check_genres,
    checked_additions,
    genre_index,
    with_added,
)
from toccata.settings.options import ConfigError

ADDED = ("ragtime", "bossa nova", "R&B", "música")


def test_the_six_keep_their_index() -> None:
    assert ENVIRONMENT_GENRES is GENRES
    assert with_added(ADDED) == (*GENRES, *ADDED)
    assert with_added(("rock", "ragtime"), (*GENRES, "tango")) == (*GENRES, "tango", "ragtime")
    assert [genre_index(name, with_added(ADDED)) for name in (*GENRES, *ADDED)] == list(range(10))


def test_known_ones_are_no_additions() -> None:
    assert checked_additions(("folk", *ADDED, "jazz")) == ADDED
    assert checked_additions(()) == ()
    with pytest.raises(ConfigError, match="genres: there must be 1 to 100 genres, got 106"):
        checked_additions(tuple(f"g{i}" for i in range(MAX_GENRES)))


@pytest.mark.parametrize(
    "name", ["", " rag", "rag.", "a/b", "a\\b", "..", "-rag", "a|b", "a\nb", "a\u202eb", "x" * (MAX_NAME + 1), "all", 3]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a genre must have 1 to 40 letters"):
        check_genres((*GENRES, name))
    with pytest.raises(ConfigError, match="genres: the name of a genre must have"):
        checked_additions((name,))


def test_a_genre_is_named_once() -> None:
    with pytest.raises(ConfigError, match="genres: a genre must be named once, got 'tango' twice"):
        checked_additions(("tango", "tango"))
    with pytest.raises(ValueError, match="there must be 1 to 100 genres, got 0"):
        check_genres(())


def test_an_unknown_one_names_the_known_and_the_nearest() -> None:
    with pytest.raises(
        ValueError, match="unknown genre 'Ragtme': it must be one of folk, ragtime; did you mean 'ragtime'"
    ):
        genre_index("Ragtme", ("folk", "ragtime"))


def test_a_file_with_a_hundred_thousand_genres_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="there must be 1 to 100 genres, got 100000"):
        check_genres(f"genre {number}" for number in range(100_000))
