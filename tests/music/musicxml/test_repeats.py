"""Repeats, endings and jumps."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.musicxml import note, read, xml
from toccata.music import Score
from toccata.music.musicxml import MusicXMLError, read_musicxml
from toccata.music.musicxml.music21_score import score_from_stream, stream_from_text
from toccata.music.musicxml.repeats import MAX_UNFOLDING, BarMarks, marks_of_tree, played_bars, played_changes
from toccata.music.musicxml.tree import musicxml_tree

PLAIN = BarMarks()
FORWARD, BACKWARD = BarMarks(forward=True), BarMarks(backward=2)


def ending(*numbers, backward=0):
    return BarMarks(endings=frozenset(numbers), backward=backward)


@pytest.mark.parametrize(
    ("marks", "order"),
    [
        ([], ""),
        ([PLAIN, PLAIN], "01"),
        ([PLAIN, BACKWARD, PLAIN], "01012"),  # from the beginning
        ([PLAIN, FORWARD, BACKWARD, PLAIN], "012123"),
        ([BACKWARD, PLAIN, BACKWARD, PLAIN], "0012123"),  # from the end of the last section
        ([BarMarks(forward=True, backward=2), PLAIN], "001"),
        ([BarMarks(backward=4), PLAIN], "00001"),
        ([FORWARD, PLAIN], "01"),  # never ended
        ([PLAIN, ending(1, backward=2), ending(2), PLAIN], "01023"),
        ([PLAIN, ending(1), ending(1, backward=2), ending(2, backward=2), PLAIN], "012034"),
        ([PLAIN, ending(1, 2, backward=2), ending(3), PLAIN], "0101023"),
        ([PLAIN, ending(1, backward=2), PLAIN], "0102"),  # the second time goes on
        (  # two sections with endings
            [PLAIN, ending(1, backward=2), ending(2), FORWARD, ending(1, backward=2), ending(2)],
            "0102" + "3435",
        ),
        ([PLAIN, BarMarks(fine=True), PLAIN, BarMarks(dacapo=True)], "012301"),
        ([PLAIN, BarMarks(fine=True), PLAIN, BarMarks(dacapo=True), PLAIN], "01234"),  # the last one never
        ([PLAIN, BarMarks(segno="a"), BarMarks(fine=True), BarMarks(dalsegno="a")], "012312"),
        (  # to coda
            [PLAIN, BarMarks(tocoda="x"), PLAIN, BarMarks(dacapo=True), BarMarks(coda="x"), PLAIN],
            "01230145",
        ),
        ([BACKWARD, BarMarks(fine=True), BarMarks(dacapo=True)], "001201"),  # no repeats after a jump
        ([PLAIN, ending(1, backward=2), ending(2), BarMarks(dacapo=True)], "0102302" + "3"),  # the last ending after it
        ([BACKWARD, BarMarks(dacapo=True), FORWARD, BACKWARD], "001" + "012323"),  # but of what is new
        ([PLAIN, BarMarks(dalsegno="a"), PLAIN], "012"),  # without a segno
        ([PLAIN, BarMarks(dacapo=True, tocoda="x"), PLAIN], "01012"),  # without a coda
        ([BarMarks(backward=999), PLAIN], "01"),  # too often
        ([PLAIN, ending(999, backward=2)], "01"),
    ],
)
def test_order_of_bars(marks, order):
    assert "".join(map(str, played_bars(marks))) == order


MARKS = st.builds(
    BarMarks,
    forward=st.booleans(),
    backward=st.sampled_from([0, 0, 2, 3]),
    endings=st.sampled_from([frozenset(), frozenset(), frozenset({1}), frozenset({2}), frozenset({1, 3})]),
    segno=st.sampled_from(["", "a"]),
    coda=st.sampled_from(["", "b"]),
    dacapo=st.booleans(),
    dalsegno=st.sampled_from(["", "a"]),
    tocoda=st.sampled_from(["", "b"]),
    fine=st.booleans(),
)


@given(st.lists(MARKS, max_size=12))
def test_any_marks_have_an_end(marks):
    order = played_bars(marks)
    assert len(order) <= MAX_UNFOLDING * len(marks)
    assert set(order) == set(range(len(marks)))


def test_many_marks_take_no_long_time():
    count = 30_000  # a quadratic time would be minutes
    everything = BarMarks(endings=frozenset({1}), segno="a", coda="b", dalsegno="x", tocoda="y")
    assert len(played_bars([everything] * count)) == count
    assert len(played_bars([ending(1), *[ending(1, backward=2)] * count, ending(2)])) <= MAX_UNFOLDING * (count + 2)


def test_values_after_a_jump_are_those_of_the_written_bars():
    changes = [(0, 0, 60), (2, 5, 90)]
    assert played_changes(changes, [0, 1, 2, 1, 2]) == [(0, 0, 60), (2, 5, 90), (3, 0, 60), (4, 5, 90)]
    assert played_changes([], [0, 0]) == []


def barline(repeat="", **ending):
    times = f'<repeat direction="{repeat}"/>' if repeat else ""
    attributes = " ".join(f'{key}="{value}"' for key, value in ending.items())
    return f"<barline>{f'<ending {attributes}/>' if ending else ''}{times}</barline>"


BARS = [
    note("C4", 16),
    barline("forward") + note("D4", 16),
    barline(number="1", type="start") + note("E4", 16) + barline("backward", number="1", type="stop"),
    barline(number="2", type="start") + note("F4", 16) + barline(number="2", type="discontinue"),
    '<sound tempo="60"/>' + note("G4", 16),
]


def test_repeats_of_a_file_are_played(tmp_path):
    played = read(tmp_path, xml(*BARS))
    assert [pitch for _, _, pitch in played] == [60, 62, 64, 62, 65, 67]
    assert [onset for onset, _, _ in played] == [96 * bar for bar in range(6)]
    path = tmp_path / "a.musicxml"
    assert Score.from_musicxml(path) == read_musicxml(path)
    assert Score.from_musicxml(path, repeats="written").notes["pitch"].tolist() == [60, 62, 64, 65, 67]
    with pytest.raises(MusicXMLError, match=r"a\.musicxml: repeats must be unfold or written, got 'x'"):
        read_musicxml(path, repeats="x")


def test_jumps_of_a_file_are_played(tmp_path):
    bars = [note("C4", 16), '<direction><sound fine="yes"/></direction>' + note("D4", 16)]
    text = xml(*bars, note("E4", 16) + '<sound dacapo="yes"/>')
    assert [pitch for _, _, pitch in read(tmp_path, text)] == [60, 62, 64, 60, 62]


def test_a_tie_into_either_ending_is_one_note(tmp_path):
    tie, stop = '<tie type="start"/>', '<tie type="stop"/>'
    bars = [
        note("C4", 16, "", tie),
        barline(number="1", type="start") + note("C4", 16, "", stop) + barline("backward", number="1", type="stop"),
        barline(number="2", type="start") + note("C4", 8, "", stop) + note("D4", 8),
    ]
    assert read(tmp_path, xml(*bars)) == [(0, 192, 60), (192, 144, 60), (336, 48, 62)]


def test_halves_of_a_bar_at_a_repeat_are_one_bar(tmp_path):
    text = xml(note("C4", 4), note("D4", 16), note("E4", 12) + barline("backward"), note("F4", 4), note("G4", 12))
    (tmp_path / "a.xml").write_text(text)
    score = read_musicxml(tmp_path / "a.xml")
    assert score.time_signatures == ()
    assert score.notes["onset_tick"].tolist() == [72, 96, 192, 264, 288, 384, 456, 480]


def test_an_unclosed_ending_and_damaged_marks_are_read(tmp_path):
    bars = [note("C4", 16), barline(number="1", type="start") + note("D4", 16), note("E4", 16)]
    assert [pitch for _, _, pitch in read(tmp_path, xml(*bars))] == [60, 62, 64]
    bars[1] += barline("backward")
    assert [pitch for _, _, pitch in read(tmp_path, xml(*bars))] == [60, 62, 60, 64]
    damaged = xml(barline("x", number="x", type="start") + note("C4", 16), note("D4", 16))
    assert [pitch for _, _, pitch in read(tmp_path, damaged)] == [60, 62]


def test_unfolding_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("toccata.music.musicxml.tree_score.MAX_EVENTS", 9)
    bars = [note("C4", 4) * 4, note("C4", 4) + barline("backward")]
    assert len(read(tmp_path, xml(*bars))) == 5


def test_repeats_of_abc():
    tune = "X:1\nM:4/4\nL:1/4\nQ:1/4=90\nK:G\n|: GABc |1 d4 :|2 e4 |\n"
    stream = stream_from_text(tune, ".abc")
    written, played = score_from_stream(stream, "written"), score_from_stream(stream)
    assert written.notes["pitch"].tolist() == [67, 69, 71, 72, 74, 76]
    assert played.notes["pitch"].tolist() == [67, 69, 71, 72, 74, 67, 69, 71, 72, 76]
    assert played.tempo_bpm == 90
    assert played.length_ticks == 4 * 96


@pytest.mark.parametrize("name", ["mozart/k155/movement2.mxl", "bach/bwv269.mxl"])
def test_as_music21(name):
    from music21 import converter
    from music21.repeat import Expander
    from music21.stream import Measure

    spec = find_spec("music21")
    path = Path(spec.submodule_search_locations[0], "corpus", name)
    part = converter.parse(path).parts[-1]
    for index, measure in enumerate(part.getElementsByClass(Measure)):
        measure.editorial.index = index
    expanded = [measure.editorial.index for measure in Expander(part).process().getElementsByClass(Measure)]
    assert played_bars(marks_of_tree(musicxml_tree(path.read_bytes()))) == expanded
