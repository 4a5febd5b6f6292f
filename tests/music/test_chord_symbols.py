"""Chord symbols of lead sheets and of the Harte syntax."""

import pytest

from toccata.music.chord_symbols import ChordSymbolError, parse_chord

LEAD_SHEET = {
    "C": (0, (0, 4, 7), 0),
    "Bbj7": (10, (0, 4, 7, 11), 10),
    "C-7": (0, (0, 3, 7, 10), 0),
    "G79b": (7, (0, 4, 7, 10, 13), 7),
    "G7b9": (7, (0, 4, 7, 10, 13), 7),
    "Fm7b5": (5, (0, 3, 6, 10), 5),
    "F-7b5": (5, (0, 3, 6, 10), 5),
    "Eo": (4, (0, 3, 6, 9), 4),
    "Eo7": (4, (0, 3, 6, 9), 4),
    "F#-": (6, (0, 3, 7), 6),
    "Db6": (1, (0, 4, 7, 9), 1),
    "D-6": (2, (0, 3, 7, 9), 2),
    "A-j7": (9, (0, 3, 7, 11), 9),
    "Ab7911#": (8, (0, 4, 7, 10, 14, 18), 8),
    "Gsus7": (7, (0, 5, 7, 10), 7),
    "G7sus4": (7, (0, 5, 7, 10), 7),
    "B+7": (11, (0, 4, 8, 10), 11),
    "C+": (0, (0, 4, 8), 0),
    "E7alt": (4, (0, 4, 10, 13, 20), 4),
    "C69": (0, (0, 4, 7, 9, 14), 0),
    "C6/9": (0, (0, 4, 7, 9, 14), 0),
    "C9": (0, (0, 4, 7, 10, 14), 0),
    "C-9": (0, (0, 3, 7, 10, 14), 0),
    "D-7/G": (2, (0, 3, 7, 10), 7),
    "Cmaj7": (0, (0, 4, 7, 11), 0),
    "Cm": (0, (0, 3, 7), 0),
}
HARTE = {
    "C:maj": (0, (0, 4, 7), 0),
    "A:min7": (9, (0, 3, 7, 10), 9),
    "A:min/b3": (9, (0, 3, 7), 0),
    "F:maj7/3": (5, (0, 4, 7, 11), 9),
    "D:sus4(b7)": (2, (0, 5, 7, 10), 2),
    "E:hdim7": (4, (0, 3, 6, 10), 4),
    "G:7(*5,13)": (7, (0, 4, 10, 21), 7),
    "C:(1,5)": (0, (0, 7), 0),
    "B:min9": (11, (0, 3, 7, 10, 14), 11),
    "Ab:maj(9)": (8, (0, 4, 7, 14), 8),
}


@pytest.mark.parametrize(("symbol", "expected"), [*LEAD_SHEET.items(), *HARTE.items()])
def test_known_chords(symbol, expected):
    chord = parse_chord(symbol)
    assert (chord.root, chord.intervals, chord.bass) == expected


@pytest.mark.parametrize("symbol", ["", "NC", "N", "X", " N.C. "])
def test_no_chord(symbol):
    assert parse_chord(symbol) is None


@pytest.mark.parametrize("symbol", ["H7", "C:majj", "Cxyz", "C:7/q", "b7", "C:(1,99)", "C7" * 300])
def test_unknown_symbols_are_named_in_one_line(symbol):
    with pytest.raises(ChordSymbolError, match="unknown chord symbol") as error:
        parse_chord(symbol)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_pitch_classes_thirds_and_sevenths():
    chord = parse_chord("G79b")
    assert chord.pitch_classes == {7, 11, 2, 5, 8}
    assert (chord.third, chord.seventh) == (4, 10)
    suspended = parse_chord("Gsus4")
    assert (suspended.third, suspended.seventh) == (5, None)
    assert parse_chord("D-7/G").pitch_classes == {2, 5, 9, 0, 7}


@pytest.mark.parametrize("symbol", ["C" + "/9" * 3000, f"C:maj({'1' * 5000})", f"C:maj/{'1' * 5000}"])
def test_endless_symbols_are_refused(symbol):
    with pytest.raises(ChordSymbolError, match="unknown chord symbol"):
        parse_chord(symbol)
