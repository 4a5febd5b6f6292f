"""When each note of a song may begin: windows that follow from the text, the metre and the instrument."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toccata.envs.instrument import Piano
from toccata.music.lyrics import Lyrics, LyricsError
from toccata.music.score import TICKS_PER_BEAT
from toccata.settings.options import MAX_BARS

SHORTEST_TICKS = TICKS_PER_BEAT // 2  # of a sung note: an eighth
BREATH_TICKS = TICKS_PER_BEAT // 2  # of rest between two lines, at least: an eighth
CLOSEST_TICKS = TICKS_PER_BEAT // 2  # from one sung note to the next, on average, where a line has the fewest bars
EARLY_TICKS = TICKS_PER_BEAT  # before its even place
LATE_TICKS = TICKS_PER_BEAT  # after its even place, where the notes of the line are that far apart
BEATS_PER_NOTE = 0.75  # without `bars`: eight syllables take two bars of 4/4, as in most songs
BEATS_PER_LINE = 1.0  # beside those of its notes, for the last note and the breath


@dataclass(frozen=True)
class Schedule:
    """The windows of the sung notes, in ticks from the beginning of the song."""

    bars: int
    """Of the whole song; each line has a whole number of them."""
    earliest: np.ndarray
    """(n,) int32, the first tick at which each sung note may begin."""
    latest: np.ndarray
    """(n + 1,) int32, the last tick at which each sung note may begin; the last entry is the end of the song."""
    rest_after: np.ndarray
    """(n,) int32, ticks of rest in the sung line after each note, at least: the breath, or 0."""


def shortest_sung(piano: Piano) -> int:
    """The shortest value of a sung note.

    Raises:
        LyricsError: for a piano without a value of an eighth or more.
    """
    shortest = min((value for value in piano.values if value >= SHORTEST_TICKS), default=None)
    if shortest is None:
        raise LyricsError(f"a sung note has at least {SHORTEST_TICKS} ticks; the piano's values are {piano.values}")
    return shortest


def schedule(lyrics: Lyrics, piano: Piano, ticks_per_bar: int, bars: int | None = None) -> Schedule:
    """The windows of the sung notes of a text.

    A line of n notes has a number of whole bars. Its notes have even places, an n + 1st part of these bars from each
    other: the last note has two parts, for a longer value and the breath. A note may begin from a beat before its even
    place to a beat after it, or to that part where it is shorter. So the first note of a line may be an upbeat, and the
    words always end in time.

    Without `bars` the song has those of three quarters of a beat for each note of a line and one beat more, rounded up
    to bars. Each line has the fewest bars that its notes fit in, an eighth for each and one for the breath; the
    remaining bars go one by one to the line with the most notes a bar.

    Args:
        lyrics: the text.
        piano: the instrument, whose shortest value is the grid.
        ticks_per_bar: a multiple of that value.
        bars: of the song; None: as many as the text needs.

    Raises:
        LyricsError: for too few or too many bars, and for a piano without a value of an eighth or more.
    """
    step, shortest = piano.values[0], shortest_sung(piano)
    closest = _up(max(CLOSEST_TICKS, shortest), step)
    notes = np.array([sum(syllable.notes for syllable in line) for line in lyrics.lines])
    bars_of_lines = -(-(notes + 1) * closest // ticks_per_bar)  # the fewest
    if bars is None:
        ticks = ((notes * BEATS_PER_NOTE + BEATS_PER_LINE) * TICKS_PER_BEAT).astype(np.int64)
        bars = int(np.maximum(bars_of_lines, -(-ticks // ticks_per_bar)).sum())
        if bars > MAX_BARS:
            raise LyricsError(f"the lyrics need {bars:,} bars, a piece has at most {MAX_BARS:,}")
    if bars < bars_of_lines.sum():
        text = f"lyrics of {len(notes)} lines and {notes.sum()} notes"
        raise LyricsError(f"bars must be at least {bars_of_lines.sum()} for {text}, got {bars}")
    for _ in range(bars - int(bars_of_lines.sum())):
        bars_of_lines[np.argmax(notes / bars_of_lines)] += 1
    return _windows(notes, bars_of_lines * ticks_per_bar, int(bars_of_lines.sum()), closest, step)


def _windows(notes: np.ndarray, ticks: np.ndarray, bars: int, grid: int, step: int) -> Schedule:
    """The windows of lines with `notes` (lines,) in `ticks` (lines,) each; their ends are on the grid, an eighth."""
    parts = ticks / (notes + 1)
    late = (
        int(min(LATE_TICKS, parts.min())) // grid * grid
    )  # one for all, so that the order of the latest ticks is kept
    starts = np.cumsum(ticks) - ticks
    places = np.concatenate(
        [
            start + np.arange(n) * whole // (n + 1) // grid * grid
            for start, n, whole in zip(starts, notes, ticks, strict=True)
        ]
    )
    rest_after = np.zeros(len(places), np.int32)
    rest_after[np.cumsum(notes)[:-1] - 1] = _up(BREATH_TICKS, step)
    return Schedule(
        bars=bars,
        earliest=np.maximum(places - _up(EARLY_TICKS, grid), 0).astype(np.int32),
        latest=np.append(places + late, ticks.sum()).astype(np.int32),
        rest_after=rest_after,
    )


def _up(ticks: int, step: int) -> int:
    """`ticks`, or the next multiple of `step`."""
    return -(-ticks // step) * step
