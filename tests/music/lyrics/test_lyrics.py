from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.files import FileError
from toccata.music.lyrics import Lyrics, LyricsError, Syllable
from toccata.music.lyrics.lyrics import load_texts

WORDS = ["Tyger", "burning", "bright,", "“o'er”", "well-known", "Glo__ria", "ah_", "immortal", "the", "night—"]
texts = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=5)


def test_known_answers() -> None:
    lyrics = Lyrics.parse("Glo__ria\nin excelsis")
    assert len(lyrics) == 7
    assert str(lyrics) == "Glo__ria\nin excelsis"
    assert [len(line) for line in lyrics.lines] == [3, 4]
    assert lyrics.note_syllables.tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="read-only"):
        lyrics.note_syllables[0] = 1


@given(texts)
def test_the_words_give_equal_lyrics_back(lines: list[str]) -> None:
    lyrics = Lyrics.parse("\n".join(lines))
    again = Lyrics.parse(str(lyrics))
    assert again == lyrics
    assert hash(again) == hash(lyrics)
    assert len(lyrics.lines) == len(lines)
    assert sum(each.notes for each in lyrics.syllables) == len(lyrics.note_syllables)
    assert np.all(np.diff(lyrics.note_syllables) <= 1)


def test_lyrics_differ_by_words_and_language() -> None:
    assert Lyrics.parse("la la") != Lyrics.parse("la la la")
    assert Lyrics.parse("la la", "de") != Lyrics.parse("la la", "it")


def test_lyrics_are_checked() -> None:
    one = Syllable("a", 1, True, True, True)
    for syllables, message in (
        ((), "lyrics must have at least one syllable"),
        ((Syllable("a", 1, False, True, True),), "words must begin where the one before ends"),
        ((Syllable("a", 1, True, False, True),), "words must begin where the one before ends, and end with their line"),
        ((one, Syllable("a", 1, True, True, False)), "the last syllable must end its word and line"),
        ((one,) * 2001, "lyrics have at most 2,000 syllables, got 2,001"),
    ):
        with pytest.raises(LyricsError, match=message):
            Lyrics(syllables)
    with pytest.raises(LyricsError, match="lyrics must be text, got bytes"):
        Lyrics.parse(b"la")  # type: ignore[arg-type]  # what a user may give


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffla la\r\nNacht—à l'été".encode())
    assert str(Lyrics.load(path, "fr")) == "la la\nNacht— à l'été"
    path.write_bytes(b"la\nla \xff la")
    with pytest.raises(LyricsError, match=r"words.txt, line 2: byte 0xff is not UTF-8"):
        Lyrics.load(path)
    with pytest.raises(FileError, match=r"nowhere.txt: cannot be read"):
        Lyrics.load(tmp_path / "nowhere.txt")
    path.write_bytes(b"la " * 400_000)
    with pytest.raises(FileError, match="larger than"):
        Lyrics.load(path)


def test_folders_of_texts(tmp_path: Path) -> None:
    with pytest.raises(LyricsError, match=r"has no file \*\.txt"):
        load_texts(tmp_path)
    (tmp_path / "b.txt").write_text("two")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "README.md").write_text("3")
    (tmp_path / "._a.txt").write_bytes(b"\xff")  # as some systems write beside a file
    (tmp_path / "folder.txt").mkdir()
    assert [str(each) for each in load_texts(tmp_path)] == ["one", "two"]
    assert load_texts(tmp_path / "b.txt") == (Lyrics.parse("two"),)
