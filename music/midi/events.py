"""The events of a MIDI track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from toccata.music.midi.errors import MidiError

# A channel event's status is its kind plus its channel, 0-15.
NOTE_OFF, NOTE_ON, CONTROL_CHANGE, PROGRAM_CHANGE = 0x80, 0x90, 0xB0, 0xC0
META = 0xFF
# Kinds of meta events
TEXT, PORT, END_OF_TRACK, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x01, 0x21, 0x2F, 0x51, 0x58, 0x59

MAX_NUMBER_BYTES = 4  # of a number of variable length, as the standard says
# Data bytes of the messages that belong on a cable, not in a file; 0xF4 and 0xF5 are not defined.
SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, **dict.fromkeys(range(0xF8, META), 0)}


class Event(NamedTuple):
    """One event of a track."""

    tick: int  # file ticks from the start of the file
    status: int  # 0x80-0xEF for a channel event, 0xF0-0xFE for a system event, 0xFF for a meta event
    data: bytes  # of a channel event its data bytes, of a meta event its kind and its payload, of a system event b""


def read_events(track: bytes, number: int) -> Iterator[Event]:
    """The events of a track, up to its end or its event `END_OF_TRACK`.

    Every event is skipped or read by its length; what it means is not checked here. Running status goes on after meta
    and system events, as many programs write it.

    Args:
        track: the content of its chunk.
        number: of the track, from 1, for messages.

    Raises:
        MidiError: naming track and tick, where the bytes are no event.
    """
    position = tick = running_status = 0
    try:
        while position < len(track):
            delta, position = _number(track, position) if track[position] >= 0x80 else (track[position], position + 1)
            tick += delta
            status = track[position]
            if status >= 0x80:
                position += 1
                if status < 0xF0:
                    running_status = status
            elif running_status:
                status = running_status
            else:
                raise MidiError(f"byte 0x{status:02X} where an event must begin")
            if status < 0xF0:
                end = position + (1 if 0xC0 <= status < 0xE0 else 2)
                data = track[position:end]
                if not data.isascii():  # isascii: below 0x80
                    raise MidiError(f"event 0x{status:02X} has the data bytes {data.hex(' ')}, expected 00..7f")
            elif status == META:
                length, start = _number(track, position + 1)
                end = start + length
                data = track[position : position + 1] + track[start:end]
            elif status in (0xF0, 0xF7):  # system exclusive, and its continuation
                length, start = _number(track, position)
                end, data = start + length, b""
            elif status in SYSTEM_DATA_BYTES:
                end, data = position + SYSTEM_DATA_BYTES[status], b""
            else:
                raise MidiError(f"event 0x{status:02X} is not defined")
            if end > len(track):
                raise MidiError(f"event 0x{status:02X} is longer than its track by {end - len(track)} bytes")
            position = end
            yield Event(tick, status, data)
            if status == META and data[0] == END_OF_TRACK:
                return
    except IndexError:
        raise damage(number, tick, "its track ends within an event") from None
    except MidiError as error:
        raise damage(number, tick, str(error)) from None


def damage(track: int, tick: int, reason: str) -> MidiError:
    """The error for a damaged event of a track (from 1) at a file tick."""
    return MidiError(f"is damaged: track {track}, tick {tick}: {reason}")


def _number(track: bytes, position: int) -> tuple[int, int]:
    """The number of variable length at `position`, and the position after it."""
    byte = track[position]
    number = byte & 0x7F
    start = position
    while byte >= 0x80:
        position += 1
        if position - start == MAX_NUMBER_BYTES:
            raise MidiError(f"a number of more than {MAX_NUMBER_BYTES} bytes")
        byte = track[position]
        number = number << 7 | byte & 0x7F
    return number, position + 1
