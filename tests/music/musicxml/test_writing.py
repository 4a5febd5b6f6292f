"""Written MusicXML files: what their notation says, and that they are read back as they were."""

from fractions import Fraction
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import converter

from toccata.music.musicxml import MusicXMLError, read_musicxml, score_from_stream, write_musicxml
from toccata.music.notation.values import PLAIN
from toccata.music.score import Score

QUARTERS = {name: Fraction(ticks, 24) for ticks, name in PLAIN.items()} | {"64th": Fraction(1, 16)}
AFLAT_MAJOR = (68, 70, 72, 73, 75, 77, 79, 80)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("writing")


def tree(score, folder, **names):
    write_musicxml(score, folder / "written.musicxml", **names)
    return ElementTree.parse(folder / "written.musicxml").getroot()


def line(*pitches, ticks=24, start=0):
    return [(start + index * ticks, ticks, pitch, 80) for index, pitch in enumerate(pitches)]


def texts(root, path):
    return [element.text for element in root.iterfind(f".//{path}")]


@st.composite
def scores(draw):
    ticks_per_beat = draw(st.sampled_from([24, 24, 1, 4, 10, 480, 960]))
    ticks_per_bar = draw(st.integers(1, 12 * ticks_per_beat))
    row = st.tuples(st.integers(0, 1500), st.integers(1, 700), st.integers(0, 127), st.integers(1, 127))
    score = Score(
        draw(st.lists(row, max_size=12)),
        ticks_per_beat=ticks_per_beat,
        beats_per_bar=draw(st.sampled_from([3, 4, ticks_per_bar / ticks_per_beat])),
        tempo_bpm=draw(st.integers(400, 60_000)) / 100,
    )
    extra = draw(st.sampled_from([0, 1, 300]))
    return Score(score.notes, ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks + extra)


@st.composite
def sections(draw):
    """Time signatures, some of them after an incomplete bar."""
    signatures, tick = [], 0
    for _ in range(draw(st.integers(1, 4))):
        signatures.append((tick, draw(st.integers(1, 13)), draw(st.sampled_from([1, 2, 4, 8, 16, 32]))))
        tick += draw(st.integers(1, 400))
    return signatures


@given(scores())
@settings(max_examples=30, deadline=None)
def test_written_and_read_back_is_equal(folder, score):
    score.to_musicxml(folder / "round.musicxml")
    assert Score.from_musicxml(folder / "round.musicxml") == score


@given(scores(), sections())
@settings(max_examples=30, deadline=None)
def test_time_signatures_return(folder, score, signatures):
    score = Score(score.notes, tempo_bpm=score.tempo_bpm, time_signatures=signatures)
    score.to_musicxml(folder / "round.musicxml")
    assert Score.from_musicxml(folder / "round.musicxml") == score


@pytest.mark.parametrize(
    "score",
    [
        Score(),
        Score(length_ticks=100),
        Score(line(60, 62), length_ticks=60),
        Score([(72, 24, 67, 80), (96, 90, 72, 80)], length_ticks=186),  # an upbeat, and an incomplete last bar
        Score(line(60), beats_per_bar=1 / 3),
        Score(line(60), beats_per_bar=1200, tempo_bpm=4),
        Score(line(60), beats_per_bar=3.5, tempo_bpm=600),
        Score([(0, 1, 60, 80), (1, 1, 60, 81), (2, 300, 60, 82)], ticks_per_beat=960),  # all at one tick of the grid
        Score([(0, 1000, 60, 80)], ticks_per_beat=480, time_signatures=[(0, 4, 4), (13, 3, 8)]),
        Score(line(60), time_signatures=[(0, 255, 1)]),
        Score(line(60), time_signatures=[(0, 6, 1)], tempo_bpm=4),  # a beat is a dotted breve
        Score([(24, 12, 60, 80), (36, 36, 62, 80)], time_signatures=[(0, 3, 8)]),
        Score(line(60), 24, 2.5, length_ticks=214, time_signatures=[(0, 4, 4), (96, 5, 8)]),  # silence after a change
    ],
)
def test_corner_cases_round_trip(tmp_path, score):
    write_musicxml(score, tmp_path / "score.musicxml")
    assert read_musicxml(tmp_path / "score.musicxml") == score


def test_every_velocity_returns_also_in_chords(tmp_path):
    rows = [(24 * (v // 2), 24, 60 + v % 2, v) for v in range(1, 128)]
    score = Score([*rows, *((onset, 24, 72, 128 - velocity) for onset, _, _, velocity in rows[::2])])
    write_musicxml(score, tmp_path / "score.musicxml")
    assert read_musicxml(tmp_path / "score.musicxml") == score


def test_keys_return(tmp_path):
    score = Score(line(*AFLAT_MAJOR), key_signatures=[(0, -4), (96, 3), (144, 0)])  # the last one within a bar
    write_musicxml(score, tmp_path / "score.musicxml")
    assert read_musicxml(tmp_path / "score.musicxml").key_signatures == score.key_signatures


def test_a_key_within_a_note_begins_at_the_nearest_bar_line(tmp_path):
    score = Score([(0, 96, 60, 80), (96, 96, 62, 80)], key_signatures=[(0, -4), (90, 3)])
    write_musicxml(score, tmp_path / "score.musicxml")
    assert read_musicxml(tmp_path / "score.musicxml").key_signatures == ((0, -4), (96, 3))


def test_accidentals_after_a_key_within_a_bar(tmp_path):
    score = Score(line(67, 62, 67, 69, 66, 66, 66, 65), key_signatures=[(0, 0), (144, 1)])
    notes = [note for note in tree(score, tmp_path).iter("note") if note.find("pitch") is not None]
    assert [note.findtext("accidental") for note in notes[4:]] == ["sharp", None, None, "natural"]


def test_an_estimated_key_is_written_and_spells(tmp_path):
    root = tree(Score(line(*AFLAT_MAJOR)), tmp_path)
    assert texts(root, "key/fifths") == ["-4"]
    assert texts(root, "key/mode") == ["major"]
    assert texts(root, "pitch/step") == list("ABCDEFGA")
    assert not texts(root, "accidental")


def test_accidentals_hold_for_a_bar(tmp_path):
    score = Score(line(67, 66, 66, 65, 60, 66, 72, 67), key_signatures=[(0, 0)])
    notes = [note for note in tree(score, tmp_path).iter("note") if note.find("pitch") is not None]
    bar = ["sharp", None, "natural"]
    assert [note.findtext("accidental") for note in notes] == [None, *bar, None, "sharp", None, None]


def test_a_tied_note_has_no_accidental_in_the_next_bar(tmp_path):
    score = Score([(72, 48, 66, 80), (120, 24, 66, 80)], key_signatures=[(0, 0)], length_ticks=192)
    notes = [note for note in tree(score, tmp_path).iter("note") if note.find("pitch") is not None]
    assert [note.findtext("accidental") for note in notes] == ["sharp", None, "sharp"]


def test_voices_of_a_staff(tmp_path):
    score = Score([(0, 48, 60, 80), (48, 48, 62, 80), *line(67, 69, 71, 72)])
    root = tree(score, tmp_path)
    notes = [note for note in root.iter("note") if note.find("pitch") is not None]
    assert [(n.findtext("type"), n.findtext("voice"), n.findtext("stem"), n.findtext("staff")) for n in notes] == [
        *[("quarter", "1", "up", "1")] * 4,
        *[("half", "2", "down", "1")] * 2,
    ]
    assert not texts(root, "tie")


def test_a_silent_measure_is_a_rest_for_the_whole_measure(tmp_path):
    (rest,) = tree(Score(line(72, 74, 76, 77)), tmp_path).findall(".//note/rest")
    assert rest.get("measure") == "yes"


def test_an_upbeat_is_measure_0(tmp_path):
    score = Score(line(67, 72, 71, 72, 67, start=72))
    root = tree(score, tmp_path)
    assert [(m.get("number"), m.get("implicit")) for m in root.iter("measure")] == [("0", "yes"), ("1", None)]
    assert read_musicxml(tmp_path / "written.musicxml") == score
    first = converter.parse(tmp_path / "written.musicxml", forceSource=True).parts[0].measure(0)
    assert first.duration.quarterLength == 1


def test_a_rest_of_less_than_a_beat_is_no_upbeat(tmp_path):
    score = Score(line(67, 72, 71, ticks=12, start=12))
    assert [m.get("number") for m in tree(score, tmp_path).iter("measure")] == ["1"]


def test_title_composer_and_final_bar_line(tmp_path):
    root = tree(Score(line(60)), tmp_path)
    assert texts(root, "work-title") == ["written"]
    assert texts(root, "creator") == ["Toccata"]
    assert texts(root, "bar-style") == ["light-heavy"]
    root = tree(Score(line(60)), tmp_path, title="A <B> \x00\ud800", composer="C & D")
    assert texts(root, "work-title") == ["A <B> ?\\ud800"]
    assert texts(root, "creator") == ["C & D"]


def test_a_rounded_metronome_mark_and_the_exact_tempo(tmp_path):
    score = Score(line(60), beats_per_bar=3, time_signatures=[(0, 6, 8)], tempo_bpm=100.01)
    root = tree(score, tmp_path)
    assert texts(root, "beat-unit") == ["quarter"]
    assert root.find(".//beat-unit-dot") is not None
    assert texts(root, "per-minute") == ["67"]
    assert read_musicxml(tmp_path / "written.musicxml").tempo_bpm == 100.01


def test_dynamic_marks(tmp_path):
    soft = [(24 * index, 24, 60, 33) for index in range(16)]
    loud = [(384 + 24 * index, 24, 60, 112) for index in range(16)]
    marks = [mark.tag for mark in tree(Score(soft + loud), tmp_path).findall(".//dynamics/*")]
    assert marks == ["pp", "ff"]


def test_octave_lines_are_read_by_both_readers(tmp_path):
    score = Score(line(*[101, 103, 105, 107] * 2, 72))
    root = tree(score, tmp_path)
    assert [shift.get("type") for shift in root.iter("octave-shift")] == ["down", "stop"]
    assert read_musicxml(tmp_path / "written.musicxml") == score
    assert score_from_stream(converter.parse(tmp_path / "written.musicxml", forceSource=True)) == score


def test_metre_changes(tmp_path):
    score = Score(line(*[60] * 12), time_signatures=[(0, 4, 4), (96, 3, 4), (168, 5, 8)])
    root = tree(score, tmp_path)
    assert texts(root, "time/beats") == ["4", "3", "5"]
    assert texts(root, "time/beat-type") == ["4", "4", "8"]


@st.composite
def short_scores(draw):
    row = st.tuples(st.integers(0, 200), st.integers(1, 120), st.integers(21, 108), st.just(80))
    signature = draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8), (2, 2), (5, 4)]))
    return Score(draw(st.lists(row, max_size=10)), time_signatures=[(0, *signature)])


@given(short_scores())
@settings(max_examples=30, deadline=None)
def test_types_dots_and_triplets_make_the_durations(folder, score):
    root = tree(score, folder)
    for note in root.iter("note"):
        rest = note.find("rest")
        ratio = (note.findtext("time-modification/actual-notes"), note.findtext("time-modification/normal-notes"))
        assert ratio in {("3", "2"), (None, None)}
        if rest is None or rest.get("measure") is None:
            written = QUARTERS[note.findtext("type")] * (Fraction(3, 2) if note.find("dot") is not None else 1)
            assert written * (Fraction(2, 3) if ratio[0] else 1) * 24 == int(note.findtext("duration"))
    for measure in root.iter("measure"):
        position = 0
        for element in measure:
            if element.tag in ("note", "forward") and element.find("chord") is None:
                position += int(element.findtext("duration"))
            if element.tag == "backup":
                assert int(element.findtext("duration")) == position
                position = 0
        opened = [tuplet.get("type") for tuplet in measure.iter("tuplet")]
        assert opened == ["start", "stop"] * (len(opened) // 2)


@given(short_scores())
@settings(max_examples=10, deadline=None)
def test_music21_reads_the_same_notes(folder, score):
    write_musicxml(score, folder / "second.musicxml")
    stream = converter.parse(folder / "second.musicxml", forceSource=True)
    assert score_from_stream(stream).notes.tolist() == score.notes.tolist()


@pytest.mark.parametrize(
    "text", ["", "x", "1;0;24;4;48;", "3;0;24;4;nan;", "1;0;0;4;48;", "1;0;24;4;48;0:4", "1;0;24;0;48;"]
)
def test_a_field_that_does_not_fit_is_ignored(tmp_path, text):
    score = Score(line(60, 62, 64), length_ticks=80)
    root = tree(score, tmp_path)
    (field,) = root.iter("miscellaneous-field")
    field.text = text
    ElementTree.ElementTree(root).write(tmp_path / "changed.musicxml")
    read = read_musicxml(tmp_path / "changed.musicxml")
    assert (read.notes.tolist(), read.length_ticks) == (score.notes.tolist(), 96)


def test_a_field_does_not_count_once_measures_were_added(tmp_path):
    root = tree(Score(line(60, 62, 64), length_ticks=80), tmp_path)
    measure = ElementTree.SubElement(root.find("part"), "measure", number="2")
    ElementTree.SubElement(ElementTree.SubElement(measure, "note"), "rest", measure="yes")
    ElementTree.ElementTree(root).write(tmp_path / "longer.musicxml")
    assert read_musicxml(tmp_path / "longer.musicxml").length_ticks == 192


def test_ordinary_scores_need_no_field(tmp_path):
    assert not texts(tree(Score(line(60, 62, 64)), tmp_path), "miscellaneous-field")


def test_too_long_a_score_is_not_written(tmp_path):
    with pytest.raises(MusicXMLError, match=r"score.musicxml: the score lasts 4,000,000 ticks"):
        write_musicxml(Score(length_ticks=4_000_000), tmp_path / "score.musicxml")
    with pytest.raises(MusicXMLError, match=r"score.musicxml: the score needs [\d,]+ notes and other events"):
        write_musicxml(Score(time_signatures=[(0, 1, 32)], length_ticks=1_000_000), tmp_path / "score.musicxml")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(OSError, match=r"score\.musicxml"):
        Score().to_musicxml(tmp_path / "missing" / "score.musicxml")
    assert not list(tmp_path.iterdir())


def test_verovio_engraves_a_page(tmp_path):
    verovio = pytest.importorskip("verovio")
    write_musicxml(Score([*line(*AFLAT_MAJOR), (0, 96, 44, 60)]), tmp_path / "page.musicxml")
    toolkit = verovio.toolkit()
    assert toolkit.loadFile(str(tmp_path / "page.musicxml"))
    assert toolkit.renderToSVG(1).count('class="note"') == 9
