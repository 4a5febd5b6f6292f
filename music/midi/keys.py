"""Notes from note-on and note-off events."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from toccata.music.midi.errors import MAX_NOTES, MidiError
from toccata.music.midi.pedal import PedalEvent, pedal_spans, sounding_end

DRUM_CHANNEL = 9  # zero-based
FIRST_EFFECT_PROGRAM = 112  # zero-based; the percussive instruments and sound effects of General MIDI: no pitches


class KeyEvent(NamedTuple):
    """A note-on or a note-off; sorted as in the merged stream of all tracks."""

    tick: int  # file ticks
    track: int
    order: int  # index of the event in its track
    velocity: int  # 0: a note-off


class Note(NamedTuple):
    """A note in file ticks."""

    start: int
    end: int  # >= start
    pitch: int
    velocity: int  # 1-127


class Keys:
    """Collects the key and program events of all tracks, one track after the other, and pairs them to notes.

    A channel is 16 times the port of the track plus 0..15: files for several devices use each channel several times.
    """

    def __init__(self) -> None:
        self._events: dict[tuple[int, int], list[KeyEvent]] = defaultdict(list)  # (channel, pitch) -> by track
        self._programs: dict[int, list[tuple[int, int, int, int, int]]] = defaultdict(list)
        self._pedals: dict[int, list[PedalEvent]] = defaultdict(list)  # channel -> by track
        self._track_ends: dict[int, int] = {}
        self._struck: dict[int, tuple[int, int]] = {}  # channel -> track and tick of its last note-on
        self._notes = 0

    def add_key(self, channel: int, pitch: int, event: KeyEvent) -> None:
        """Add a note-on or a note-off.

        Raises:
            MidiError: when there are too many notes.
        """
        self._events[channel, pitch].append(event)
        if event.velocity:
            self._struck[channel] = event.track, event.tick
            self._notes += 1
            if self._notes > MAX_NOTES:
                raise MidiError(f"has more than {MAX_NOTES:,} notes")

    def add_program(self, channel: int, tick: int, track: int, order: int, program: int) -> None:
        """Add a program change. At its tick it precedes the notes of all tracks, unless it follows one in its own."""
        after_note = self._struck.get(channel) == (track, tick)
        self._programs[channel].append((tick, int(after_note), track, order, program))

    def add_pedal(self, channel: int, event: PedalEvent) -> None:
        """Add a movement of the sustain pedal."""
        self._pedals[channel].append(event)

    def end_track(self, track: int, tick: int) -> None:
        """Notes of the track that no note-off ends last until this tick."""
        self._track_ends[track] = tick

    def pitched_notes(self, extended: bool = False) -> list[Note]:
        """The notes without drums and effects, sorted by start; of one start and pitch by track and order in it.

        Args:
            extended: whether the pedal of their channel extends them.
        """
        spans = {channel: self._spans(events) for channel, events in self._pedals.items() if extended}
        for programs in self._programs.values():
            programs.sort()
        found = [
            (event, sounding_end(self._end(event, end), spans.get(channel, ())), pitch)
            for (channel, pitch), events in self._events.items()
            if channel % 16 != DRUM_CHANNEL
            for event, end in _paired(events)
            if self._program(channel, event) < FIRST_EFFECT_PROGRAM
        ]
        found.sort()
        return [Note(event.tick, end, pitch, event.velocity) for event, end, pitch in found]

    def _end(self, event: KeyEvent, end: int | None) -> int:
        """When the key of a note-on goes up; where no note-off says it, when its track ends."""
        return max(event.tick, self._track_ends[event.track] if end is None else end)

    def _spans(self, events: list[PedalEvent]) -> list[tuple[int, int]]:
        """When the pedal of a channel is down; one that is never released until its track ends."""
        return pedal_spans(events, self._track_ends[max(events).track])

    def _program(self, channel: int, event: KeyEvent) -> int:
        """The program of the channel at a note-on."""
        programs = self._programs.get(channel, [])
        index = bisect_left(programs, (event.tick, 1, event.track, event.order, 0))
        return programs[index - 1][-1] if index else 0


class Pairing:
    """Pairs the note-ons and note-offs of one key in order: a note-off ends the note that began first.

    Args:
        events: in the order in which they happen.
        early: whether a note-off of a key that is up ends the next note, if that begins at the same tick: how music21
            writes notes without length.
        restrikes: so many times a note-on ends the note that sounds: for programs that write one note-off for a key
            struck twice.
    """

    def __init__(self, events: Iterable[KeyEvent], early: bool = False, restrikes: int = 0) -> None:
        self.notes: list[tuple[KeyEvent, int | None]] = []  # note-on, tick of the end
        self.unused = 0  # note-offs that end no note
        self.early = 0  # those of them that precede a note-on of the same tick
        sounding: deque[KeyEvent] = deque()
        waiting, waiting_tick = 0, -1  # unused note-offs of one tick
        for event in events:
            if not event.velocity:
                if sounding:
                    self.notes.append((sounding.popleft(), event.tick))
                else:
                    waiting, waiting_tick = (waiting + 1 if event.tick == waiting_tick else 1), event.tick
                    self.unused += 1
                continue
            if restrikes and sounding:
                self.notes.append((sounding.popleft(), event.tick))
                restrikes -= 1
            if waiting and event.tick == waiting_tick:
                waiting -= 1
                self.early += 1
                if early:
                    self.notes.append((event, event.tick))
                    self.unused -= 1
                    continue
            sounding.append(event)
        self.hanging = len(sounding)  # notes that no note-off ends
        self.notes += [(event, None) for event in sounding]

    @property
    def unpaired(self) -> int:
        """Number of note-ons and note-offs without the other."""
        return self.unused + self.hanging


def _paired(events: list[KeyEvent]) -> Iterator[tuple[KeyEvent, int | None]]:
    """The note-ons of one channel and pitch, each with the tick of its end; None where no note-off ends it.

    Tracks of one channel, such as the hands of a piano, are paired apart, unless more events find their partner in the
    tracks merged.
    """
    pairings = [_best_pairing(list(track)) for _, track in groupby(events, key=lambda event: event.track)]
    unpaired = sum(pairing.unpaired for pairing in pairings)
    if unpaired and len(pairings) > 1:
        merged = _best_pairing(sorted(events, key=lambda event: event.tick))  # stable: by track within a tick
        if merged.unpaired < unpaired:
            pairings = [merged]
    for pairing in pairings:
        yield from pairing.notes


def _best_pairing(events: list[KeyEvent]) -> Pairing:
    """First in, first out; where that leaves notes without an end, the variant that leaves the fewest events over."""
    best = plain = Pairing(events)
    if 0 < plain.early <= plain.hanging:
        best = min(plain, Pairing(events, early=True), key=lambda pairing: pairing.unpaired)
    if best.hanging:
        restruck = Pairing(events, best is not plain, restrikes=best.hanging)
        best = min(best, restruck, key=lambda pairing: pairing.unpaired)
    return best
