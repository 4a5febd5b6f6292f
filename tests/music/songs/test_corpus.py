import numpy as np
import pytest

from toccata.music.songs.corpus import Song, corpus_songs, sung_line


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return corpus_songs(["bach/bwv10.7", "bach/bwv269", "liliuokalani/aloha_oe"])


def text(song: Song) -> list[str]:
    return " ".join(str(song.underlay.lyrics).replace("_", "").split("\n")).split()


def test_the_stanzas_that_are_complete(songs: list[Song]) -> None:
    assert [song.name for song in songs] == ["bach/bwv10.7 2", "bach/bwv269 2", "liliuokalani/aloha_oe 2"]
    assert [song.language for song in songs] == ["de", "de", "en"]
    assert len({song.group for song in songs}) == 3


def test_words_and_lines_of_a_chorale(songs: list[Song]) -> None:
    lines = str(songs[0].underlay.lyrics).split("\n")
    assert lines[0] == "Meine Seel’ erhebt den Herren; und mein Geist"
    assert len(lines) == 4
    first = songs[0].underlay.lyrics.syllables[:5]
    assert [each.text for each in first] == ["Mei", "ne", "Seel’", "er", "hebt"]
    assert [each.stress for each in first] == [1, 0, 1, 0, 1]


def test_english_stress_is_that_of_the_dictionary(songs: list[Song]) -> None:
    syllables = songs[2].underlay.lyrics.syllables
    assert [each.text for each in syllables[:4]] == ["Fare", "well", "to", "thee,"]
    charming = [each for each in syllables if each.text in ("char", "ming")]
    assert [each.stress for each in charming] == [1, 0]


def test_melismas_are_notes_without_a_syllable(songs: list[Song]) -> None:
    underlay = songs[1].underlay
    first = [underlay.lyrics.syllables[number].text for number in underlay.syllables.tolist()]
    assert first[3:6] == ["Mor", "Mor", "gen"]


def test_every_sung_note_is_a_note_of_the_score(songs: list[Song]) -> None:
    for song in songs:
        rows = {tuple(row) for row in song.score.notes[["onset_tick", "pitch"]].tolist()}
        line = sung_line(song.score, song.underlay)
        assert {tuple(row) for row in line.notes[["onset_tick", "pitch"]].tolist()} <= rows
        assert (np.diff(song.underlay.onset_ticks) > 0).all()
        ends = song.underlay.onset_ticks + song.underlay.duration_ticks
        assert (ends[:-1] <= song.underlay.onset_ticks[1:]).all()
