"""MIDI files written byte by byte, for what no library would write."""

from __future__ import annotations

ON, OFF, END = "00 90 3c 50", "83 60 80 3c 40", "00 ff 2f 00"  # middle C, a beat of 480 file ticks
NOTE = f"{ON} {OFF} {END}"
OTHER_NOTE = f"00 90 40 50 83 60 80 40 40 {END}"  # the E above it


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a MIDI file."""
    return kind + len(content).to_bytes(4, "big") + content


def smf(*tracks: str | bytes, resolution: int = 480, kind: int = 1, declared: int | None = None) -> bytes:
    """A Standard MIDI File of tracks in hexadecimal or bytes; `declared` is the number of tracks that it claims."""
    declared = len(tracks) if declared is None else declared
    header = b"".join(number.to_bytes(2, "big") for number in (kind, declared, resolution))
    contents = (bytes.fromhex(track) if isinstance(track, str) else track for track in tracks)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", content) for content in contents)
