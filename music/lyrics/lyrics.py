"""Lyrics: a text as the syllables that are sung."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.files import read_bytes
from toccata.music.lyrics.errors import LyricsError
from toccata.music.lyrics.parsing import MAX_SYLLABLES, MELISMA, Syllable, syllables_of
from toccata.music.lyrics.words import ENGLISH, check_language

MAX_BYTES = 2**20  # of a file: many times what the most syllables need

__all__ = ["Lyrics", "Syllable"]


@dataclass(frozen=True)
class Lyrics:
    """A text as syllables, in lines that are phrases. Immutable; `str` gives the words back, `len` counts syllables.

    Args:
        syllables: of the text; the last one of each word and of each line says so.
        language: of the words, a code such as "en" or "de_AT".

    Raises:
        LyricsError: when there is no syllable, or are too many, or words and lines do not end.
    """

    syllables: tuple[Syllable, ...]
    language: str = ENGLISH

    def __post_init__(self) -> None:
        object.__setattr__(self, "syllables", tuple(self.syllables))
        check_language(self.language)
        if not self.syllables:
            raise LyricsError("lyrics must have at least one syllable, got none")
        if len(self.syllables) > MAX_SYLLABLES:
            raise LyricsError(f"lyrics have at most {MAX_SYLLABLES:,} syllables, got {len(self.syllables):,}")
        begins = True
        for syllable in self.syllables:
            if syllable.word_begin != begins or syllable.line_end > syllable.word_end:
                raise LyricsError(f"words must begin where the one before ends, and end with their line: {syllable}")
            begins = syllable.word_end
        if not self.syllables[-1].line_end:
            raise LyricsError(f"the last syllable must end its word and line, got {self.syllables[-1]}")

    @classmethod
    def parse(cls, text: str, language: str = ENGLISH, source: str = "lyrics") -> Lyrics:
        """The lyrics of a text, one line a phrase; what is made of every kind of input is in `docs/lyrics.md`.

        Args:
            text: words, with `_` after a syllable for each further note that it is sung on.
            language: of the hyphenation and, in English, of the dictionary.
            source: named in errors.

        Raises:
            LyricsError: naming source, line and value, for an unknown language, and for a text without a word.
        """
        if not isinstance(text, str):
            raise LyricsError(f"{source}: lyrics must be text, got {type(text).__name__}")
        check_language(language)
        found = []
        for syllable in syllables_of(text, language, source):
            found.append(syllable)
            if len(found) > MAX_SYLLABLES:
                raise LyricsError(f"{source}: has more than {MAX_SYLLABLES:,} syllables, the most that are sung")
        if not found:
            raise LyricsError(f"{source}: has no word to sing")
        return cls(tuple(found), language)

    @classmethod
    def load(cls, path: str | PathLike[str], language: str = ENGLISH) -> Lyrics:
        """The lyrics in a text file, UTF-8 with or without a byte order mark.

        Raises:
            FileError: naming the file, when it cannot be read or is larger than 1 MiB.
            LyricsError: as `parse`, naming the file, and for what is not UTF-8.
        """
        data = read_bytes(path, MAX_BYTES)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise LyricsError(f"{Path(path)}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8") from None
        return cls.parse(text, language, str(Path(path)))

    def __len__(self) -> int:
        """Number of syllables."""
        return len(self.syllables)

    def __str__(self) -> str:
        """The words, a line for each phrase, with the marks of melismas; `parse` gives equal lyrics back."""
        return "\n".join(
            "".join(
                each.text + MELISMA * (each.notes - 1) + (" " if each.word_end and not each.line_end else "")
                for each in line
            )
            for line in self.lines
        )

    @cached_property
    def lines(self) -> tuple[tuple[Syllable, ...], ...]:
        """The syllables of each line."""
        ends = [i + 1 for i, syllable in enumerate(self.syllables) if syllable.line_end]
        return tuple(self.syllables[start:end] for start, end in zip([0, *ends], ends, strict=False))

    @cached_property
    def note_syllables(self) -> np.ndarray:
        """(notes,) int64, the index of the syllable of each sung note; melismas repeat it. Read-only."""
        indices = np.repeat(np.arange(len(self.syllables)), [syllable.notes for syllable in self.syllables])
        indices.setflags(write=False)
        return indices


def text_files(folder: Path) -> list[Path]:
    """The files *.txt in a folder, by their names, without hidden ones."""
    return sorted(path for path in folder.glob("*.txt") if not (path.is_dir() or path.name.startswith(".")))


def load_texts(path: str | PathLike[str], language: str = ENGLISH) -> tuple[Lyrics, ...]:
    """The lyrics in a text file, or those of every file *.txt in a folder, by their names; hidden ones are left out.

    Raises:
        FileError, LyricsError: as `Lyrics.load`; and for a folder without such a file.
    """
    path = Path(path)
    if not path.is_dir():
        return (Lyrics.load(path, language),)
    files = text_files(path)
    if not files:
        raise LyricsError(f"{path}: has no file *.txt")
    return tuple(Lyrics.load(file, language) for file in files)
