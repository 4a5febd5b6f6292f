"""Jazz solos as lead sheets: from times in seconds, and from the Weimar Jazz Database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.errors import ToccataError, printable
from toccata.music.chord_estimation import SEVENTH_CHORDS, ChordSpan, decoded_chords
from toccata.music.chord_symbols import ChordSymbolError, parse_chord
from toccata.music.midi.beats import COMMON_PERIOD, track_beats
from toccata.music.pulse import steady_beats
from toccata.music.score import NOTE_DTYPE, TICKS_PER_BEAT, Score

SUBDIVISIONS = (0, 6, 8, 12, 16, 18, 24)  # ticks of a beat: sixteenths, and triplets, which swung quavers are near
VELOCITY = 80
BEATS_PER_BAR = 4
MAX_BEATS = 10_000  # of a solo; the longest of the database has 1,500
SQLITE_HEADER = b"SQLite format 3\0"


class LeadSheetError(ToccataError, ValueError):
    """A database of lead sheets that cannot be read; one line."""


@dataclass(frozen=True)
class LeadSheet:
    """A melody and its chords.

    Attributes:
        id: unique in its source.
        performer, title: of the solo.
        melody: one line on the grid.
        chords: ascending; empty where none are given.
    """

    id: str
    performer: str
    title: str
    melody: Score
    chords: tuple[ChordSpan, ...] = ()


def read_weimar(path: str | PathLike[str]) -> Iterator[LeadSheet]:
    """The solos in 4/4 of the Weimar Jazz Database, on its annotated beats and with its chords.

    Args:
        path: `wjazzd.db`, the SQLite file of jazzomat.hfm-weimar.de. The database is under the Open Database License:
            what is derived from it and published stays under it. Of its tables, `solo_info`, `melody` and `beats` are
            read. Source: Pfleiderer et al. 2017, "Inside the Jazzomat".

    Raises:
        LeadSheetError: for a file that is missing or no such database, and for a chord symbol that cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                raise LeadSheetError(printable(f"{path}: is no SQLite database"))
    except OSError as error:
        raise LeadSheetError(printable(f"{path}: cannot be read: {error.strerror}")) from None
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT melid, performer, title, avgtempo FROM solo_info WHERE signature = '4/4' ORDER BY melid"
        ).fetchall()
        for number, performer, title, tempo in rows:
            beats = connection.execute(
                "SELECT onset, beat, chord FROM beats WHERE melid = ? ORDER BY onset", (number,)
            ).fetchall()
            notes = connection.execute(
                "SELECT pitch, onset, duration FROM melody WHERE melid = ? ORDER BY onset", (number,)
            ).fetchall()
            if 2 <= len(beats) <= MAX_BEATS and notes:
                yield _weimar_sheet(f"weimar-{number:03}", str(performer), str(title), tempo, beats, notes)
    except (sqlite3.Error, TypeError) as error:
        raise LeadSheetError(printable(f"{path}: is not the Weimar Jazz Database: {error}")) from None
    except ChordSymbolError as error:
        raise LeadSheetError(printable(f"{path}: {error}")) from None
    finally:
        connection.close()


def _weimar_sheet(
    number: str,
    performer: str,
    title: str,
    tempo: float | None,
    beats: Sequence[tuple[float, int, str | None]],
    notes: Sequence[tuple[float, float, float]],
) -> LeadSheet:
    """A solo from its rows of `beats` and `melody`."""
    onsets = np.array([row[0] for row in beats])
    first_beat = int(beats[0][1]) - 1  # of a bar, from 0
    melody = on_beats(np.array(notes, float), onsets, first_beat, _usable_tempo(tempo, onsets))
    lead_in = _lead_in_ticks(_on_subdivisions(_position(np.array(notes, float)[:, 1], onsets) + first_beat))
    chords = []
    for index, (_, _, symbol) in enumerate(beats):
        if symbol:  # empty where the chord does not change
            chords.append(ChordSpan(lead_in + (index + first_beat) * TICKS_PER_BEAT, parse_chord(symbol)))
    return LeadSheet(number, performer, title, melody, tuple(chords))


def from_seconds(notes: np.ndarray, tempo_bpm: float | None = None) -> Score:
    """A line of a recording on the grid, with tracked beats and an estimated first beat of the bar.

    Beats are the steady ones of the tempo (`steady_beats`), or without a tempo those of `track_beats`, which onsets of
    a single line determine badly. Bars have four beats; of the four possible first beats it is that whose most likely
    chords, one a bar, are the most likely.

    Args:
        notes: (notes, 3) pitch, onset and duration in seconds, by onset.
        tempo_bpm: the mean tempo in beats a minute, where it is known.

    Returns:
        The line. Without two different onsets it has all notes on the first beat.
    """
    times, lengths, pitches = notes[:, 1], notes[:, 2], notes[:, 0].astype(int)
    beats = steady_beats(times, tempo_bpm) if tempo_bpm else track_beats(times, times + lengths, pitches)
    if len(beats) < 2:
        beats = times[:1] + np.array([0.0, COMMON_PERIOD])
    lines = [on_beats(notes, beats, first, _usable_tempo(tempo_bpm, beats)) for first in range(BEATS_PER_BAR)]
    return max(lines, key=lambda line: decoded_chords(line, line.ticks_per_bar, SEVENTH_CHORDS)[1])


def on_beats(notes: np.ndarray, beats: np.ndarray, first_beat: int, tempo_bpm: float) -> Score:
    """Notes in seconds on the grid of given beats, each onset on the nearest sixteenth or triplet.

    Args:
        notes: (notes, 3) pitch, onset and duration in seconds, by onset.
        beats: (beats,) ascending seconds, at least two; beyond them the nearest period is continued.
        first_beat: which beat of its bar the first of them is, 0 to 3.
        tempo_bpm: of the score.

    Returns:
        A score of one line: a note ends at the latest where the next begins. It begins with the bar of the first beat,
        or as many whole bars earlier as notes before that bar need.
    """
    onsets = _position(notes[:, 1], beats) + first_beat
    ends = _position(notes[:, 1] + notes[:, 2], beats) + first_beat
    ticks = _on_subdivisions(onsets)
    lead_in = _lead_in_ticks(ticks)
    ticks += lead_in
    stops = np.maximum(np.round(ends * TICKS_PER_BEAT).astype(int) + lead_in, ticks + SUBDIVISIONS[1])
    order = np.lexsort((notes[:, 0], ticks))
    line = []
    for index, after in zip(order, [*order[1:], None], strict=True):
        if after is not None and ticks[after] == ticks[index]:
            continue  # of two notes that meet on the grid, one is kept
        stop = stops[index] if after is None else min(stops[index], ticks[after])
        line.append((ticks[index], stop - ticks[index], int(notes[index, 0]), VELOCITY))
    return Score(np.array(line, NOTE_DTYPE), beats_per_bar=BEATS_PER_BAR, tempo_bpm=tempo_bpm)


def _position(seconds: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Beats from the first of the given ones, linear between two of them and beyond the ends."""
    index = np.clip(np.searchsorted(beats, seconds, side="right") - 1, 0, len(beats) - 2)
    return index + (seconds - beats[index]) / (beats[index + 1] - beats[index])


def _on_subdivisions(beats: np.ndarray) -> np.ndarray:
    """The nearest tick of `SUBDIVISIONS` to each position in beats."""
    whole = np.floor(beats).astype(int)
    grid = np.array(SUBDIVISIONS)
    nearest = np.abs((beats - whole)[:, None] * TICKS_PER_BEAT - grid).argmin(1)
    return whole * TICKS_PER_BEAT + grid[nearest]


def _lead_in_ticks(ticks: np.ndarray) -> int:
    """Ticks of the whole bars that notes at these ticks need before the bar of the first beat, which begins at 0."""
    bar = BEATS_PER_BAR * TICKS_PER_BEAT
    return -min(0, int(ticks.min()) // bar) * bar


def _usable_tempo(tempo_bpm: float | None, beats: np.ndarray) -> float:
    """The tempo if it is known, else that of the beats; within what a score can have."""
    return float(np.clip(tempo_bpm or 60 / np.median(np.diff(beats)), 20, 400))
