"""The chunks of a Standard MIDI File, and the containers that it is found in."""

from __future__ import annotations

from dataclasses import dataclass

from toccata.music.midi.errors import MidiError

CHUNK_HEADER_BYTES = 8  # type and length
MACBINARY_HEADER_BYTES = 128  # put before a file by classic Mac OS; bytes 83-87 are the length of the file


@dataclass(frozen=True)
class Chunks:
    """The content of a Standard MIDI File of format 0 or 1."""

    resolution: int  # file ticks in a quarter note, 1-32767
    tracks: list[bytes]  # the events of each track


def read_chunks(data: bytes) -> Chunks:
    """The tracks of a file; RIFF files (.rmi) and files with a MacBinary header are unpacked first.

    Chunks of unknown types are skipped, and so is what follows the last track without being a chunk. Tracks beyond the
    number in the file's header are read.

    Raises:
        MidiError: for a file that is not MIDI, is incomplete, or is of a kind that is not read.
    """
    data = _unpacked(data)
    if not data.startswith(b"MThd"):
        if b"MThd".startswith(data[:4]):
            raise MidiError("ends too early: its header is incomplete")
        raise MidiError(f"is not a MIDI file: it begins with {data[:4]!r}, not with b'MThd'")
    header_bytes = int.from_bytes(data[4:8], "big")
    header, position = data[8:14], CHUNK_HEADER_BYTES + header_bytes
    if len(header) < 6 or position > len(data):
        raise MidiError("ends too early: its header is incomplete")
    if header_bytes < 6:
        raise MidiError(f"is damaged: its header has {header_bytes} bytes, expected 6")
    kind, declared, resolution = (int.from_bytes(header[at : at + 2], "big") for at in (0, 2, 4))
    if kind not in (0, 1):
        raise MidiError(f"is of MIDI format {kind}, only 0 and 1 are supported")
    if not 1 <= resolution < 2**15:
        raise MidiError(f"its time is not in beats (division {resolution}, expected 1..32767 ticks a beat)")
    tracks = _tracks(data, position, declared)
    if len(tracks) < declared:
        raise MidiError(f"ends too early: it has {len(tracks)} of the {declared} tracks that its header names")
    return Chunks(resolution, tracks)


def _tracks(data: bytes, position: int, declared: int) -> list[bytes]:
    """The content of the track chunks from `position` on."""
    tracks: list[bytes] = []
    while position + CHUNK_HEADER_BYTES <= len(data):
        kind = data[position : position + 4]
        start = position + CHUNK_HEADER_BYTES
        position = start + int.from_bytes(data[start - 4 : start], "big")
        if kind == b"MTrk":
            if position > len(data):
                missing = position - len(data)
                raise MidiError(f"ends too early: track {len(tracks) + 1} lacks its last {missing} bytes")
            tracks.append(data[start:position])
        elif kind == b"MThd":
            raise MidiError(f"holds a second MIDI file at byte {start - CHUNK_HEADER_BYTES}, only one is read")
        elif position > len(data) and len(tracks) < declared:
            raise MidiError(f"is damaged: no chunk at byte {start - CHUNK_HEADER_BYTES}, after {len(tracks)} tracks")
    return tracks


def _unpacked(data: bytes) -> bytes:
    """The Standard MIDI File in a RIFF file or after a MacBinary header; other data as they are."""
    if data[:1] == b"\0" and data[MACBINARY_HEADER_BYTES:].startswith(b"MThd"):
        length = int.from_bytes(data[83:87], "big")
        return data[MACBINARY_HEADER_BYTES:][: length or None]
    if not data.startswith(b"RIFF"):
        return data
    if data[8:12] != b"RMID":
        raise MidiError(f"is a RIFF file of type {data[8:12]!r}, not of type b'RMID'")
    position = 12
    while position + CHUNK_HEADER_BYTES <= len(data):
        kind, start = data[position : position + 4], position + CHUNK_HEADER_BYTES
        length = int.from_bytes(data[start - 4 : start], "little")
        if kind == b"data":
            return data[start : start + length]
        position = start + length + length % 2  # chunks begin at even bytes
    raise MidiError("is a RIFF file without a chunk of type b'data'")
