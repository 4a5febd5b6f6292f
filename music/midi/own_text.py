"""Text events that hold what no other MIDI event can; other programs ignore them."""

from __future__ import annotations

import re

from toccata.music.midi.errors import MidiError

HEADER = "toccata ticks_per_beat="  # the beginning of a text event in the first track
END = "toccata end"  # a text event at the end of the score


def header_text(ticks_per_beat: int, beats_per_bar: float | None = None) -> str:
    """The text event that holds the grid, and the bar where no time signature can."""
    return f"{HEADER}{ticks_per_beat}" + (f" beats_per_bar={beats_per_bar!r}" if beats_per_bar is not None else "")


def parse_header(text: str) -> tuple[int, float | None]:
    """Inverse of `header_text`.

    Raises:
        MidiError: for a text that `header_text` does not make.
    """
    match = re.fullmatch(rf"{HEADER}(\d{{1,9}})(?: beats_per_bar=(\d{{1,10}}(?:\.\d{{1,20}})?))?", text, re.ASCII)
    if not match:
        raise MidiError(f"text event {text[:80]!r}, expected e.g. {header_text(24, 4.5)!r}")
    ticks_per_beat, beats_per_bar = match.groups()
    return int(ticks_per_beat), float(beats_per_bar) if beats_per_bar else None
