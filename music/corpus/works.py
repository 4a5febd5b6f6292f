"""Works of a corpus, and its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from toccata.errors import ToccataError
from toccata.music.score import Score

PARTS = {"train": range(8), "valid": range(8, 9), "test": range(9, 10)}  # tenths of the groups of works


class CorpusError(ToccataError, ValueError):
    """A corpus that cannot be loaded or does not have what was asked of it, in one line."""


class CorpusWarning(UserWarning):
    """Files of a corpus that were left out."""


@dataclass(frozen=True)
class Work:
    """One piece of a corpus."""

    id: str  # unique in the corpus, the same on every machine: "bach/bwv66.6", "mine/jazz/solace.mid"
    genre: str
    score: Score
    title: str = ""
    licence: str = ""  # as the folder's metadata.csv says
    group: str = ""  # works that are versions of one another share it; see `Corpus.split`


@dataclass(frozen=True)
class Corpus:
    """Works, and what of the corpus could not be read."""

    name: str
    works: tuple[Work, ...]
    failures: tuple[str, ...] = ()  # one line a file: its path and the reason

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
        """The genres there are, in alphabetical order."""
        return tuple(sorted({work.genre for work in self.works}))

    def genre(self, name: str) -> Corpus:
        """The works of one genre.

        Raises:
            CorpusError: when there is none, naming those there are.
        """
        if name not in self.genres:
            raise CorpusError(unknown_name("genre", name, self.genres, f" in corpus {self.name}"))
        works = tuple(work for work in self.works if work.genre == name)
        return replace(self, name=f"{self.name}:{name}", works=works)

    def split(self, part: str) -> Corpus:
        """The works of "train", "valid" or "test": about 80, 10 and 10 % of them.

        The side depends on nothing but a hash of the work's group, so it is the same on every machine and in
        every order of files. Versions of one work stay together: those of one BWV number or title, and those
        whose melodies begin alike, transposed or not. A corpus of a few works may have none on one side.
        """
        if part not in PARTS:
            raise CorpusError(unknown_name("part", part, PARTS))
        works = tuple(work for work in self.works if _tenth(work.group) in PARTS[part])
        return replace(self, name=f"{self.name}:{part}", works=works)


def _tenth(group: str) -> int:
    """0 to 9, by the group's name alone."""
    return int(hashlib.sha256(f"group {group}".encode()).hexdigest()[:8], 16) % 10


def unknown_name(what: str, name: str, known: Iterable[str], where: str = "") -> str:
    """The words for a name that is not known, with the nearest that is."""
    known = sorted(known)
    nearest = get_close_matches(name, known, 1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"unknown {what} {name!r}{where}; known are {', '.join(known)}{hint}"
