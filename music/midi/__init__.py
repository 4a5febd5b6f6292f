"""Reading and writing of MIDI files."""

from toccata.music.midi.errors import MidiError, MidiWarning
from toccata.music.midi.reading import MAX_FILE_BYTES, MAX_TICKS, read_midi
from toccata.music.midi.writing import write_midi

__all__ = ["MAX_FILE_BYTES", "MAX_TICKS", "MidiError", "MidiWarning", "read_midi", "write_midi"]
