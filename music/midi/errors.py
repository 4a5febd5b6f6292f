"""The error of MIDI files, and the limits that it names."""

from __future__ import annotations

from toccata.errors import ToccataError

MAX_FILE_BYTES = 4 * 2**20  # a long symphony has a tenth of it
MAX_EVENTS = 500_000  # of any kind, used or not: 5 s and 200 MB at most; 4 MiB hold four times as many
MAX_NOTES = 200_000  # a long opera has half of it; a file of so many notes is still below MAX_FILE_BYTES
MAX_TICKS = 4_000_000  # on the grid: 23 hours at 120 bpm


class MidiWarning(UserWarning):
    """A MIDI file whose notes may not be where they were played; names the file and what can be done."""


class MidiError(ToccataError, ValueError):
    """A MIDI file that cannot be read, or a score that it cannot hold; names the file and the reason."""
