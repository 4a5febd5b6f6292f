"""Names of genres: the six that everything knows, and those that a user adds."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from toccata.settings.options import ConfigError, shown

GENRES = ("classical", "folk", "jazz", "popular", "rock", "electronic")  # they keep their index in every model
MAX_GENRES = 100  # in all; far more than a prior could tell apart
MAX_NAME = 40  # characters: a column of a table, and the name of a folder
PUNCTUATION = " -_&'+"  # in names, beside letters and digits: they are names of folders, cells of tables, arguments
ALL_GENRES = "all"  # in reports the row of all together, so the name of none


def check_genres(names: Iterable[str]) -> tuple[str, ...]:
    """The names of all genres of an environment or a network.

    Raises:
        ValueError: for a name that is none, for one given twice, and for none or more than `MAX_GENRES`.
    """
    genres = tuple(names)
    if not 1 <= len(genres) <= MAX_GENRES:
        raise ValueError(f"there must be 1 to {MAX_GENRES} genres, got {len(genres)}")
    for name in genres:
        if not isinstance(name, str) or not _is_name(name):
            raise ValueError(
                f"the name of a genre must have 1 to {MAX_NAME} letters, digits, spaces and {PUNCTUATION[1:]}, "
                f"begin and end with a letter or digit, and not be {ALL_GENRES!r}, got {shown(name)}"
            )
        if genres.count(name) > 1:
            raise ValueError(f"a genre must be named once, got {name!r} twice")
    return genres


def _is_name(name: str) -> bool:
    edges = name[:1].isalnum() and name[-1:].isalnum()
    inside = all(char.isalnum() or char in PUNCTUATION for char in name)
    return edges and inside and len(name) <= MAX_NAME and name != ALL_GENRES


def with_added(added: Iterable[str], known: Iterable[str] = GENRES) -> tuple[str, ...]:
    """The known genres, which keep their index, and then those of `added` that are not among them."""
    return tuple(dict.fromkeys((*known, *added)))


def checked_additions(added: tuple[str, ...]) -> tuple[str, ...]:
    """The setting `genres`: those of `added` that are not among `GENRES`.

    Raises:
        ConfigError: as `check_genres`.
    """
    try:
        check_genres(added or GENRES)
        return check_genres(with_added(added))[len(GENRES) :]
    except ValueError as error:
        raise ConfigError(f"genres: {error}") from error


def genre_index(genre: str, genres: Iterable[str]) -> int:
    """Index of a genre among `genres`.

    Raises:
        ValueError: for an unknown one, naming the known ones and the nearest.
    """
    known = tuple(genres)
    if genre in known:
        return known.index(genre)
    nearest = get_close_matches(str(genre).lower(), known, 1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(f"unknown genre {shown(genre)}: it must be one of {', '.join(known)}{hint}")
