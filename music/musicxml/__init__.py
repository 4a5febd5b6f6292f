"""Notation files: MusicXML both ways; ABC and Humdrum are read too."""

from toccata.music.musicxml.errors import MusicXMLError
from toccata.music.musicxml.music21_score import decode_text, score_from_stream, stream_from_text
from toccata.music.musicxml.reading import read_musicxml, read_notation
from toccata.music.musicxml.writing import write_musicxml

__all__ = [
    "MusicXMLError",
    "decode_text",
    "read_musicxml",
    "read_notation",
    "score_from_stream",
    "stream_from_text",
    "write_musicxml",
]
