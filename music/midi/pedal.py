"""The sustain pedal."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal, NamedTuple

Pedal = Literal["ignore", "extend"]
PEDALS = ("ignore", "extend")
SUSTAIN = 64  # the controller
HALF_PEDAL = 64  # values from here on are down, of 0-127
RELEASING = (120, 121, 123)  # controllers: all sound off, reset all controllers, all notes off


class PedalEvent(NamedTuple):
    """The pedal of a channel goes down or up; sorted as in the merged stream of all tracks."""

    tick: int  # file ticks
    track: int
    order: int  # index of the event in its track
    down: bool


def pedal_down(controller: int, value: int) -> bool | None:
    """Whether a control change puts the pedal down or up; None where it does neither."""
    if controller == SUSTAIN:
        return value >= HALF_PEDAL
    return False if controller in RELEASING else None


def pedal_spans(events: Sequence[PedalEvent], end: int) -> list[tuple[int, int]]:
    """(down, up) ticks of a channel in order; a pedal that is never released goes up at `end`."""
    spans: list[tuple[int, int]] = []
    down: int | None = None
    for event in sorted(events):
        if event.down:
            down = event.tick if down is None else down
        elif down is not None:
            spans.append((down, event.tick))
            down = None
    return spans if down is None else [*spans, (down, end)]


def sounding_end(end: int, spans: Sequence[tuple[int, int]]) -> int:
    """When a note stops to sound whose key goes up at `end`: at the end of the span that contains this, if any."""
    index = bisect_left(spans, (end, 0)) - 1  # the last one that begins before
    return max(end, spans[index][1]) if index >= 0 else end
