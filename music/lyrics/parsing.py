"""Plain text as syllables, one line a phrase."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from toccata.errors import shortened
from toccata.music.lyrics.errors import LyricsError
from toccata.music.lyrics.words import APOSTROPHES, is_english, split_word

MELISMA = "_"
COMMENT = "#"  # a line that begins with it is not sung
MAX_SYLLABLES = 2000  # of a text: about forty minutes of song
MAX_LINE_NOTES = 64  # a line is a phrase, sung in one breath
MAX_NOTES = 16  # of one syllable
MAX_WORD = 64  # characters between hyphens: longer than the words of dictionaries, and split within a second
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")  # of the languages whose vowels are known
IN_WORDS = frozenset("&%@#")  # punctuation in Unicode, but said as words
LONGEST_SHOWN = 40  # characters of the text in a message

_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_QUOTE = f"[{APOSTROPHES}‘]"
# Of parts of a word: after the marks of a melisma, and after the hyphens of a compound such as "rock-'n'-roll".
_BOUNDARY = re.compile(rf"(?<={MELISMA})(?!{MELISMA})|(?:(?<=[^\W_]-)|(?<=[^\W_]{_QUOTE}-))(?={_QUOTE}?[^\W_])")
_DASH = re.compile(r"(—|–|--+)(?=\w)")


@dataclass(frozen=True)
class Syllable:
    """A syllable of a text.

    Raises:
        LyricsError: for a value outside its range, naming it.
    """

    text: str
    """As it is written, with the punctuation beside it; the hyphen of a compound belongs to the syllable before it."""
    stress: int | None
    """0 unstressed, 1 primary, 2 secondary stress; None: unknown."""
    word_begin: bool
    """Whether it is the first of its word."""
    word_end: bool
    """Whether it is the last of its word."""
    line_end: bool
    """Whether it is the last of its line, after which the singer breathes."""
    notes: int = 1
    """Notes that it is sung on, 1 to 16; more than one is a melisma."""

    def __post_init__(self) -> None:
        if not self.text or len(self.text.split()) != 1:
            raise LyricsError(f"a syllable must be text without spaces, got {self.text!r}")
        if self.stress not in (None, 0, 1, 2):
            raise LyricsError(f"the stress of {self.text!r} must be 0, 1, 2 or None, got {self.stress!r}")
        if not 1 <= self.notes <= MAX_NOTES:
            raise LyricsError(f"the notes of {self.text!r} must be in 1..{MAX_NOTES}, got {self.notes}")


def syllables_of(text: str, language: str, source: str) -> Iterator[Syllable]:
    """The syllables of a text whose lines are phrases.

    Args:
        text: of any line ends. Comments and lines without a word are left out.
        language: a code that `check_language` takes.
        source: of the text, for errors.

    Raises:
        LyricsError: naming source, line and value.
    """
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        visible = "".join(char for char in raw if unicodedata.category(char) != "Cf")  # such as soft hyphens
        if visible.lstrip().startswith(COMMENT):
            continue
        place = f"{source}, line {number}"
        line = unicodedata.normalize("NFC", visible)
        _check_characters(line, language, place)
        found = [each for word in _DASH.sub(r"\1 ", line).split() for each in _word(word, language, place)]
        notes = sum(syllable.notes for syllable in found)
        if notes > MAX_LINE_NOTES:
            raise LyricsError(
                f"{place}: has {notes} syllables and notes of melismas; a line is sung in one breath and has at most "
                f"{MAX_LINE_NOTES}: break it"
            )
        for i, syllable in enumerate(found, start=1):
            yield replace(syllable, line_end=i == len(found))


def _check_characters(line: str, language: str, place: str) -> None:
    """Raise LyricsError for the first character that is neither a letter that can be sung, nor punctuation."""
    scripts = SCRIPTS[:1] if is_english(language) else SCRIPTS
    previous_kind = ""
    for char in line:
        kind = unicodedata.category(char)
        problem = None
        if char in APOSTROPHES or char == "\t" or kind[0] == "Z":
            kind = "P"
        elif kind[0] == "L":
            name = unicodedata.name(char, "")
            if not name.startswith(scripts):
                kinds = " and ".join(script.capitalize() for script in scripts)
                problem = f"{name or 'a letter without a name'}; language {language!r} is read in {kinds} letters"
        elif kind[0] == "M":
            problem = None if previous_kind[:1] in ("L", "M") else "a combining mark without a letter before it"
        elif kind[0] == "N":
            problem = "a number: write it in words"
        elif kind[0] == "C":
            problem = "a control character" if kind == "Cc" else "no character of text"
        elif kind[0] == "S" or char in IN_WORDS:
            problem = "a symbol: write it in words, or leave it out"
        if problem:
            code = f"U+{ord(char):04X}"
            raise LyricsError(f"{place}: '{shortened(line, LONGEST_SHOWN)}' has {code}, {problem}")
        previous_kind = kind


def _word(word: str, language: str, place: str) -> list[Syllable]:
    """The syllables of a word with its punctuation, hyphens and melisma marks; none if it has no letter."""
    found: list[Syllable] = []
    before = ""  # punctuation before the first letter
    for part in _BOUNDARY.split(word):
        body = part.rstrip(MELISMA)
        marks = len(part) - len(body)
        if found and body.startswith("-"):  # "well_-known"
            found[-1] = replace(found[-1], text=found[-1].text + "-")
            body = body[1:]
        letters = [i for i, char in enumerate(body) if char.isalpha() or unicodedata.combining(char)]
        if not letters:
            if marks and not found:
                shown = shortened(word, LONGEST_SHOWN)
                raise LyricsError(f"{place}: '{shown}': the mark {MELISMA} of a melisma must follow a syllable")
            if found:
                last = found[-1]
                found[-1] = _with_notes(last, last.text + body, last.notes + marks, place)
            else:
                before += body
            continue
        first, end = letters[0], letters[-1] + 1
        if end - first > MAX_WORD:
            shown = shortened(body, LONGEST_SHOWN)
            raise LyricsError(
                f"{place}: '{shown}' has {end - first:,} letters; a word without hyphens has at most {MAX_WORD}"
            )
        pieces = split_word(body[first:end], language)
        for i, (text, stress) in enumerate(pieces):
            text = (before + body[:first] if i == 0 else "") + text + (body[end:] if i == len(pieces) - 1 else "")
            found.append(Syllable(text, stress, not found, False, False))
        before = ""
        found[-1] = _with_notes(found[-1], found[-1].text, 1 + marks, place)
    if found:
        found[-1] = replace(found[-1], word_end=True)
    return found


def _with_notes(syllable: Syllable, text: str, notes: int, place: str) -> Syllable:
    """The syllable with another text and number of notes; raises LyricsError naming the place for too many."""
    if notes > MAX_NOTES:
        raise LyricsError(f"{place}: '{shortened(text, LONGEST_SHOWN)}' has {notes} notes, at most {MAX_NOTES}")
    return replace(syllable, text=text, notes=notes)
