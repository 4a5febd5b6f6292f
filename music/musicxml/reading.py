"""Reading of notation files: MusicXML, plain or packed, ABC and Humdrum."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

from toccata.errors import one_line
from toccata.files import FileError, read_bytes
from toccata.music.musicxml.errors import MusicXMLError
from toccata.music.musicxml.music21_score import TEXT_SUFFIXES, decode_text, score_from_stream, stream_from_text
from toccata.music.musicxml.repeats import REPEATS, Repeats
from toccata.music.musicxml.tree import MAX_BYTES, musicxml_tree
from toccata.music.musicxml.tree_score import score_from_tree, staves
from toccata.music.score import Score

if TYPE_CHECKING:
    from music21.stream import Stream

MUSICXML_SUFFIXES = (".musicxml", ".xml", ".mxl")
MUSICXML_STARTS = (b"<", b"PK", b"\xff\xfe", b"\xfe\xff", b"\0<")  # of XML in UTF-8 and UTF-16, and of .mxl
UTF8_MARK = b"\xef\xbb\xbf"


def read_musicxml(path: str | PathLike[str], repeats: Repeats = "unfold") -> Score:
    """Read a MusicXML file, plain or packed (.mxl), or an ABC (.abc) or Humdrum (.krn) file, onto the grid.

    See `score_from_tree`; ABC and Humdrum are read by music21, see `score_from_stream`. The content decides whether a
    file is MusicXML. Other formats of music21 are not read: some would execute what the file says. Nothing outside the
    file is read, and no entity is expanded.

    Args:
        path: the file.
        repeats: "unfold": repeats, endings and jumps (da capo, dal segno, to coda, fine) are played, as in a MIDI file
            of the piece; "written": every bar is there once.

    Raises:
        MusicXMLError: for a file that cannot be read, has several pieces, or exceeds a bound: 64 MiB of XML, 16 MiB
            packed, 300,000 notes, bars and other events, 8 KiB of ABC, 64 KiB of Humdrum, 4 million ticks.
        OSError: when the file does not exist or cannot be opened.
    """
    return read_notation(path, repeats)[0]


def read_notation(path: str | PathLike[str], repeats: Repeats = "unfold") -> tuple[Score, int]:
    """`read_musicxml`, and the number of staves of the file, in all its parts."""
    path = Path(path)
    if repeats not in REPEATS:
        raise MusicXMLError(f"{path}: repeats must be {' or '.join(REPEATS)}, got {str(repeats)[:50]!r}")
    mode = path.stat().st_mode
    if not S_ISREG(mode):
        raise MusicXMLError(f"{path}: is {'a folder' if S_ISDIR(mode) else 'no regular file'}, not a notation file")
    path.open("rb").close()
    try:
        data = read_bytes(path, MAX_BYTES)
        suffix = path.suffix.lower()
        if suffix in MUSICXML_SUFFIXES or data[:100].removeprefix(UTF8_MARK).lstrip().startswith(MUSICXML_STARTS):
            tree = musicxml_tree(data)
            return score_from_tree(tree, repeats), staves(tree)
        stream = _text_stream(data, suffix)
        return score_from_stream(stream, repeats), len(getattr(stream, "parts", ()))
    except FileError as error:
        raise MusicXMLError(str(error)) from None
    except Exception as error:  # music21 raises any kind of error for a damaged file
        raise MusicXMLError(f"{path}: {_reason(error)}") from None


def _text_stream(data: bytes, suffix: str) -> Stream:
    """The music21 stream of the bytes of an ABC or Humdrum file."""
    if suffix not in TEXT_SUFFIXES:
        raise ValueError(f"is no MusicXML; by their names {' and '.join(TEXT_SUFFIXES)} files are read too")
    text = decode_text(data)
    pieces = len(re.findall(r"(?m)^X:", text)) if suffix == ".abc" else 1
    if pieces > 1:
        raise ValueError(f"has {pieces} pieces, expected one")
    return stream_from_text(text, suffix)


def _reason(error: Exception) -> str:
    """Why a file cannot be read, in one line."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return "needs too much memory" if isinstance(error, MemoryError) else one_line(error)
