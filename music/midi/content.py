"""The content of a MIDI file that a score is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from toccata.music.metre import KeySignature, TimeSignature
from toccata.music.midi.chunks import read_chunks
from toccata.music.midi.errors import MAX_EVENTS, MidiError
from toccata.music.midi.events import (
    CONTROL_CHANGE,
    KEY_SIGNATURE,
    META,
    NOTE_OFF,
    NOTE_ON,
    PORT,
    PROGRAM_CHANGE,
    TEMPO,
    TEXT,
    TIME_SIGNATURE,
    damage,
    read_events,
)
from toccata.music.midi.keys import KeyEvent, Keys, Note
from toccata.music.midi.own_text import END, HEADER, parse_header
from toccata.music.midi.pedal import Pedal, PedalEvent, pedal_down

DEFAULT_TEMPO = 500_000  # microseconds a beat, until the first tempo event


@dataclass
class Content:
    """What a score needs of a MIDI file; all times in file ticks."""

    resolution: int  # file ticks in a quarter note
    notes: list[Note] = field(default_factory=list)  # sorted by start
    tempi: list[tuple[int, int]] = field(default_factory=list)  # (tick, microseconds a beat), sorted by tick
    signatures: list[TimeSignature] = field(default_factory=list)  # sorted by tick
    keys: list[KeySignature] = field(default_factory=list)  # sorted by tick
    header: tuple[int, float | None] | None = None  # ticks a beat and beats a bar of the score, in files of ours
    score_ends: list[int] = field(default_factory=list)
    last_tick: int = 0  # of any event


def read_content(data: bytes, pedal: Pedal = "ignore") -> Content:
    """The content of a MIDI file; its notes last as the pedal says, see `read_midi`."""
    chunks = read_chunks(data)
    content = Content(chunks.resolution)
    keys = Keys()
    events_left = MAX_EVENTS
    for number, track in enumerate(chunks.tracks, 1):
        events_left -= _read_track(content, keys, track, number, events_left)
    content.notes = keys.pitched_notes(extended=pedal == "extend")
    content.tempi.sort(key=lambda tempo: tempo[0])  # stable: at one tick the last track's is in force
    content.signatures.sort(key=lambda signature: signature.tick)
    content.keys.sort(key=lambda key: key.tick)
    return content


def _read_track(content: Content, keys: Keys, track: bytes, number: int, events_left: int) -> int:
    """Add the events of a track; returns how many there are."""
    port = tick = 0
    order = -1
    for order, (tick, status, data) in enumerate(read_events(track, number)):
        if order == events_left:
            raise MidiError(f"has more than {MAX_EVENTS:,} events")
        kind = status & 0xF0
        if kind in (NOTE_ON, NOTE_OFF):
            velocity = data[1] if kind == NOTE_ON else 0
            keys.add_key(16 * port + status % 16, data[0], KeyEvent(tick, number, order, velocity))
        elif kind == CONTROL_CHANGE:
            down = pedal_down(*data)
            if down is not None:
                keys.add_pedal(16 * port + status % 16, PedalEvent(tick, number, order, down))
        elif kind == PROGRAM_CHANGE:
            keys.add_program(16 * port + status % 16, tick, number, order, data[0])
        elif status == META and data[0] == PORT and len(data) > 1:
            port = data[1]
        elif status == META:
            _add_meta(content, number, tick, data)
    keys.end_track(number, tick)
    content.last_tick = max(content.last_tick, tick)
    return order + 1


def _add_meta(content: Content, track: int, tick: int, data: bytes) -> None:
    """Add a meta event, if a score needs it."""
    kind, payload = data[0], data[1:]
    if kind == TEMPO:
        if len(payload) != 3:
            raise damage(track, tick, f"tempo event of {len(payload)} bytes, expected 3")
        if not any(payload):
            raise damage(track, tick, "has a tempo of 0 microseconds a beat")
        content.tempi.append((tick, int.from_bytes(payload, "big")))
    elif kind == TIME_SIGNATURE:
        if len(payload) < 2:  # the other two are for metronomes and engravers
            raise damage(track, tick, f"time signature of {len(payload)} bytes, expected 4")
        content.signatures.append(TimeSignature(tick, payload[0], 2 ** payload[1]))
    elif kind == KEY_SIGNATURE and payload:  # a key of no meaning says nothing
        fifths = payload[0] - 256 * (payload[0] > 127)
        if -7 <= fifths <= 7:
            content.keys.append(KeySignature(tick, fifths))
    elif kind == TEXT and payload.startswith(HEADER.encode()) and track == 1 and not content.header:
        content.header = parse_header(payload.decode("latin-1"))
    elif kind == TEXT and payload == END.encode():
        content.score_ends.append(tick)
