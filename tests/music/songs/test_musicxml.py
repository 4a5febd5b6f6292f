from pathlib import Path
from xml.etree import ElementTree

import music21
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.songs import song
from toccata.music.score import Score
from toccata.music.songs.musicxml import write_song_musicxml

Lyric = tuple[str, str, str | None, str | None]  # pitch, text, syllabic, extend


def lyrics(path: Path) -> list[Lyric]:
    """What is under each note of the voice."""
    voice = ElementTree.parse(path).getroot().find("part[@id='P1']")
    assert voice is not None
    found: list[Lyric] = []
    for note in voice.iter("note"):
        for lyric in note.iter("lyric"):
            extend = lyric.find("extend")
            pitch = f"{note.findtext('pitch/step')}{note.findtext('pitch/octave')}"
            row = (pitch, lyric.findtext("text", ""), lyric.findtext("syllabic"))
            found.append((*row, None if extend is None else extend.get("type")))
    return found


def test_syllables_hyphens_and_the_line_of_a_melisma(tmp_path: Path) -> None:
    score, underlay = song("Ah-men-so go_ well-known", [60, 62, 64, 65, 67, 69, 71], [1] * 7)
    write_song_musicxml(score, underlay, tmp_path / "song.musicxml", title="A song")
    assert lyrics(tmp_path / "song.musicxml") == [
        ("C4", "Ah", "begin", None),
        ("D4", "men", "middle", None),
        ("E4", "so", "end", None),
        ("F4", "go", "single", "start"),
        ("G4", "", None, "stop"),
        ("A4", "well", "begin", None),
        ("B4", "known", "end", None),
    ]


def test_a_melisma_inside_a_word_has_hyphens_and_no_line(tmp_path: Path) -> None:
    score, underlay = song("A_-b", [60, 62, 64], [1, 1, 1])
    write_song_musicxml(score, underlay, tmp_path / "song.musicxml")
    assert lyrics(tmp_path / "song.musicxml") == [("C4", "A", "begin", None), ("E4", "b", "end", None)]


def test_three_staves_voice_and_piano(tmp_path: Path) -> None:
    score, underlay = song("A b c d e", [60, 64, 67, 72, 71], [1, 1, 1, 1, 4])
    write_song_musicxml(score, underlay, tmp_path / "song.musicxml", composer="Somebody")
    stream = music21.converter.parse(tmp_path / "song.musicxml")
    assert [part.partName for part in stream.parts] == ["Voice", "Piano", "Piano"]
    assert [note.pitch.midi for note in stream.parts[0].flatten().notes] == [60, 64, 67, 72, 71]
    assert [note.lyric for note in stream.parts[0].flatten().notes] == ["A", "b", "c", "d", "e"]
    assert [note.pitch.midi for note in stream.parts[2].flatten().notes] == [43, 44]
    tempi = list(stream.recurse().getElementsByClass("MetronomeMark"))
    assert len(tempi) == 1


def test_a_low_voice_begins_in_the_bass_clef(tmp_path: Path) -> None:
    score, underlay = song("A b", [48, 50], [2, 2], with_bass=False)
    write_song_musicxml(score, underlay, tmp_path / "song.musicxml")
    root = ElementTree.parse(tmp_path / "song.musicxml").getroot()
    assert [sign.text for sign in root.iter("sign")] == ["F", "G", "F"]


@given(
    pitches=st.lists(st.integers(48, 84), min_size=6, max_size=6),
    lengths=st.lists(st.sampled_from([0.5, 1, 1.5, 1 / 3]), min_size=6, max_size=6),
    rests=st.lists(st.integers(0, 4), max_size=3),
    beats=st.sampled_from([3, 4]),
)
def test_the_file_is_read_back_as_an_equal_score(
    tmp_path_factory: pytest.TempPathFactory, pitches: list[int], lengths: list[float], rests: list[int], beats: int
) -> None:
    score, underlay = song("A-b c / D e-F", pitches, lengths, rests, beats)
    path = tmp_path_factory.mktemp("musicxml") / "song.musicxml"
    write_song_musicxml(score, underlay, path)
    assert Score.from_musicxml(path) == score
    assert [row[1] for row in lyrics(path)] == [each.text for each in underlay.lyrics.syllables]


def test_music21_reads_the_syllables_back(tmp_path: Path) -> None:
    score, underlay = song("Ah-men so_ far / go-ing home", list(range(60, 68)), [1] * 8)
    write_song_musicxml(score, underlay, tmp_path / "song.musicxml")
    notes = music21.converter.parse(tmp_path / "song.musicxml").parts[0].flatten().notes
    read = [(each.text, each.syllabic) for note in notes for each in note.lyrics if each.text]
    expected = [
        *(("Ah", "begin"), ("men", "end"), ("so", "single"), ("far", "single")),
        *(("go", "begin"), ("ing", "end"), ("home", "single")),
    ]
    assert read == expected
