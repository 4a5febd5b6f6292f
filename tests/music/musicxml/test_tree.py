"""MusicXML from strangers: containers, encodings, cue notes, and bounds."""

import contextlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from toccata.music.musicxml import MusicXMLError, read_musicxml
from toccata.music.musicxml import tree as tree_module

DOCTYPE = '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://x.org/partwise.dtd">'
SIGNATURE = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"


def note(pitch="C4", duration=4, first="", then=""):
    tags = f"<step>{pitch[0]}</step><octave>{pitch[1:]}</octave>"
    return f"<note>{first}<pitch>{tags}</pitch><duration>{duration}</duration>{then}</note>"


def xml(*bars, head='<?xml version="1.0"?>' + DOCTYPE):
    first, *others = bars or ("",)
    text = "".join(f"<measure>{bar}</measure>" for bar in (SIGNATURE + first, *others))
    return f'{head}<score-partwise version="4.0"><part id="P1">{text}</part></score-partwise>'


def container(path, kind=""):
    return f'<container><rootfiles><rootfile full-path="{path}"{kind}/></rootfiles></container>'


def write_mxl(path, files, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, text in files.items():
            archive.writestr(name, text if isinstance(text, bytes) else text.encode())
    return path


def triples(path):
    return [tuple(row)[:3] for row in read_musicxml(path).notes.tolist()]


def read(tmp_path, text, name="a.musicxml"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return triples(tmp_path / name)


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


CUE = "<cue/>"


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


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([note("C4", 16, "", '<tie type="start"/>'), note("C4", 16, "", '<tie type="stop"/>')], [(0, 192, 60)]),
        ([note("C4", 16), note("C4", 16, "", '<tie type="stop"/>')], [(0, 96, 60), (96, 96, 60)]),
        (  # across staves
            [
                note("C4", 16, "", '<tie type="start"/><staff>1</staff>'),
                note("C4", 16, "", '<tie type="stop"/><staff>2</staff>'),
            ],
            [(0, 192, 60)],
        ),
        (  # another voice strikes the key, and holds it to the bar line: no strike there
            [
                note("C4", 16, "", '<tie type="start"/>')
                + "<backup><duration>16</duration></backup><forward><duration>8</duration></forward>"
                + note("C4", 8),
                note("C4", 16, "", '<tie type="stop"/>'),
            ],
            [(0, 48, 60), (48, 144, 60)],
        ),
        (  # another voice strikes the key, and lets it go
            [
                note("C4", 16, "", '<tie type="start"/>')
                + "<backup><duration>16</duration></backup><forward><duration>8</duration></forward>"
                + note("C4", 4),
                note("C4", 16, "", '<tie type="stop"/>'),
            ],
            [(0, 48, 60), (48, 24, 60), (96, 96, 60)],
        ),
    ],
)
def test_ties(tmp_path, bars, expected):
    assert read(tmp_path, xml(*bars)) == expected


def test_the_notes_of_a_chord_last_as_long_as_its_first(tmp_path):
    tied = [note("C4", 16) + note("E4", 8, "<chord/>", '<tie type="start"/>'), note("E4", 16, "", '<tie type="stop"/>')]
    assert read(tmp_path, xml(*tied)) == [(0, 96, 60), (0, 192, 64)]


def test_transposition_and_microtones(tmp_path):
    clarinet = "<attributes><transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>"
    octave = "<attributes><transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose></attributes>"
    quarter_tone = note("C4", 16).replace("</step>", "</step><alter>0.5</alter>")
    assert read(tmp_path, xml(clarinet + note("C4", 16), octave + note("C4", 16))) == [(0, 96, 58), (96, 96, 48)]
    assert read(tmp_path, xml(quarter_tone)) == [(0, 96, 61)]


def test_velocity_of_every_note_of_a_chord(tmp_path):
    soft = note("C4", 16).replace("<note", '<note dynamics="44.44"')
    (tmp_path / "a.xml").write_text(xml(soft + soft.replace("C</", "E</").replace('">', '"><chord/>', 1)))
    assert [tuple(row) for row in read_musicxml(tmp_path / "a.xml").notes.tolist()] == [
        (0, 96, 60, 40),
        (0, 96, 64, 40),
    ]


METRONOME = "<direction><direction-type><metronome>{}</metronome></direction-type>{}</direction>"


@pytest.mark.parametrize(
    ("direction", "tempo"),
    [
        ("", 120),
        ('<sound tempo="72"/>', 72),
        (METRONOME.format("<beat-unit>half</beat-unit><per-minute>50</per-minute>", ""), 100),
        (METRONOME.format("<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>60</per-minute>", ""), 90),
        (METRONOME.format("<beat-unit>quarter</beat-unit><per-minute>c. 60</per-minute>", '<sound tempo="61"/>'), 61),
    ],
)
def test_tempo(tmp_path, direction, tempo):
    (tmp_path / "a.xml").write_text(xml(direction + note("C4", 16)))
    assert read_musicxml(tmp_path / "a.xml").tempo_bpm == tempo


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


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "suffix", ["musicxml", "xml", "mxl", "p", "pgz", "pickle", "json", "abc", "krn", "mei", "md", "zip"]
)
def test_nothing_is_executed(tmp_path, suffix):
    path, touched = tmp_path / f"a.{suffix}", tmp_path / "touched"
    for data in (pickle.dumps(Payload(touched)), pickle.dumps(Payload(touched), 0)):
        path.write_bytes(data)
        try:
            read_musicxml(path)
        except MusicXMLError as error:
            assert str(path) in str(error)
    write_mxl(path, {"a.p": pickle.dumps(Payload(touched)), "a.xml": ONE})
    assert triples(path) == [(0, 96, 60)]
    assert not touched.exists()


@pytest.mark.parametrize(("suffix", "text"), [("abc", "http://127.0.0.1:9/a.abc"), ("krn", "/etc/passwd")])
def test_no_address_and_no_name_in_a_text_is_followed(tmp_path, monkeypatch, suffix, text):
    import socket

    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a connection was opened"))
    (tmp_path / f"a.{suffix}").write_text(text)
    with contextlib.suppress(MusicXMLError):
        assert not len(read_musicxml(tmp_path / f"a.{suffix}"))


def test_texts_are_read_and_bounded(tmp_path):
    (tmp_path / "a.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n")
    (tmp_path / "a.krn").write_text("**kern\n*M4/4\n=1\n4c\n4d\n4e\n4f\n*-\n")
    four = [(0, 24, 60), (24, 24, 62), (48, 24, 64), (72, 24, 65)]
    assert triples(tmp_path / "a.abc") == triples(tmp_path / "a.krn") == four
    (tmp_path / "a.abc").write_text("X:1\nK:C\n" + "C" * 2**18)
    with pytest.raises(MusicXMLError, match="has more than 8,192 characters"):
        read_musicxml(tmp_path / "a.abc")
    (tmp_path / "a.mid").write_bytes(b"MThd")
    with pytest.raises(MusicXMLError, match="is no MusicXML"):
        read_musicxml(tmp_path / "a.mid")


def mutated(data, rng):
    """The data with random bytes changed, moved, doubled or cut."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at, length = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        kind = rng.integers(5)
        if kind == 0:
            data[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 30))
        elif kind == 3:
            data[at:at] = bytes(rng.choice(list(b"<>&;/!['\"0123456789eE-+. ")) for _ in range(3))
        else:
            other = int(rng.integers(len(data) + 1))
            data[at:at] = data[other : other + length]
    return bytes(data)


@pytest.mark.parametrize("packed", [False, True])
def test_mutated_files_are_read_or_are_one_clear_error(tmp_path, packed):
    rng = np.random.default_rng(0)
    text = xml(note() + note("E4", 4, "<chord/>") + note("A5", 8, CUE) + '<sound tempo="90"/>', note("G4", 16)).encode()
    buffer = io.BytesIO()
    write_mxl(buffer, {"META-INF/container.xml": container("a.xml"), "a.xml": text})
    path = tmp_path / "a.mxl"
    for _ in range(150):
        path.write_bytes(mutated(buffer.getvalue() if packed else text, rng))
        try:
            read_musicxml(path)
        except MusicXMLError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)


def parts_xml(*parts):
    bars = ("".join(f"<measure{bar}</measure>" for bar in part) for part in parts)
    return f"<score-partwise>{''.join(f'<part>{part}</part>' for part in bars)}</score-partwise>"


def rest(duration=None, first="<rest/>"):
    return f"<note>{first}{'' if duration is None else f'<duration>{duration}</duration>'}</note>"


WHOLE = '<rest measure="yes"/>'
THREE = SIGNATURE.replace("<beats>4", "<beats>3")
UPBEAT = ">" + SIGNATURE + note("G4", 4)
FULL = ">" + note("C5", 16)


@pytest.mark.parametrize(
    ("first", "second", "onsets"),
    [
        ([">" + SIGNATURE + note("G4", 12), FULL], [">" + SIGNATURE + note("C4", 16), FULL], [0, 0, 96, 96]),
        ([UPBEAT, FULL], [">" + SIGNATURE + rest(16, WHOLE), FULL], [72, 96, 96]),
        ([UPBEAT, FULL], [">" + SIGNATURE + rest(None, WHOLE), FULL], [72, 96, 96]),
        ([UPBEAT, FULL], [">" + SIGNATURE + rest(16), FULL], [72, 96, 96]),
        ([UPBEAT, FULL], [">" + SIGNATURE + rest(), FULL], [72, 96, 96]),
        ([UPBEAT, FULL], [">" + SIGNATURE + rest(8), FULL], [48, 96, 96]),  # half a bar of the upbeat is written
        ([">" + SIGNATURE, FULL], [">" + SIGNATURE, FULL], [96, 96]),
        ([">" + SIGNATURE, FULL, FULL], [">" + SIGNATURE, FULL], [96, 96, 192]),
        ([">" + SIGNATURE + note("G4", 16), FULL], [">" + SIGNATURE + rest(32), FULL], [0, 96, 96]),
        (
            [">" + SIGNATURE + note("G4", 16), ' implicit="yes">' + note("G4", 4), FULL],
            [">" + SIGNATURE + rest(16), ' implicit="yes">' + rest(16), FULL],
            [0, 96, 120, 120],
        ),
        (  # divisions of 3 and of 4
            [">" + SIGNATURE + note("G4", 16), FULL],
            [">" + SIGNATURE.replace(">4</div", ">3</div") + note("C4", 11), ">" + note("C4", 12)],
            [0, 0, 96, 96],
        ),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_bars_begin_together_in_all_parts(tmp_path, first, second, onsets, swapped):
    second = [bar.replace("<step>C", "<step>E") for bar in second]  # no unisons
    parts = [second, first] if swapped else [first, second]
    assert sorted(onset for onset, *_ in read(tmp_path, parts_xml(*parts))) == onsets


def test_a_tie_holds_over_the_bar_line_that_another_part_sets(tmp_path):
    tied = [">" + SIGNATURE + note("G4", 15, "", '<tie type="start"/>'), ">" + note("G4", 16, "", '<tie type="stop"/>')]
    assert read(tmp_path, parts_xml(tied, [">" + SIGNATURE + note("C4", 16)])) == [(0, 96, 60), (0, 192, 67)]


@pytest.mark.parametrize("duration", [None, 4, 12, 16])
def test_a_rest_for_the_whole_bar_lasts_as_its_signature_says(tmp_path, duration):
    bars = [">" + THREE + note("C4", 12), ">" + rest(duration, WHOLE), ">" + note("D4", 12)]
    assert read(tmp_path, parts_xml(bars)) == [(0, 72, 60), (144, 72, 62)]


def test_many_cue_chords_and_divisions_are_read(tmp_path):
    pair = note("A5", 1, CUE) + note("C4", 1, "<chord/>")
    assert len(read(tmp_path, xml(pair * 5_000))) == 5_000
    primes = [n for n in range(2, 20_000) if all(n % d for d in range(2, int(n**0.5) + 1))]
    divisions = "".join(f"<attributes><divisions>{n}</divisions></attributes>" for n in primes)
    assert read(tmp_path, xml(divisions + note("C4", primes[-1] * 4))) == [(0, 96, 60)]


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
