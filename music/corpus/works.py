"""The works of a corpus, and its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from toccata.errors import ToccataError, shortened
from toccata.music.score import Score

SPLITS = {"train": range(8), "valid": range(8, 9), "test": range(9, 10)}  # tenths of the groups of works
LONGEST_MESSAGE = 1_200  # characters of an error; names of files may have thousands
LONGEST_NAME = 200  # characters of an unknown name that are shown


class CorpusError(ToccataError, ValueError):
    """A corpus that cannot be loaded, or that has no such genre or split; one line."""

    def __str__(self) -> str:
        """The message in one line, whatever the names of files in it are."""
        return shortened(super().__str__(), LONGEST_MESSAGE)


class GenreError(CorpusError):
    """A folder whose works have no genres, neither by folders nor in metadata.csv: one must be given."""


class CorpusWarning(UserWarning):
    """Files of a corpus that were left out."""


@dataclass(frozen=True)
class Work:
    """One piece of a corpus."""

    id: str  # unique in the corpus, the same on every machine: "bach/bwv66.6", "mine/jazz/solace.mid"
    genre: str
    score: Score
    title: str = ""
    licence: str = ""  # from the metadata.csv of the folder
    group: str = ""  # equal for versions of one work; see `Corpus.split`
    given_split: str = ""  # train, valid or test, from the metadata.csv of the folder; "": by a hash of the group


@dataclass(frozen=True)
class Corpus:
    """Works, and the files that could not be read."""

    name: str
    works: tuple[Work, ...]
    failures: tuple[str, ...] = ()  # one line per file: its path and the reason

    def __len__(self) -> int:
        """Number of works."""
        return len(self.works)

    def __iter__(self) -> Iterator[Work]:
        """The works, ordered by id within each source."""
        return iter(self.works)

    @property
    def scores(self) -> tuple[Score, ...]:
        """The works' scores."""
        return tuple(work.score for work in self.works)

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres of the works, in alphabetical order."""
        return tuple(sorted({work.genre for work in self.works}))

    def genre(self, name: str) -> Corpus:
        """The works of one genre.

        Raises:
            CorpusError: for an unknown genre, naming the known ones.
        """
        if name not in self.genres:
            raise CorpusError(unknown_name_message("genre", name, self.genres, f" in corpus {self.name}"))
        works = tuple(work for work in self.works if work.genre == name)
        return replace(self, name=f"{self.name}:{name}", works=works)

    def split(self, name: str) -> Corpus:
        """The works of the split "train", "valid" or "test": about 80, 10 and 10 %.

        The split of a work is the one that the metadata.csv of its folder gives; without one it depends only on a hash
        of its group, so it is the same on every machine and for every order of files. Versions of one work are in one
        split: those with one BWV number or title, and those whose melodies have the same beginning in any key; where
        their given splits differ, test goes before valid, and valid before train. A split of a small corpus may be
        empty.

        Raises:
            CorpusError: for an unknown split, naming the known ones.
        """
        if name not in SPLITS:
            raise CorpusError(unknown_name_message("split", name, SPLITS))
        given = {
            work.group: split for split in SPLITS for work in self.works if work.given_split == split
        }  # the last stays
        works = tuple(
            work
            for work in self.works
            if (given[work.group] == name if work.group in given else _tenth(work.group) in SPLITS[name])
        )
        return replace(self, name=f"{self.name}:{name}", works=works)


def _tenth(group: str) -> int:
    """0 to 9, from a hash of the group."""
    return int(hashlib.sha256(name_bytes(f"group {group}")).hexdigest()[:8], 16) % 10


def name_bytes(name: str) -> bytes:
    """The bytes of a name on disk: UTF-8, or what else a system of old has written."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a character, which no file name gives
        return name.encode("utf-8", "surrogatepass")


def unknown_name_message(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """The error message for an unknown name, with the known ones and the nearest of them."""
    known = sorted(known)
    name = shortened(name, LONGEST_NAME)
    nearest = get_close_matches(name, known, 1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"unknown {kind} '{name}'{where}; known are {', '.join(known)}{hint}"
