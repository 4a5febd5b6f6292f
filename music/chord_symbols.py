"""Chord symbols of lead sheets and of the Harte syntax, read as pitch classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toccata.errors import ToccataError, shortened

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
DEGREES = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11, 8: 12, 9: 14, 10: 16, 11: 17, 12: 19, 13: 21}  # of a major scale
MAX_SYMBOL = 100  # characters; the longest that mean something have some thirty
NO_CHORD = frozenset({"", "N", "NC", "N.C.", "X", "&pause", "*"})

MAJOR, MINOR, DIMINISHED, AUGMENTED = (0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8)
HARTE_QUALITIES = {
    "": MAJOR,
    "maj": MAJOR,
    "min": MINOR,
    "dim": DIMINISHED,
    "aug": AUGMENTED,
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "maj7": (*MAJOR, 11),
    "min7": (*MINOR, 10),
    "7": (*MAJOR, 10),
    "dim7": (*DIMINISHED, 9),
    "hdim7": (*DIMINISHED, 10),
    "minmaj7": (*MINOR, 11),
    "maj6": (*MAJOR, 9),
    "min6": (*MINOR, 9),
    "9": (*MAJOR, 10, 14),
    "maj9": (*MAJOR, 11, 14),
    "min9": (*MINOR, 10, 14),
    "11": (*MAJOR, 10, 14, 17),
    "maj11": (*MAJOR, 11, 14, 17),
    "min11": (*MINOR, 10, 14, 17),
    "13": (*MAJOR, 10, 14, 21),
    "maj13": (*MAJOR, 11, 14, 21),
    "min13": (*MINOR, 10, 14, 21),
    "1": (0,),
    "5": (0, 7),
}
# Of a lead sheet's symbol, after the root: the first that matches, then the extensions.
LEAD_SHEET_QUALITIES = (
    (r"(?:m|-|min)7b5|ø7?", (*DIMINISHED, 10)),
    (r"(?:o|dim|°)7?(?=$|[^\d])", (*DIMINISHED, 9)),  # the jazz reading: a circle alone is the seventh chord
    (r"(?:-|min|m(?!aj))(?:j|maj|M|\^)7?", (*MINOR, 11)),
    (r"(?:-|min|m(?!aj))6", (*MINOR, 9)),
    (r"(?:-|min|m(?!aj))7(?=9|11|13|$|[^\d])", (*MINOR, 10)),
    (r"(?:-|min|m(?!aj))(?=9|11|13)", (*MINOR, 10)),
    (r"(?:-|min|m(?!aj))", MINOR),
    (r"(?:\+|aug)(?:j|maj|M|\^)7?", (*AUGMENTED, 11)),
    (r"(?:\+|aug)7", (*AUGMENTED, 10)),
    (r"(?:\+|aug)", AUGMENTED),
    (r"(?:j|maj|M|\^)7?", (*MAJOR, 11)),
    (r"sus7|7sus4?", (0, 5, 7, 10)),
    (r"sus2", (0, 2, 7)),
    (r"sus4?(?=9|11|13)", (0, 5, 7, 10)),
    (r"sus4?", (0, 5, 7)),
    (r"7alt|alt", (0, 4, 10, 13, 20)),
    (r"6", (*MAJOR, 9)),
    (r"7", (*MAJOR, 10)),
    (r"(?=9|11|13)", (*MAJOR, 10)),
    (r"", MAJOR),
)
EXTENSION = re.compile(r"(?:([b#])(5|9|11|13)|(5|9|11|13)([b#]?)|(alt)|(sus4?))")
FIFTHS = (6, 7, 8)


class ChordSymbolError(ToccataError, ValueError):
    """A chord symbol that cannot be read; one line."""


@dataclass(frozen=True)
class Chord:
    """A chord, independent of its voicing.

    Attributes:
        root: pitch class, 0 (C) to 11 (B).
        intervals: semitones above the root, ascending and below 24; 14 is a ninth.
        bass: pitch class of the lowest note.
    """

    root: int
    intervals: tuple[int, ...]
    bass: int

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Pitch classes of the chord and of its bass."""
        return frozenset({self.bass, *((self.root + each) % 12 for each in self.intervals)})

    @property
    def third(self) -> int | None:
        """Semitones from the root to the third, or to the fourth or second that is suspended; None: it has neither."""
        return next((each for each in (4, 3, 5, 2) if each in self.intervals), None)

    @property
    def seventh(self) -> int | None:
        """Semitones from the root to the seventh or sixth; None: it has neither."""
        return next((each for each in (10, 11, 9) if each in self.intervals), None)


def parse_chord(symbol: str) -> Chord | None:
    """The chord of a symbol; None for the symbols of no chord, such as "NC" and "N".

    Args:
        symbol: of a lead sheet as in the Weimar Jazz Database ("Bbj7", "C-7", "G79b", "Fm7b5/Eb"), or in the syntax of
            Harte et al. 2005, "Symbolic representation of musical chords", ISMIR ("A:min7/b3", "D:sus4(b7,*5)"). A
            symbol with a colon is read as the latter.

    Raises:
        ChordSymbolError: for any other text, naming it.
    """
    text = symbol.strip()
    if text in NO_CHORD:
        return None
    chord = None
    if len(text) <= MAX_SYMBOL:
        chord = _harte(text) if ":" in text else _lead_sheet(text)
    if chord is None:
        raise ChordSymbolError(
            f"unknown chord symbol '{shortened(symbol, 40)}': it must be of a lead sheet, such as Bbj7, C-7 and G79b, "
            "or of the Harte syntax, such as A:min7/b3"
        )
    return chord


def _harte(text: str) -> Chord | None:
    match = re.fullmatch(r"([A-G][b#]*):([a-z]*\d*)(?:\(([^)]*)\))?(?:/([b#]*\d+))?", text)
    if not match or match[2] not in HARTE_QUALITIES:
        return None
    # Degrees without a quality are the whole chord: "C:(1,5)".
    intervals = {0} if not match[2] and match[3] else set(HARTE_QUALITIES[match[2]])
    for degree in match[3].split(",") if match[3] else ():
        omitted = degree.strip().startswith("*")
        semitones = _degree(degree.strip().lstrip("*"))
        if semitones is None:
            return None
        (intervals.discard if omitted else intervals.add)(semitones)
    bass = _degree(match[4]) if match[4] else 0
    return None if bass is None else _chord(_root(match[1]), intervals, bass)


def _lead_sheet(text: str) -> Chord | None:
    match = re.fullmatch(r"([A-G][b#]?)([^/]*)(?:/([A-G][b#]?))?", text)
    if not match:
        # "C6/9" and "C/9": a slash before an extension.
        match = re.fullmatch(r"([A-G][b#]?)([^/]*)/(?=9)(.*)", text)
        if not match:
            return None
        return _lead_sheet(match[1] + match[2] + match[3])
    root, rest = _root(match[1]), match[2].replace("(", "").replace(")", "").replace(",", "")
    for pattern, quality in LEAD_SHEET_QUALITIES:
        start = re.match(pattern, rest)
        if start:
            intervals = _extended(set(quality), rest[start.end() :])
            if intervals is not None:
                return _chord(root, intervals, (_root(match[3]) - root) % 12 if match[3] else 0)
    return None


def _extended(intervals: set[int], text: str) -> set[int] | None:
    """The intervals with the extensions of the text, "9b13" or "#11"; None for a text that is none."""
    while text:
        match = EXTENSION.match(text)
        if not match:
            return None
        if match[5]:
            intervals |= {13, 20}
        elif match[6]:
            intervals = intervals - {3, 4} | {5}
        else:
            degree = int(match[2] or match[3])
            semitones = DEGREES[degree] + {"b": -1, "#": 1, "": 0}[match[1] or match[4] or ""]
            intervals = (intervals - set(FIFTHS) if degree == 5 else intervals) | {semitones}
        text = text[match.end() :]
    return intervals


def _root(name: str) -> int:
    return (STEPS[name[0]] + name.count("#") - name.count("b")) % 12


def _degree(text: str) -> int | None:
    """Semitones above the root of a degree such as "b7"; None for another text."""
    match = re.fullmatch(r"([b#]*)(\d+)", text)
    if not match or int(match[2]) not in DEGREES:
        return None
    return DEGREES[int(match[2])] + match[1].count("#") - match[1].count("b")


def _chord(root: int, intervals: set[int], bass: int) -> Chord:
    """The chord with the bass that many semitones above the root."""
    return Chord(root, tuple(sorted(each % 24 for each in intervals)), (root + bass) % 12)
