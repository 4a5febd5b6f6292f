"""Dynamics and tempo of MusicXML files."""

from xml.etree.ElementTree import fromstring

import pytest

from helpers.musicxml import note, xml
from toccata.music.musicxml import read_musicxml
from toccata.music.musicxml.directions import ACCENTS, LEVELS, Mark, dynamics, tempo_bpm, velocities_at
from toccata.music.musicxml.tree_score import DEFAULT_VELOCITY


def mark(name, then=""):
    return f"<direction><direction-type><dynamics><{name}/></dynamics></direction-type>{then}</direction>"


def velocities(tmp_path, *bars):
    (tmp_path / "a.xml").write_text(xml(*bars))
    return read_musicxml(tmp_path / "a.xml").notes["velocity"].tolist()


def test_levels_rise_and_mf_is_the_default():
    rising = [LEVELS[name] for name in ("pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff")]
    assert rising == sorted(set(rising)) and rising[0] >= 1 and rising[-1] <= 127
    assert LEVELS["mf"] == DEFAULT_VELOCITY
    assert all(1 <= velocity <= 127 for pair in ACCENTS.values() for velocity in pair if velocity is not None)


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([note("C4", 8) + note("D4", 8)], [80, 80]),
        ([mark("pp") + note("C4", 8) + mark("ff") + note("D4", 8)], [33, 112]),
        ([mark("pp") + note("C4", 16), note("D4", 16)], [33, 33]),
        ([mark("x") + note("C4", 16)], [80]),
        ([mark("pp", '<sound dynamics="100"/>') + note("C4", 16)], [90]),  # a sound is more exact than its mark
        ([mark("pp", '<sound dynamics="x"/>') + note("C4", 16)], [33]),
        ([mark("pp", '<sound dynamics="1e9"/>') + note("C4", 16)], [127]),
        (['<sound dynamics="50"/>' + note("C4", 16)], [45]),
        ([mark("pp") + note("C4", 16).replace("<note", '<note dynamics="100"')], [90]),  # the note's own
        ([note("C4", 8, "", "<notations><dynamics><p/></dynamics></notations>") + note("D4", 8)], [49, 49]),
        ([mark("p") + note("C4", 8) + mark("sfz") + note("D4", 4) + note("E4", 4)], [49, 112, 49]),
        ([mark("fp") + note("C4", 8) + note("D4", 8)], [96, 49]),
    ],
)
def test_marks_hold_until_the_next(tmp_path, bars, expected):
    assert velocities(tmp_path, *bars) == expected


BACKUP = "<backup><duration>16</duration></backup>"
STAFF_2 = "<staff>2</staff>"


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        (mark("p") + note("C5", 16) + BACKUP + note("C3", 16, "", STAFF_2), [49, 49]),
        (mark("p", "<staff>1</staff>") + note("C5", 16) + BACKUP + note("C3", 16, "", STAFF_2), [49, 49]),
        (  # lowest note first
            mark("f") + note("C5", 16) + BACKUP + mark("p", STAFF_2) + note("C3", 16, "", STAFF_2),
            [49, 96],
        ),
        (  # a later mark in one staff is one of both
            note("C5", 8) + note("D5", 8) + BACKUP + note("C3", 8, "", STAFF_2) + mark("p", STAFF_2)
            + note("D3", 8, "", STAFF_2),
            [80, 80, 49, 49],
        ),
    ],
)  # fmt: skip
def test_marks_of_two_staves(tmp_path, bar, expected):
    assert velocities(tmp_path, bar) == expected


def test_marks_count_in_time_and_in_their_part(tmp_path):
    second = f'<part id="P2"><measure>{note("C3", 16)}</measure><measure>{note("D3", 16)}</measure></part>'
    text = xml(note("C4", 16), mark("p") + note("D4", 16)).replace("</score-partwise>", second)
    (tmp_path / "a.xml").write_text(text + "</score-partwise>")
    assert read_musicxml(tmp_path / "a.xml").notes["velocity"].tolist() == [80, 80, 80, 49]
    marks = [Mark(1, 0, "1", None, 33), Mark(0, 4, None, 112, None)]
    assert velocities_at(marks, [(0, 0, "1"), (0, 4, "2"), (0, 5, "1"), (1, 0, "2"), (2, 0, "1")], 80) == [
        *(80, 112, 80, 33, 33)
    ]


def test_a_tied_note_keeps_the_velocity_it_was_struck_with(tmp_path):
    tied = [note("C4", 16, "", '<tie type="start"/>'), mark("ff") + note("C4", 16, "", '<tie type="stop"/>')]
    assert velocities(tmp_path, *tied) == [80]


@pytest.mark.parametrize(
    ("tempi", "mean"),
    [
        ([60, None, None], 60),
        ([None, 90, None], 90),  # the first holds from the beginning
        ([60, 180, 180], 3 / (1 / 60 + 2 / 180)),
        ([60, 60, 120], 3 / (2 / 60 + 1 / 120)),
        ([60, 180, 180, 180, 180, 180], 135),
        ([None, 60, 120], 3 / (2 / 60 + 1 / 120)),
    ],
)
def test_the_mean_tempo_keeps_the_duration(tmp_path, tempi, mean):
    bars = [(f'<sound tempo="{tempo}"/>' if tempo else "") + note("C4", 16) for tempo in tempi]
    (tmp_path / "a.xml").write_text(xml(*bars))
    score = read_musicxml(tmp_path / "a.xml")
    assert score.tempo_bpm == round(mean, 2)
    assert score.length_seconds == pytest.approx(len(tempi) * 4 * 60 / mean, rel=1e-4)


def test_silence_around_the_notes_does_not_count(tmp_path):
    rest = "<note><rest/><duration>16</duration></note>"
    bars = ['<sound tempo="30"/>' + rest, '<sound tempo="60"/>' + note("C4", 16), '<sound tempo="120"/>' + rest]
    (tmp_path / "a.xml").write_text(xml(*bars))
    assert read_musicxml(tmp_path / "a.xml").tempo_bpm == 60


def test_the_tempo_after_a_repeat_is_that_of_the_written_bar(tmp_path):
    repeat = '<barline><repeat direction="backward"/></barline>'
    bars = ['<sound tempo="60"/>' + note("C4", 16), '<sound tempo="120"/>' + note("D4", 16) + repeat]
    (tmp_path / "a.xml").write_text(xml(*bars))
    assert read_musicxml(tmp_path / "a.xml").tempo_bpm == 80


def test_elements_without_dynamics_or_tempo():
    assert dynamics(fromstring("<direction/>")) == (None, None)
    assert dynamics(fromstring('<sound dynamics="0"/>')) == (None, None)
    assert tempo_bpm(fromstring('<sound tempo="inf"/>')) is None


def test_chords_that_alone_have_no_velocity_have_that_of_the_note_before(tmp_path):
    soft, loud = ' dynamics="44.44"', ' dynamics="111.11"'
    chord = note("C4", 4) + note("E4", 4, "<chord/>")

    def loudness(text, attributes):
        return text.replace("<note", f"<note{attributes}", 1)

    music21 = chord + loudness(note("C4", 4), soft) + chord + loudness(note("D4", 4), loud) + chord
    assert velocities(tmp_path, music21) == [40, 40, 40, 40, 40, 100, 100, 100]
    single = loudness(note("C4", 4), soft) + note("D4", 4) + chord
    assert velocities(tmp_path, single) == [40, 80, 80, 80]  # a single note has none
    accented = loudness(note("C4", 4), soft) + chord + loudness(note("E4", 4), loud) + note("G4", 4, "<chord/>")
    assert velocities(tmp_path, accented) == [40, 80, 80, 100, 80]  # a chord has one
    assert velocities(tmp_path, mark("p") + music21)[:2] == [LEVELS["p"]] * 2
