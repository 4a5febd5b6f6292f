"""MusicXML from strangers: containers, encodings, cue notes, and bounds."""

import zipfile

import pytest

from helpers.musicxml import CUE, container, note, read, triples, write_mxl, xml
from toccata.music.musicxml import MusicXMLError, read_musicxml
from toccata.music.musicxml import tree as tree_module

ONE, OTHER = xml(note("C4", 16)), xml(note("G4", 16), note("G4", 16), note("G4", 16))


@pytest.mark.parametrize(
    ("named", "stored"),
    [
        ("score.xml", "score.xml"),
        ("deep/my%20score.xml", "deep/my score.xml"),
        ("deep\\score.xml", "deep/score.xml"),
        ("/score.xml", "score.xml"),
        ("./score.musicxml", "score.musicxml"),
        ("partitura-é.xml", "partitura-é.xml"),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_root_file_is_the_one_that_the_container_names(tmp_path, named, stored, mark):
    files = {"part.xml": ONE, "META-INF/container.xml": mark + container(named), stored: OTHER}
    assert len(triples(write_mxl(tmp_path / "a.mxl", files))) == 3


def test_of_several_root_files_the_first_of_musicxml(tmp_path):
    files = (
        '<rootfile full-path="a.pdf" media-type="application/pdf"/>'
        '<rootfile full-path="b.xml" media-type="application/vnd.recordare.musicxml+xml"/><rootfile full-path="c.xml"/>'
    )
    named = f'<c:container xmlns:c="x"><c:rootfiles>{files}</c:rootfiles></c:container>'
    archive = {"c.xml": ONE, "META-INF/container.xml": named, "a.pdf": b"%PDF", "b.xml": OTHER}
    assert len(triples(write_mxl(tmp_path / "a.mxl", archive))) == 3


def test_without_a_container_the_first_notation_file(tmp_path):
    files = {"mimetype": "x", "META-INF/other.xml": "<a/>", "score.musicxml": OTHER, "z.xml": ONE}
    assert len(triples(write_mxl(tmp_path / "a.mxl", files))) == 3
    assert len(triples(write_mxl(tmp_path / "named.xml", files))) == 3, "the content decides what is packed"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.xml": ONE, "META-INF/container.xml": container("b.xml")}, r"container\.xml names 'b\.xml', which is not"),
        ({"a.xml": ONE, "META-INF/container.xml": "<container"}, r"container\.xml is no readable XML"),
        ({"readme.txt": "hello"}, "holds no MusicXML file"),
        ({"a.xml": "<html/>"}, "its root is <html>, not <score-partwise>"),
        ({"a.xml": b"PK\3\4 packed twice"}, "is no readable XML"),
    ],
)
def test_a_container_without_its_root_file_is_one_clear_error(tmp_path, files, message):
    with pytest.raises(MusicXMLError, match=rf"a\.mxl: .*{message}"):
        read_musicxml(write_mxl(tmp_path / "a.mxl", files))


@pytest.mark.parametrize(
    "head", ['<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" encoding="UTF-16"?>', ""]
)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_any_declaration(tmp_path, head, encoding):
    data = xml(note("G4", 16), head=head).encode(encoding)
    assert read(tmp_path, data) == read(tmp_path, data, "a.txt") == [(0, 96, 67)]
    assert triples(write_mxl(tmp_path / "a.mxl", {"a.xml": data})) == [(0, 96, 67)]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig", "windows-1252"])
def test_other_encodings(tmp_path, encoding):
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?><!-- é -->'
    assert read(tmp_path, xml(note("G4", 16), head=head).encode(encoding)) == [(0, 96, 67)]


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        (note("A5", 8, CUE) + note("C4", 8), [(48, 48, 60)]),
        (note("A5", 8, CUE) + note("C5", 8, CUE + "<chord/>") + note("C4", 8), [(48, 48, 60)]),
        (note("A5", 8, CUE) + note("C4", 8, "<chord/>") + note("E4", 8, "<chord/>"), [(0, 48, 60), (0, 48, 64)]),
        (note("C4", 8) + note("A5", 8, CUE + "<chord/>") + note("E4", 8, "<chord/>"), [(0, 48, 60), (0, 48, 64)]),
        (f"<note>{CUE}<rest/><duration>8</duration></note>" + note("C4", 8), [(48, 48, 60)]),
        ("<note><grace/><cue/><pitch><step>A</step><octave>5</octave></pitch></note>" + note("C4", 16), [(0, 96, 60)]),
        (note("C4", 16) + "<backup><duration>16</duration></backup>" + note("A5", 16, CUE), [(0, 96, 60)]),
        (note("A5", 8, CUE, '<tie type="start"/>') + note("A5", 8, "", '<tie type="stop"/>'), [(48, 48, 81)]),
        (note("C4", 16, "", '<type size="cue">whole</type>'), [(0, 96, 60)]),  # small notes are played
    ],
)
def test_cue_notes_are_rests(tmp_path, bar, expected):
    assert read(tmp_path, xml(bar)) == expected


def test_a_bar_of_cue_notes_keeps_its_place(tmp_path):
    assert read(tmp_path, xml(note("C5", 16), note("A5", 16, CUE), note("G4", 16))) == [(0, 96, 72), (192, 96, 67)]


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


OUTSIDE = '<!DOCTYPE score-partwise [<!ENTITY b SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xml(head=BOMB), "declares an entity"),
        (xml(head=OUTSIDE), "declares an entity"),
        (xml("<note>" * 100), "nested deeper than 64"),
        (xml(note("C4", "9" * 30)), "<duration> must be a number in 0..1,000,000,000"),
        (xml(note("C4", "nan")), "<duration> must be"),
        (xml(note("C4", 10**9), *[note("C4", 10**9)] * 3), "lasts 24,000,000,000 ticks, at most 4,000,000 are read"),
        (xml(note("C99")), "<octave> must be a number in -1..10"),
        (xml(note("G10")), "MIDI number 139, outside 0..127"),
        (xml(note("H4")), "step 'H'"),
        (xml("<attributes><divisions>0</divisions></attributes>"), "<divisions> must be"),
        (
            xml("<attributes><time><beats>1000000000</beats><beat-type>4</beat-type></time></attributes>"),
            "<beats> must",
        ),
        (xml("<attributes><time><beats>4</beats><beat-type>0</beat-type></time></attributes>"), "<beat-type> must be"),
        (xml(f'<direction><sound tempo="{"9" * 2000}"/></direction>'), "attribute of <sound> of more than 1,000"),
        (xml(note("C4", "4" * 2000)), "text in <duration> of more than 1,000"),
        (xml('<sound tempo="1e300"/>' + note()), "tempo_bpm must be in 4..600"),
        ("<mei/>", "its root is <mei>"),
    ],
)
def test_hostile_xml_is_one_clear_error(tmp_path, text, message):
    (tmp_path / "a.musicxml").write_text(text)
    with pytest.raises(MusicXMLError, match=rf"a\.musicxml: .*{message}") as error:
        read_musicxml(tmp_path / "a.musicxml")
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_EVENTS", 3, "more than 3 notes, bars and other events"),
        ("MAX_ELEMENTS", 10, "more than 10 XML elements"),
        ("MAX_BYTES", 100, "at most 100 are read"),
        ("MAX_PACKED_BYTES", 100, "larger than 100 bytes"),
    ],
)
def test_every_bound_is_named(tmp_path, monkeypatch, limit, value, message):
    path = write_mxl(tmp_path / "a.mxl", {"a.xml": OTHER})
    assert len(triples(path)) == 3
    monkeypatch.setattr(tree_module, limit, value)
    with pytest.raises(MusicXMLError, match=message):
        read_musicxml(path)


def test_a_packed_file_is_not_unpacked_when_it_is_too_large(tmp_path):
    path = write_mxl(tmp_path / "bomb.mxl", {"a.xml": b" " * (tree_module.MAX_BYTES + 1)})
    assert path.stat().st_size < 2**17
    with pytest.raises(MusicXMLError, match="unpacks to 67,108,865 bytes, at most 67,108,864 are read"):
        read_musicxml(path)
    path = write_mxl(tmp_path / "bomb.mxl", {"a.xml": b" " * 2**20}, zipfile.ZIP_LZMA)
    with pytest.raises(MusicXMLError, match="another method than deflate"):
        read_musicxml(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"<score-partwise>{'<part/>' * 1001}</score-partwise>", "has more than 1,000 parts"),
        (xml(note("C4", 4, "", "<tie/>" * 65)), "has a note of more than 64 elements"),
        (xml(f"<attributes>{'<divisions>1</divisions>' * 65}</attributes>"), "has a <attributes> of more than 64"),
    ],
)
def test_parts_and_elements_of_a_note_are_bounded(tmp_path, text, message):
    with pytest.raises(MusicXMLError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "files",
    [
        {"a b.xml": ONE, "META-INF/container.xml": container("a%20b.xml"), "a%20b.xml": OTHER},
        {"a%20b.xml": OTHER, "META-INF/container.xml": container("a%20b.xml"), "a b.xml": ONE},
        {"a.xml": ONE, "meta-inf/Container.xml": container("b.xml"), "b.xml": OTHER},
        {"__MACOSX/._b.xml": "x", "__MACOSX/b.xml": ONE, "d/._b.xml": "x", "b.xml": OTHER},
        {"readme.txt": "x", "B.MusicXML": OTHER},
        {"B.XML": OTHER},
    ],
)
def test_names_in_archives(tmp_path, files):
    assert len(triples(write_mxl(tmp_path / "a.mxl", files))) == 3


@pytest.mark.parametrize("start", [" \n", "\ufeff", "\ufeff\r\n", "\n\ufeff \t"])
def test_blanks_before_the_declaration(tmp_path, start):
    data = (start + xml(note("G4", 16))).encode()
    assert read(tmp_path, data) == [(0, 96, 67)]
    assert triples(write_mxl(tmp_path / "a.mxl", {"a.xml": data})) == [(0, 96, 67)]
