"""A score: notes on a tick grid, in one canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Literal

import numpy as np

from toccata.music.metre import (
    KeySignature,
    TimeSignature,
    bar_starts,
    beside_bar,
    canonical_signatures,
    checked_keys,
    checked_signatures,
    longest_metre,
    next_bar_line,
    sliced,
)

TICKS_PER_BEAT = 24  # a grid of thirty-seconds and triplets, which misses 0-2 % of the onsets of real keyboard music

NOTE_DTYPE = np.dtype(
    [
        ("onset_tick", np.int32),  # >= 0
        ("duration_ticks", np.int32),  # >= 1
        ("pitch", np.int16),  # MIDI number, 0-127; 60 is middle C
        ("velocity", np.int16),  # 1-127
    ]
)


@dataclass(frozen=True, eq=False)
class Score:
    """One piece for one instrument.

    The notes are put into canonical form on construction, so that equal music is an equal `Score`: sorted by onset,
    then pitch; two notes of one pitch never sound at once (an earlier one ends at the onset of the next; of several
    with one onset the longest is kept).

    Args:
        notes: structured array of `NOTE_DTYPE`, or any iterable of `(onset_tick, duration_ticks, pitch,
            velocity)`.
        ticks_per_beat: grid, ticks in a quarter note.
        beats_per_bar: quarter notes in a bar; 3 for 3/4 and 6/8, 3.5 for 7/8. Of a score whose metre changes, those of
            the metre that lasts longest, which instruments and networks count in. By default that of
            `time_signatures`, else 4.
        tempo_bpm: quarter notes a minute, rounded to 0.01 (the precision of a MIDI file), in [4, 600].
        length_ticks: end of the piece, at least the end of the last note. By default the bar line at or after the end
            of the last note.
        time_signatures: (tick, numerator, denominator) of each section with one metre, the first at tick 0; bars are
            counted from there, so a repeated signature begins a bar after an incomplete one. They say what
            `beats_per_bar` cannot: 6/8, and changes of the metre. Empty where `beats_per_bar` says all.
        key_signatures: (tick, fifths) of the source: -7 to 7, sharps counted positive. They say how pitches are spelled
            and no more: scores that differ in them alone are equal. Empty where they are not known.

    Raises:
        ValueError: for a value outside the ranges above, naming it.
    """

    notes: np.ndarray = field(default_factory=lambda: np.empty(0, NOTE_DTYPE))
    ticks_per_beat: int = TICKS_PER_BEAT
    beats_per_bar: float = None  # type: ignore[assignment]  # a float from __post_init__ on; None: derived
    tempo_bpm: float = 120.0
    length_ticks: int = -1  # -1: derived from the notes
    time_signatures: tuple[TimeSignature, ...] = ()
    key_signatures: tuple[KeySignature, ...] = ()

    if TYPE_CHECKING:  # the constructor takes more types than the fields have

        def __init__(
            self,
            notes: np.ndarray | Iterable[tuple[int, int, int, int]] = ...,
            ticks_per_beat: int = ...,
            beats_per_bar: float | None = ...,
            tempo_bpm: float = ...,
            length_ticks: int = ...,
            time_signatures: Iterable[Sequence[int]] = ...,
            key_signatures: Iterable[Sequence[int]] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        if not 1 <= self.ticks_per_beat <= 960 or self.ticks_per_beat % 1:
            raise ValueError(f"ticks_per_beat must be a whole number in 1..960, got {self.ticks_per_beat}")
        object.__setattr__(self, "ticks_per_beat", int(self.ticks_per_beat))
        if self.length_ticks % 1:
            raise ValueError(f"length_ticks must be a whole number, got {self.length_ticks}")
        tempo_bpm = round(float(self.tempo_bpm), 2)
        if not 4 <= tempo_bpm <= 600:
            raise ValueError(f"tempo_bpm must be in 4..600, got {self.tempo_bpm}")
        notes = _canonical(_as_notes(self.notes))
        end = int((notes["onset_tick"] + notes["duration_ticks"]).max()) if len(notes) else 0
        length = self.length_ticks
        signatures = checked_signatures(self.time_signatures, self.ticks_per_beat)
        if signatures:
            length = next_bar_line(signatures, self.ticks_per_beat, 0, end) if length < 0 else length
            signatures = canonical_signatures(signatures, self.ticks_per_beat, length)
        beats = longest_metre(signatures, length) if self.beats_per_bar is None else self.beats_per_bar
        exact_ticks_per_bar = beats * self.ticks_per_beat
        ticks_per_bar = round(exact_ticks_per_bar) if 1 - 1e-6 < exact_ticks_per_bar < 2**30 else 0
        if not ticks_per_bar or abs(exact_ticks_per_bar - ticks_per_bar) > 1e-6:
            raise ValueError(
                f"beats_per_bar must make a whole number of ticks a bar, got {beats} beats of "
                f"{self.ticks_per_beat} ticks"
            )
        beats = ticks_per_bar / self.ticks_per_beat
        length = next_bar_line((), self.ticks_per_beat, ticks_per_bar, end) if length < 0 else length
        if length < end:
            raise ValueError(f"length_ticks is {length}, but the last note ends at tick {end}")
        signatures = beside_bar(signatures, beats)
        notes.setflags(write=False)
        for name, value in (
            ("notes", notes),
            ("tempo_bpm", tempo_bpm),
            ("beats_per_bar", int(beats) if beats.is_integer() else beats),
            ("length_ticks", int(length)),
            ("time_signatures", signatures),
            ("key_signatures", checked_keys(self.key_signatures)),
        ):
            object.__setattr__(self, name, value)

    # Derived values

    def __len__(self) -> int:
        """Number of notes."""
        return len(self.notes)

    @property
    def ticks_per_bar(self) -> int:
        """Ticks in a bar."""
        return round(self.beats_per_bar * self.ticks_per_beat)

    @property
    def bars(self) -> int:
        """Number of bars, the last one possibly incomplete."""
        if self.time_signatures:
            return len(self.bar_ticks)
        return -(-self.length_ticks // self.ticks_per_bar)

    @property
    def bar_ticks(self) -> np.ndarray:
        """(bars,) int64, the tick at which each bar begins."""
        if self.time_signatures:
            return bar_starts(self.time_signatures, self.ticks_per_beat, self.length_ticks)
        return np.arange(0, self.length_ticks, self.ticks_per_bar)

    @property
    def main_bar_ticks(self) -> np.ndarray:
        """(n,) int64, the tick at which each bar of `beats_per_bar` begins; incomplete ones only at the end."""
        starts = self.bar_ticks
        if not len(starts):
            return starts
        ends = np.append(starts[1:], self.next_bar_line(int(starts[-1]) + 1))
        return starts[ends - starts == self.ticks_per_bar]

    def next_bar_line(self, tick: int) -> int:
        """The first bar line at or after `tick`; the end of the piece is one only if its last bar is complete."""
        return next_bar_line(self.time_signatures, self.ticks_per_beat, self.ticks_per_bar, tick)

    @property
    def seconds_per_tick(self) -> float:
        """Duration of a tick in seconds."""
        return 60.0 / (self.tempo_bpm * self.ticks_per_beat)

    @property
    def length_seconds(self) -> float:
        """Duration of the piece in seconds, without the release of the last notes."""
        return self.length_ticks * self.seconds_per_tick

    @property
    def offset_ticks(self) -> np.ndarray:
        """(notes,) int32, the tick at which each note ends."""
        return self.notes["onset_tick"] + self.notes["duration_ticks"]

    def _key(self) -> tuple:
        return (
            self.notes.tobytes(),
            self.ticks_per_beat,
            self.beats_per_bar,
            self.tempo_bpm,
            self.length_ticks,
            self.time_signatures,
        )

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Score) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        bars = f"{self.bars} bars of {self.beats_per_bar} beats"
        return f"Score({len(self)} notes, {bars}, {self.tempo_bpm:g} bpm)"

    # Derived scores

    def transpose(self, semitones: int) -> Score:
        """The score moved by `semitones`.

        Raises:
            ValueError: when a note would leave MIDI's 0..127.
        """
        notes = self.notes.copy()
        if len(notes) and not -notes["pitch"].min() <= semitones <= 127 - notes["pitch"].max():
            raise ValueError(f"transposing by {semitones} semitones takes a note outside MIDI's range 0..127")
        notes["pitch"] += semitones
        keys = self.key_signatures
        if semitones % 12:
            keys = tuple(key._replace(fifths=(key.fifths + 7 * semitones + 6) % 12 - 6) for key in keys)
        return replace(self, notes=notes, key_signatures=keys)

    def slice(self, start_tick: int, end_tick: int) -> Score:
        """The notes with `start_tick <= onset < end_tick`, cut at `end_tick` and moved earlier by `start_tick`."""
        if not 0 <= start_tick <= end_tick:
            raise ValueError(f"need 0 <= start_tick <= end_tick, got {start_tick} and {end_tick}")
        onset = self.notes["onset_tick"]
        notes = self.notes[(onset >= start_tick) & (onset < end_tick)].copy()
        notes["onset_tick"] -= start_tick
        length = end_tick - start_tick
        notes["duration_ticks"] = np.minimum(notes["duration_ticks"], length - notes["onset_tick"])
        if not self.time_signatures and not self.key_signatures:
            return replace(self, notes=notes, length_ticks=length)
        signatures = sliced(self.time_signatures, start_tick, end_tick)
        beats_per_bar = self.beats_per_bar
        if signatures and beats_per_bar not in {each.beats_per_bar for each in signatures}:
            beats_per_bar = longest_metre(signatures, length)
        return replace(
            self,
            notes=notes,
            length_ticks=length,
            beats_per_bar=beats_per_bar,
            time_signatures=signatures,
            key_signatures=sliced(self.key_signatures, start_tick, end_tick),
        )

    def barred(self, beats_per_bar: float) -> Score:
        """The same notes in bars of `beats_per_bar` quarters, counted from the beginning."""
        return replace(self, beats_per_bar=beats_per_bar, time_signatures=())

    # Piano roll and sound

    def roll(self) -> np.ndarray:
        """Piano roll, (length_ticks, 128) uint8: the velocity of each pitch at each tick, 0 where it is silent."""
        roll = np.zeros((self.length_ticks, 128), np.uint8)
        for onset, duration, pitch, velocity in self.notes.tolist():
            roll[onset : onset + duration, pitch] = velocity
        return roll

    def audio(self, sample_rate: int = 16_000) -> np.ndarray:
        """The sound of the piece on a piano, (samples,) float32 mono in [-1, 1]; see `NoteBank`."""
        from toccata.music.sound.bank import note_bank

        return note_bank(sample_rate).render([self])[0]

    # Files

    @classmethod
    def from_midi(
        cls,
        path: str | PathLike[str],
        ticks_per_beat: int | None = None,
        pedal: Literal["ignore", "extend"] = "ignore",
        beats: Literal["file", "track"] = "file",
    ) -> Score:
        """Read a MIDI file onto the grid; see `toccata.music.midi.read_midi`."""
        from toccata.music.midi import read_midi

        return read_midi(path, ticks_per_beat, pedal, beats)

    def to_midi(self, path: str | PathLike[str]) -> None:
        """Write a MIDI file that `from_midi` reads back as an equal score."""
        from toccata.music.midi import write_midi

        write_midi(self, path)

    @classmethod
    def from_musicxml(cls, path: str | PathLike[str], repeats: Literal["unfold", "written"] = "unfold") -> Score:
        """Read a MusicXML file, plain or packed, or an ABC or Humdrum file; see `toccata.music.musicxml`."""
        from toccata.music.musicxml import read_musicxml

        return read_musicxml(path, repeats)

    def to_musicxml(self, path: str | PathLike[str], title: str | None = None, composer: str | None = None) -> None:
        """Write a MusicXML file for piano that `from_musicxml` reads back as an equal score."""
        from toccata.music.musicxml import write_musicxml

        write_musicxml(self, path, title, composer)


def _as_notes(notes: np.ndarray | Iterable[tuple[int, int, int, int]]) -> np.ndarray:
    """Notes as a new `NOTE_DTYPE` array, with every field checked to be inside its range."""
    if not isinstance(notes, np.ndarray) or notes.dtype.names is None:
        exact = np.dtype([(name, np.float64) for name in NOTE_DTYPE.fields or ()])  # no overflow, no truncation
        notes = np.array([tuple(note) for note in notes], exact)
    for name, low, high in (
        ("onset_tick", 0, 2**29),  # onset + duration fit int32
        ("duration_ticks", 1, 2**29),
        ("pitch", 0, 127),
        ("velocity", 1, 127),
    ):
        values = notes[name]
        bad = (values < low) | (values > high)
        if values.dtype.kind == "f":
            bad |= values % 1 != 0  # true of NaN too
        if bad.any():
            raise ValueError(f"{name} must be a whole number in {low}..{high}, got {values[bad][0]:.12g}")
    return notes.astype(NOTE_DTYPE)


def _canonical(notes: np.ndarray) -> np.ndarray:
    """Sort by onset, then pitch; end each note at the onset of the next of its pitch."""
    notes = notes[np.lexsort((-notes["duration_ticks"], notes["onset_tick"], notes["pitch"]))]
    same_pitch = notes["pitch"][1:] == notes["pitch"][:-1]
    doubled = same_pitch & (notes["onset_tick"][1:] == notes["onset_tick"][:-1])
    notes = notes[np.concatenate(([True], ~doubled))] if len(notes) else notes
    same_pitch = notes["pitch"][1:] == notes["pitch"][:-1]
    until_next = np.diff(notes["onset_tick"])
    shortened = np.minimum(notes["duration_ticks"][:-1], until_next)
    notes["duration_ticks"][:-1] = np.where(same_pitch, shortened, notes["duration_ticks"][:-1])
    return notes[np.lexsort((notes["pitch"], notes["onset_tick"]))]
