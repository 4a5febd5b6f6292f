"""Notes, bars and tempo of MusicXML files."""

import pytest

from helpers.musicxml import CUE, SIGNATURE, note, read, xml
from toccata.music.musicxml import read_musicxml


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
        (  # from the middle of a bar into another staff, as another voice of that staff begins
            [
                note("C5", 16, "", "<voice>1</voice><staff>1</staff>")
                + "<backup><duration>16</duration></backup>"
                + note("E3", 8, "", "<voice>5</voice><staff>2</staff>")
                + note("G4", 8, "", '<tie type="start"/><voice>5</voice><staff>2</staff>'),
                note("G4", 8, "", '<tie type="stop"/><voice>1</voice><staff>1</staff>')
                + note("C5", 8, "", "<voice>1</voice><staff>1</staff>"),
            ],
            [(0, 48, 52), (0, 96, 72), (48, 96, 67), (144, 48, 72)],
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


def attributes(*signature, key=""):
    beats = "<time><beats>{}</beats><beat-type>{}</beat-type></time>".format(*signature) if signature else ""
    return f"<attributes>{key}{beats}</attributes>"


def test_time_and_key_signatures_are_kept(tmp_path):
    flats, sharp, damaged = (f"<key><fifths>{text}</fifths></key>" for text in ("-3", "1", "x"))
    repeat = '<barline><repeat direction="backward"/></barline>'
    bars = [
        attributes(key=flats) + note("C4", 12),
        attributes(key="<key><key-step>F</key-step></key>" + damaged) + note("D4", 12),
        attributes(7, 8, key=sharp) + note("E4", 14) + repeat,
        attributes(6, 8) + note("F4", 12),
    ]
    (tmp_path / "a.xml").write_text(
        xml(*bars).replace("<beats>4</beats><beat-type>4<", "<beats>6</beats><beat-type>8<", 1)
    )
    written, played = (read_musicxml(tmp_path / "a.xml", repeats) for repeats in ("written", "unfold"))
    assert written.time_signatures == ((0, 6, 8), (144, 7, 8), (228, 6, 8))
    assert (written.beats_per_bar, written.bar_ticks.tolist()) == (3, [0, 72, 144, 228])
    assert written.key_signatures == ((0, -3), (144, 1))
    assert played.time_signatures == ((0, 6, 8), (144, 7, 8), (228, 6, 8), (372, 7, 8), (456, 6, 8))
    assert played.key_signatures == ((0, -3), (144, 1), (228, -3), (372, 1))
    assert played.length_ticks == 528


def test_keys_of_transposing_parts_are_left_out(tmp_path):
    clarinet = "<attributes><key><fifths>2</fifths></key><transpose><chromatic>-2</chromatic></transpose></attributes>"
    (tmp_path / "a.xml").write_text(xml(clarinet + note("C4", 16)))
    assert read_musicxml(tmp_path / "a.xml").key_signatures == ()
