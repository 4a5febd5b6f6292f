"""Reading and writing of MusicXML files."""

import pytest
from music21 import converter, corpus, harmony, meter, note, stream, tempo, tie

from toccata.music.musicxml import MusicXMLError, read_musicxml, score_from_stream, write_musicxml
from toccata.music.score import Score


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("musicxml")


def triples(score):
    return [tuple(row)[:3] for row in score.notes.tolist()]


def quarter(pitch, quarters=1.0, tied=None):
    element = note.Note(pitch, quarterLength=quarters)
    if tied:
        element.tie = tie.Tie(tied)
    return element


def test_equal_scores_are_equal_files(folder):
    score = Score([(0, 24, 60, 80), (24, 48, 40, 80)])
    files = []
    for _ in range(2):
        write_musicxml(score, folder / "equal.musicxml")
        files.append((folder / "equal.musicxml").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    "score",
    [
        Score([(0, 24, 60, 80), (24, 48, 64, 80), (72, 24, 59, 30)]),
        Score([(0, 84, 60, 80), (84, 1, 61, 80)], beats_per_bar=3.5, tempo_bpm=72.25),
        Score([(50, 200, 40, 80), (60, 5, 42, 80), (61, 100, 72, 99)], beats_per_bar=3, length_ticks=576),
        Score([(8 * i, 8, 60 + i, 80) for i in range(12)]),  # triplets
        Score([(0, 1920, 60, 80)]),  # a note of twenty bars
    ],
)
def test_written_and_read_back(tmp_path, score):
    score.to_musicxml(tmp_path / "score.musicxml")
    assert Score.from_musicxml(tmp_path / "score.musicxml") == score


def test_two_staves_with_metre_and_tempo(tmp_path):
    score = Score([(0, 24, 72, 80), (0, 24, 48, 80)], beats_per_bar=3.5, tempo_bpm=90)
    write_musicxml(score, tmp_path / "score.musicxml")
    treble, bass = converter.parse(tmp_path / "score.musicxml", forceSource=True).parts
    assert [n.pitch.midi for n in treble.flatten().notes] == [72]
    assert [n.pitch.midi for n in bass.flatten().notes] == [48]
    clefs = [staff.flatten().getElementsByClass("Clef").first().sign for staff in (treble, bass)]
    assert clefs == ["G", "F"]
    assert treble.flatten().getElementsByClass(meter.TimeSignature).first().ratioString == "7/8"


def test_a_chorale_is_written_and_read_back(tmp_path):
    score = score_from_stream(corpus.parse("bach/bwv269"))
    write_musicxml(score, tmp_path / "score.musicxml")
    assert read_musicxml(tmp_path / "score.musicxml") == score


def test_an_upbeat_ends_at_the_first_bar_line():
    # Nun danket (4/4, one beat) and bwv269 (3/4, one beat): their upbeats fill the end of bar 0.
    for name, beats, first in (("bach/bwv66.6", 4, 72), ("bach/bwv269", 3, 48), ("bach/bwv227.7", 4, 0)):
        score = score_from_stream(corpus.parse(name))
        assert (score.beats_per_bar, score.notes["onset_tick"][0]) == (beats, first)
        assert score.length_ticks % score.ticks_per_bar == 0


def test_ties_chord_symbols_and_grace_notes():
    first = stream.Measure([meter.TimeSignature("3/4"), tempo.MetronomeMark(number=50, referent=2.0)])
    first.append([quarter(60), quarter(62, 2.0, "start")])
    second = stream.Measure([harmony.ChordSymbol("C"), quarter(62, 3.0, "continue")])
    third = stream.Measure([quarter(62, 1.0, "stop"), quarter(64).getGrace(), quarter(62, 2.0)])
    part = stream.Part()
    part.append([first, second, third])
    score = score_from_stream(stream.Score([part]))
    assert triples(score) == [(0, 24, 60), (24, 144, 62), (168, 48, 62)]
    assert (score.beats_per_bar, score.tempo_bpm, score.length_ticks) == (3, 100, 216)


def test_stream_without_measures():
    assert triples(score_from_stream(stream.Stream([quarter(60), quarter(62)]))) == [
        (0, 24, 60),
        (24, 24, 62),
    ]
    assert score_from_stream(stream.Stream()) == Score()


@pytest.mark.parametrize("name", ["a.musicxml", "a.xml", "a.mxl"])
@pytest.mark.parametrize("data", [b"", b"no music", b"<score-partwise><part id='1'><measure", b"PK\3\4"])
def test_broken_file_is_one_clear_error(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MusicXMLError) as error:
        read_musicxml(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_folder_missing_file_and_collection(tmp_path):
    with pytest.raises(MusicXMLError, match="is a folder"):
        read_musicxml(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_musicxml(tmp_path / "missing.musicxml")
    (tmp_path / "two.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n\nX:2\nM:4/4\nL:1/4\nK:C\nGFED|\n")
    with pytest.raises(MusicXMLError, match="2 pieces"):
        read_musicxml(tmp_path / "two.abc")
