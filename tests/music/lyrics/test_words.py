from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.lyrics import LyricsError
from toccata.music.lyrics.words import check_language, split_word


def syllables(word: str, language: str = "en") -> str:
    return "-".join(text for text, _ in split_word(word, language))


def stresses(word: str, language: str = "en") -> list[int | None]:
    return [stress for _, stress in split_word(word, language)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("burning", "burn-ing"),
        ("immortal", "im-mor-tal"),
        ("beautiful", "beau-ti-ful"),
        ("table", "ta-ble"),
        ("little", "lit-tle"),
        ("poem", "po-em"),
        ("rhythm", "rhy-thm"),
        ("every", "ev-ery"),  # the dictionary has it with three syllables, too
        ("fire", "fire"),  # as above, with two
        ("gave", "gave"),
        ("I", "I"),
        ("Tyger", "Ty-ger"),
        ("Café", "Ca-fé"),
    ],
)
def test_english_words(word: str, expected: str) -> None:
    assert syllables(word) == expected


def test_stress_of_the_dictionary() -> None:
    assert stresses("immortal") == [2, 1, 0]
    assert stresses("burning") == [1, 0]
    assert stresses("night") == [1]


@pytest.mark.parametrize("word", ["the", "of", "my", "with", "for", "'tis", "The", "’Tis"])
def test_words_of_the_closed_classes_are_unstressed(word: str) -> None:
    assert stresses(word) == [0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("o'er", "o'er"), ("heav'n", "heav'n"), ("slithy", "sli-thy"), ("gimbled", "gim-bled"), ("outgrabe", "out-grabe")],
)
def test_words_that_the_dictionary_lacks_have_no_stress(word: str, expected: str) -> None:
    assert syllables(word) == expected
    assert set(stresses(word)) == {None}


def test_a_contracted_past_is_looked_up_in_full() -> None:
    assert split_word("wander'd", "en") == (("wan", 1), ("der'd", 0))


def test_more_syllables_than_letters() -> None:
    assert split_word("w", "en") == (("w", 1),)  # "double u"


@pytest.mark.parametrize(
    ("word", "language", "expected"),
    [
        ("Götterfunken", "de", "Göt-ter-fun-ken"),
        ("Abend", "de", "A-bend"),
        ("Feier", "de_AT", "Fei-er"),
        ("amore", "it", "a-mo-re"),
        ("corazón", "es", "co-ra-zón"),
        ("belle", "fr", "bel-le"),
        ("любовь", "ru", "лю-бовь"),
    ],
)
def test_other_languages_are_hyphenated_and_have_no_stress(word: str, language: str, expected: str) -> None:
    assert syllables(word, language) == expected
    assert set(stresses(word, language)) == {None}


def test_an_unknown_language() -> None:
    with pytest.raises(LyricsError, match=r"unknown language 'xx': there are hyphenation patterns for af .* zu"):
        check_language("xx")
    with pytest.raises(LyricsError, match="language must be a code such as 'en', got 3"):
        check_language(3)  # type: ignore[arg-type]  # what a user may give
    with pytest.raises(LyricsError, match="unknown language ''"):
        check_language("")


letters = st.characters(categories=["Ll", "Lu"], max_codepoint=0x4FF).filter(
    lambda char: unicodedata.name(char, "").startswith(("LATIN", "GREEK", "CYRILLIC"))
)


@given(
    st.lists(st.tuples(letters, st.sampled_from(["", "\u0301", "\u0323\u0301"])), min_size=1, max_size=30),
    st.sampled_from(["en", "de", "ru", "el"]),
)
def test_joined_syllables_are_the_word(parts: list[tuple[str, str]], language: str) -> None:
    word = "".join(letter + mark for letter, mark in parts)
    pieces = [text for text, _ in split_word(word, language)]
    assert "".join(pieces) == word
    assert all(any(char.isalpha() for char in piece) for piece in pieces)
    assert not any(unicodedata.combining(piece[0]) for piece in pieces)


@pytest.mark.parametrize("language", ["EN", "en_GB", "en-US"])
def test_codes_of_english_in_any_case(language: str) -> None:
    assert split_word("tiger", language) == (("tiger"[:2], 1), ("ger", 0))


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "a-fraid a-cross ug-ly deep-ly hun-dred"),
        ("fr", "é-cri-re a-près mon-tre é-gli-se"),
        ("es", "a-bril"),
    ],
)
def test_a_stop_and_r_or_l_begin_a_syllable_together(language: str, expected: str) -> None:
    found = ["-".join(text for text, _ in split_word(word.replace("-", ""), language)) for word in expected.split()]
    assert " ".join(found) == expected
