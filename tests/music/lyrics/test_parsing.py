"""What is made of every kind of text."""

from __future__ import annotations

import pytest

from toccata.music.lyrics import Lyrics, LyricsError, Syllable


def parsed(text: str, language: str = "en") -> str:
    """The syllables, with a hyphen inside words and the number of notes of melismas."""
    return " / ".join(
        " ".join(each.text + str(each.notes) * (each.notes > 1) + "-" * (not each.word_end) for each in line)
        for line in Lyrics.parse(text, language).lines
    )


def test_a_poem() -> None:
    lyrics = Lyrics.parse("Tyger Tyger, burning bright,\nIn the forests of the night;")
    assert lyrics.syllables[:3] == (
        Syllable("Ty", 1, True, False, False),
        Syllable("ger", 0, False, True, False),
        Syllable("Ty", 1, True, False, False),
    )
    assert lyrics.syllables[6] == Syllable("bright,", 1, True, True, True)
    assert [syllable.stress for syllable in lyrics.lines[1]] == [0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“Glo___ri-a_!”", "“Glo4- ri-- a!”2"),
        ("ex_celsis", "ex2- cel- sis"),
        ("bright_, day", "bright,2 day"),
        ("well-known", "well-- known"),
        ("night—and  day", "night— and day"),
        ("night--and day", "night-- and day"),
        ("one\ttwo\r\nthree\rfour\u2028five", "one two / three / four / five"),
        ("one\n\n* * *\n ...\ntwo", "one / two"),
        ("# a comment\none\n  # another\ntwo", "one / two"),
        ("so\u00adft\ufeff hy\u200dphen", "soft hy- phen"),
        ("cafe\u0301", "ca- fé"),  # composed
        ("rock 'n' roll", "rock 'n' roll"),
        ("rock-'n'-roll", "rock-- 'n'-- roll"),
        ("rock-‘n’-roll", "rock-- ‘n’-- roll"),
        ("well_-known", "well-2- known"),
        ("\ufeff# a comment\none", "one"),
        ("one\x85two", "one / two"),
    ],
)
def test_marks_and_odd_input(text: str, expected: str) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "words.txt: has no word to sing"),
        (" \n...\n# comment", "words.txt: has no word to sing"),
        ("one\nI am 3", "words.txt, line 2: 'I am 3' has U\\+0033, a number: write it in words"),
        ("hi \U0001f600", "has U\\+1F600, a symbol: write it in words, or leave it out"),
        ("me & you", "has U\\+0026, a symbol"),
        ("שלום", "has U\\+05E9, HEBREW LETTER SHIN; language 'en' is read in Latin letters"),
        ("日本", "has U\\+65E5, CJK UNIFIED IDEOGRAPH-65E5"),
        ("любовь", "CYRILLIC SMALL LETTER EL; language 'en' is read in Latin letters"),
        ("a\0b", r"line 1: 'a\\x00b' has U\+0000, a control character"),
        ("a\x0cb", r"line 1: 'a\\x0cb' has U\+000C, a control character"),
        ("a\x1fb", "has U\\+001F, a control character"),
        ("a" * 65, "has 65 letters; a word without hyphens has at most 64"),
        ("ba" * 500_000, "has 1,000,000 letters; a word without hyphens has at most 64"),
        ("\u0301x", "has U\\+0301, a combining mark without a letter before it"),
        ("_a", "'_a': the mark _ of a melisma must follow a syllable"),
        ("oh _", "the mark _ of a melisma must follow a syllable"),
        ("a" + 16 * "_", "'a' has 17 notes, at most 16"),
        (
            "la " * 65,
            "has 65 syllables and notes of melismas; a line is sung in one breath and has at most 64: break it",
        ),
        ("la\n" * 2001, "has more than 2,000 syllables"),
        ("\udcff", "has U\\+DCFF, no character of text"),
    ],
)
def test_what_cannot_be_sung_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(LyricsError, match=message) as caught:
        Lyrics.parse(text, source="words.txt")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_ten_thousand_words_are_refused_soon() -> None:
    with pytest.raises(LyricsError, match="more than 2,000 syllables"):
        Lyrics.parse("ten thousand little words\n" * 2500)


def test_a_syllable_is_checked() -> None:
    for arguments, message in (
        (("", 1, True, True, True), "a syllable must be text without spaces, got ''"),
        (("a b", 1, True, True, True), "a syllable must be text without spaces, got 'a b'"),
        (("a", 3, True, True, True), "the stress of 'a' must be 0, 1, 2 or None, got 3"),
        (("a", 1, True, True, True, 0), r"the notes of 'a' must be in 1..16, got 0"),
    ):
        with pytest.raises(LyricsError, match=message):
            Syllable(*arguments)
