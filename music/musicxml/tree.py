"""The element tree of a MusicXML file, compressed or not: checked, bounded, and only of what a score is read from."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Mapping
from io import BytesIO
from urllib.parse import unquote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from toccata.errors import ToccataError
from toccata.music.musicxml.directions import DYNAMICS
from toccata.music.musicxml.own_fields import NAME

MAX_PACKED_BYTES = 16 * 2**20  # of an .mxl file; MusicXML is packed to a twentieth
MAX_BYTES = 64 * 2**20  # of XML; a symphony of 100,000 notes has about 50 MB
MAX_EVENTS = 300_000  # notes, bars and other children of bars
MAX_PARTS = 1_000  # the largest orchestral scores have about a hundred
MAX_EVENT_ELEMENTS = 64  # that are read, of a note or another event; a note has about ten
MAX_ELEMENTS = 4_000_000  # of XML, about twenty a note
MAX_DEPTH = 64  # of nested elements; MusicXML has about ten
MAX_TEXT = 1_000  # characters of a text or an attribute that is read

CONTAINER = "META-INF/container.xml"
ROOT_TYPES = (None, "", "application/vnd.recordare.musicxml+xml", "application/vnd.recordare.musicxml")
SUFFIXES = (".musicxml", ".xml", ".mxl")  # of the root file, where no container names it; .mxl is XML of a wrong name
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what MusicXML allows; others are unpacked without a bound
UTF8_MARK = b"\xef\xbb\xbf"

# parent -> its children that are read
READ: Mapping[str, frozenset[str]] = {
    parent: frozenset(children.split())
    for parent, children in {
        "": "score-partwise",
        "score-partwise": "identification part",
        "identification": "miscellaneous",
        "miscellaneous": "miscellaneous-field",
        "part": "measure",
        "measure": "note backup forward attributes direction sound barline",
        "note": "pitch rest unpitched chord grace cue duration tie staff notations",
        "notations": "dynamics",
        "dynamics": " ".join(DYNAMICS),
        "pitch": "step alter octave",
        "backup": "duration",
        "forward": "duration",
        "attributes": "divisions time key transpose",
        "key": "fifths",
        "time": "beats beat-type",
        "transpose": "chromatic octave-change",
        "direction": "direction-type sound staff",
        "direction-type": "metronome dynamics",
        "barline": "repeat ending",
        "metronome": "beat-unit beat-unit-dot per-minute",
    }.items()
}
ATTRIBUTES = frozenset(  # of the elements that are read
    (
        *("number", "type", "dynamics", "tempo", "measure", "implicit", "direction", "times"),
        *("segno", "coda", "dalsegno", "tocoda", "dacapo", "fine", "name", "attack", "release"),
    )
)
RANGES: Mapping[str, tuple[float, float]] = {  # of the texts that are numbers
    "divisions": (1e-3, 1e6),
    "duration": (0, 1e9),
    "octave": (-1, 10),
    "alter": (-4, 4),
    "beat-type": (1, 1024),
    "chromatic": (-99, 99),
    "octave-change": (-9, 9),
}
EVENT_DEPTH = 4  # of notes and other children of bars; the root's is 1
MAX_BEATS = 1_000  # in a bar, one number or a sum


class MusicXMLTreeError(ToccataError, ValueError):
    """Data that is no MusicXML, or exceeds a bound; gives the reason."""


def musicxml_tree(data: bytes) -> Element:
    """The tree of a MusicXML file's bytes, plain or packed (.mxl), with the elements of `READ` only.

    Cue notes are rests: they show what another part plays.

    Raises:
        MusicXMLTreeError: for data that is no MusicXML, is damaged, declares entities, or exceeds a bound, naming it.
    """
    if data.startswith(b"PK"):
        data = _root_file(data)
    if len(data) > MAX_BYTES:
        raise MusicXMLTreeError(f"has {len(data):,} bytes of XML, at most {MAX_BYTES:,} are read")
    root = _Reader(READ).tree(data)
    for measure in root.iter("measure"):
        _silence_cues(measure)
    return root


def _root_file(packed: bytes) -> bytes:
    """The MusicXML file in an .mxl: the one that META-INF/container.xml names; without a container, the first."""
    if len(packed) > MAX_PACKED_BYTES:
        raise MusicXMLTreeError(f"is larger than {MAX_PACKED_BYTES:,} bytes")
    try:
        with zipfile.ZipFile(BytesIO(packed)) as archive:
            members = [(_name(member), member) for member in archive.infolist()]
            files = {name: member for name, member in reversed(members) if not _is_of_macos(name)}  # of each the first
            folded = {_normal_name(name).lower(): member for name, member in files.items()}  # of each the first
            container = files.get(CONTAINER, folded.get(CONTAINER.lower()))
            named = None if container is None else _named_root(_unpacked(archive, container))
            if named is None:
                member = next((file for name, file in members if name in files and _is_notation(name)), None)
            else:
                normal = {_normal_name(name): member for name, member in files.items()}
                member = files.get(named, normal.get(_normal_name(named)))
            if member is not None:
                return _unpacked(archive, member)
            if named is None:
                raise MusicXMLTreeError("holds no MusicXML file")
            raise MusicXMLTreeError(f"its {CONTAINER} names {named[:200]!r}, which is not in it")
    except MusicXMLTreeError:
        raise
    except Exception as error:  # zipfile raises nearly any kind for a damaged file
        raise MusicXMLTreeError(f"is damaged: {error}") from None


def _named_root(container: bytes) -> str | None:
    """The path of the first root file that is MusicXML, of the first at all if no type is; None without root files."""
    try:
        files = [element for element in _Reader(None).tree(container).iter() if _local(element.tag) == "rootfile"]
    except MusicXMLTreeError as error:
        raise MusicXMLTreeError(f"its {CONTAINER} {error}") from None
    files = [file for file in files if file.get("full-path")]
    files.sort(key=lambda file: file.get("media-type") not in ROOT_TYPES)  # stable
    return files[0].get("full-path") if files else None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, whose size is checked before it is unpacked."""
    if member.file_size > MAX_BYTES:
        raise MusicXMLTreeError(f"unpacks to {member.file_size:,} bytes, at most {MAX_BYTES:,} are read")
    if member.compress_type not in PACKINGS:
        raise MusicXMLTreeError(f"{member.filename!r} in it is packed with another method than deflate")
    return archive.read(member)


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a member: UTF-8, as the standard says, also where it is not flagged so."""
    if not member.flag_bits & 0x800:
        try:
            return member.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return member.filename


def _normal_name(name: str) -> str:
    """A path in an archive as programs mean it: without escapes, backslashes, or a root."""
    return posixpath.normpath(unquote(name).replace("\\", "/")).lstrip("/")


def _is_of_macos(name: str) -> bool:
    """Whether a member is what macOS adds to an archive: a copy of a file's attributes under its name."""
    folders = _normal_name(name).split("/")
    return "__MACOSX" in folders or folders[-1].startswith("._")


def _is_notation(name: str) -> bool:
    """Whether a member may be the root file where no container names one."""
    name = _normal_name(name).lower()
    return name.endswith(SUFFIXES) and not name.startswith("meta-inf/")


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


class _Reader:
    """Builds a tree from XML, within the bounds.

    Args:
        read: parent -> children that become part of the tree, as `READ`; None for all.
    """

    def __init__(self, read: Mapping[str, frozenset[str]] | None) -> None:
        self.read = read
        self.builder = TreeBuilder()
        self.open = [""]  # tags of the open elements that are read
        self.skipped = 0  # open elements below one that is not read
        self.elements = self.events = self.parts = 0
        self.event_elements = 0  # that are read, of the event that is open
        self.text: list[str] = []  # of the element that is open

    def tree(self, data: bytes) -> Element:
        """The root element.

        Raises:
            MusicXMLTreeError: as `musicxml_tree`.
        """
        encoding, data = _encoding(data), _without_blanks(data)
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.EntityDeclHandler = self._entity
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise MusicXMLTreeError(f"is no readable XML: {error}") from None
        except (LookupError, UnicodeError) as error:
            raise MusicXMLTreeError(f"is of an unknown encoding: {error}") from None
        return self.builder.close()

    def _entity(self, name: str, *_: object) -> None:
        raise MusicXMLTreeError(f"declares an entity ({name[:50]!r}); files with entities are not read")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise MusicXMLTreeError(f"has more than {MAX_ELEMENTS:,} XML elements")
        if len(self.open) + self.skipped > MAX_DEPTH:
            raise MusicXMLTreeError(f"has elements nested deeper than {MAX_DEPTH}")
        other_field = tag == "miscellaneous-field" and attributes.get("name") != NAME
        if self.skipped or (self.read is not None and (tag not in self.read.get(self.open[-1], ()) or other_field)):
            if not self.skipped and len(self.open) == 1:
                raise MusicXMLTreeError(f"its root is <{tag[:50]}>, not <score-partwise>")
            self.skipped += 1
            return
        if self.read is not None:
            if attributes:
                attributes = {name: value for name, value in attributes.items() if name in ATTRIBUTES}
            self._count(tag)
        if attributes and any(len(value) > MAX_TEXT for value in attributes.values()):
            raise MusicXMLTreeError(f"has an attribute of <{tag[:50]}> of more than {MAX_TEXT:,} characters")
        self.builder.start(tag, attributes)
        self.open.append(tag)
        self.text = []

    def _count(self, tag: str) -> None:
        """Count an element that is read."""
        if tag == "part":
            self.parts += 1
            if self.parts > MAX_PARTS:
                raise MusicXMLTreeError(f"has more than {MAX_PARTS:,} parts")
        elif tag == "measure" or self.open[-1] == "measure":
            self.event_elements = 0
            self.events += 1
            if self.events > MAX_EVENTS:
                raise MusicXMLTreeError(f"has more than {MAX_EVENTS:,} notes, bars and other events")
        elif len(self.open) > EVENT_DEPTH:
            self.event_elements += 1
            if self.event_elements > MAX_EVENT_ELEMENTS:
                event = "a note" if self.open[EVENT_DEPTH] == "note" else f"a <{self.open[EVENT_DEPTH]}>"
                raise MusicXMLTreeError(f"has {event} of more than {MAX_EVENT_ELEMENTS} elements")

    def _data(self, text: str) -> None:
        if not self.skipped:
            self.text.append(text)

    def _end(self, tag: str) -> None:
        if self.skipped:
            self.skipped -= 1
            return
        self.open.pop()
        text = "".join(self.text).strip()
        self.text = []
        if len(text) > MAX_TEXT:
            raise MusicXMLTreeError(f"has a text in <{tag[:50]}> of more than {MAX_TEXT:,} characters")
        if text:
            if self.read is not None:
                self._check(tag, text)
            self.builder.data(text)
        self.builder.end(tag)

    def _check(self, tag: str, text: str) -> None:
        """Check the text of an element that is a number."""
        if tag in RANGES:
            low, high = RANGES[tag]
            try:
                valid = low <= float(text) <= high
            except ValueError:
                valid = False
            if not valid:
                raise MusicXMLTreeError(f"<{tag}> must be a number in {low:,.12g}..{high:,.12g}, got {text[:50]!r}")
        elif tag == "beats":
            numbers = text.split("+")
            digits = all(number.strip().isdecimal() and len(number) < 9 for number in numbers)
            if not digits or not 1 <= sum(map(int, numbers)) <= MAX_BEATS:
                raise MusicXMLTreeError(f"<beats> must be 1..{MAX_BEATS}, or a sum such as 3+2, got {text[:50]!r}")


def _encoding(data: bytes) -> str | None:
    """The encoding that the first bytes show, None where the XML declaration or UTF-8 counts.

    Files in UTF-16 whose declaration says UTF-8 are common: programs convert the text and not the declaration.
    """
    starts = ((UTF8_MARK, "UTF-8"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
    bare = ((b"<\0", "UTF-16LE"), (b"\0<", "UTF-16BE"))
    return next((name for start, name in starts + bare if data.startswith(start)), None)


def _without_blanks(data: bytes) -> bytes:
    """The data without blanks before the XML declaration, of which XML allows none; UTF-16 as it is."""
    start = data[:MAX_TEXT]
    bare = start.lstrip().removeprefix(UTF8_MARK).lstrip()
    return data[len(start) - len(bare) :] if bare.startswith(b"<") and not bare.startswith(b"<\0") else data


def _silence_cues(measure: Element) -> None:
    """Replace the cue notes of a bar by rests.

    Where only the first notes of a chord are cues, the next one takes their place.
    """
    children: list[Element | None] = []  # None: a rest that a note of its chord has replaced
    chord_is_cue = False  # all its notes so far
    rest: int | None = None  # the index of the rest in the place of that chord, if any
    for child in measure:
        if child.tag != "note":
            children.append(child)
            continue
        chord = child.find("chord")
        if child.find("cue") is None:
            if chord is not None and chord_is_cue:
                child.remove(chord)
                if rest is not None:
                    children[rest] = None
            chord_is_cue, rest = False, None
            children.append(child)
        elif chord is None:
            chord_is_cue, rest = True, None
            if child.find("grace") is None:
                child[:] = [Element("rest"), *(part for part in child if part.tag == "duration")]
                rest = len(children)
                children.append(child)
    measure[:] = [child for child in children if child is not None]
