"""The same files read by music21 and, where it is installed, by partitura: what all read alike."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers.musicxml import note, xml
from toccata.music import Score
from toccata.music.midi import read_midi
from toccata.music.musicxml import read_musicxml, score_from_stream

WORKS = ["bach/bwv102.7.mxl", "bach/bwv269.mxl", "corelli/opus3no1/1grave.xml", "schoenberg/opus19/movement6.mxl"]
LIST = '<part-list><score-part id="P1"><part-name>Piano</part-name></score-part></part-list>'  # which peers need


def complete(*bars):
    return xml(*bars).replace('<part id="P1">', LIST + '<part id="P1">')


def path_of(name):
    return Path(find_spec("music21").submodule_search_locations[0], "corpus", name)


@pytest.mark.parametrize("name", WORKS)
def test_works_are_read_as_by_music21(name):
    from music21 import converter

    ours, theirs = read_musicxml(path_of(name), "written"), score_from_stream(converter.parse(path_of(name)), "written")
    assert [row[:3] for row in ours.notes.tolist()] == [row[:3] for row in theirs.notes.tolist()]
    assert ours == Score(ours.notes, ours.ticks_per_beat, *fields(theirs))
    assert ours.key_signatures == theirs.key_signatures


def fields(score):
    return score.beats_per_bar, score.tempo_bpm, score.length_ticks, score.time_signatures


def test_dynamics_rank_as_in_music21(tmp_path):
    from music21 import converter

    marks = ("pp", "p", "mp", "mf", "f", "ff")
    direction = "<direction><direction-type><dynamics><{}/></dynamics></direction-type></direction>"
    path = tmp_path / "a.musicxml"
    path.write_text(complete(*(direction.format(mark) + note("C4", 16) for mark in marks)))
    theirs = [each.volumeScalar for each in converter.parse(path).recurse().getElementsByClass("Dynamic")]
    ours = read_musicxml(path).notes["velocity"].tolist()
    assert theirs == sorted(set(theirs)) and ours == sorted(set(ours)) and len(ours) == len(theirs)


def test_metre_changes_are_those_of_music21(tmp_path):
    from music21 import converter

    signatures = [(0, 4, 4), (192, 3, 4), (336, 6, 8), (480, 7, 8)]
    path = tmp_path / "a.mid"
    score = Score([(tick, 24, 60, 80) for tick in range(0, 600, 24)], time_signatures=signatures, length_ticks=648)
    score.to_midi(path)
    assert read_midi(path) == score
    found = converter.parse(path).parts[0].flatten().getTimeSignatures(returnDefault=False)
    assert [(round(24 * each.offset), each.numerator, each.denominator) for each in found] == signatures


def test_notes_are_those_of_partitura(tmp_path):
    partitura = pytest.importorskip("partitura", exc_type=(ImportError, OSError))  # it downloads a sound font at first
    bars = [note("C4", 8, "", '<tie type="start"/>') + note("E4", 8), note("C4", 4) + note("G4", 12)]
    path = tmp_path / "a.musicxml"
    path.write_text(complete(*bars))
    rows = partitura.load_musicxml(path).note_array()
    times = [[round(24 * row[name]) for name in ("onset_quarter", "duration_quarter")] for row in rows]
    theirs = sorted((*time, row["pitch"]) for time, row in zip(times, rows, strict=True))
    assert [tuple(row[:3]) for row in read_musicxml(path).notes.tolist()] == theirs
