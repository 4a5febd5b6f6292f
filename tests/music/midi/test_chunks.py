"""Chunks and containers of MIDI files."""

import pytest

from helpers.midi_bytes import NOTE, OTHER_NOTE, chunk, smf
from toccata.music.midi import MidiError

TWO = smf(NOTE, OTHER_NOTE)
ONE = smf(NOTE)
HEADER_BYTES = 14


def riff(*chunks, kind=b"RMID"):
    body = b"".join(name + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + kind + body


@pytest.mark.parametrize(
    "data",
    [
        TWO,
        smf(NOTE, OTHER_NOTE, kind=0),
        smf(NOTE, OTHER_NOTE, declared=1),
        smf(NOTE, OTHER_NOTE, declared=0),
        TWO[:HEADER_BYTES] + chunk(b"XFIH", b"abcd") + TWO[HEADER_BYTES:],
        ONE + chunk(b"XFIH", b"abc") + chunk(b"\0\xff\0\0", b"") + smf(OTHER_NOTE)[HEADER_BYTES:],
        TWO + chunk(b"XFKM", b"MTrk and MThd"),
        TWO + b"\0\0\0",  # what is no chunk, after the last track
        TWO + b"\x1a" * 100,
        b"MThd\0\0\0\x08" + TWO[8:HEADER_BYTES] + b"\1\2" + TWO[HEADER_BYTES:],  # a longer header
        riff((b"data", TWO)),
        riff((b"LIST", b"INFOINAM\1\0\0\0x"), (b"data", TWO), (b"LIST", b"INFO")),
        riff((b"data", TWO)).replace(len(TWO).to_bytes(4, "little"), b"\xff\xff\xff\xff"),
        (bytes(83) + len(TWO).to_bytes(4, "big")).ljust(128, b"\0") + TWO + b"MTrk of a resource fork",
    ],
)
def test_all_tracks_are_read(notes_of, data):
    assert notes_of(data) == [(0, 24, 60), (0, 24, 64)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"MTh", "ends too early: its header is incomplete"),
        (TWO[:13], "ends too early: its header is incomplete"),
        (b"MThd\0\0\0\4\0\0\0\1", "ends too early: its header is incomplete"),
        (b"MThd\0\0\0\4\0\0\0\1\0\x60", "is damaged: its header has 4 bytes, expected 6"),
        (TWO[:-1], "ends too early: track 2 lacks its last 1 bytes"),
        (smf(NOTE, OTHER_NOTE, declared=1)[:-1], "ends too early: track 2 lacks its last 1 bytes"),
        (ONE[:-1], "ends too early: track 1 lacks its last 1 bytes"),
        (smf(NOTE, declared=3), "ends too early: it has 1 of the 3 tracks that its header names"),
        (smf(NOTE, declared=2) + b"\x1a" * 9, "is damaged: no chunk at byte 35, after 1 tracks"),
        (smf(NOTE, kind=2), "is of MIDI format 2, only 0 and 1 are supported"),
        (smf(NOTE, resolution=0xE728), "its time is not in beats (division 59176, expected 1..32767 ticks a beat)"),
        (TWO + ONE, f"holds a second MIDI file at byte {len(TWO)}, only one is read"),
        (riff((b"data", b"")), "ends too early: its header is incomplete"),
        (riff((b"fmt ", b"1234")), "is a RIFF file without a chunk of type b'data'"),
        (riff((b"data", b""), kind=b"WAVE"), "is a RIFF file of type b'WAVE', not of type b'RMID'"),
        (b"PK\3\4", "is not a MIDI file: it begins with b'PK\\x03\\x04', not with b'MThd'"),
    ],
)
def test_damaged_files_are_named(notes_of, data, reason):
    with pytest.raises(MidiError) as error:
        notes_of(data)
    assert str(error.value).endswith(f"file.mid: {reason}")
