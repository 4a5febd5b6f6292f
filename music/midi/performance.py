"""Recorded performances: whether a file is one, and its notes as played to beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from toccata.music.metre import KeySignature
from toccata.music.midi.beats import track_beats
from toccata.music.midi.content import DEFAULT_TEMPO, Content
from toccata.music.midi.errors import MidiError
from toccata.music.score import TICKS_PER_BEAT

Beats = Literal["file", "track"]
BEATS = ("file", "track")
OFF_GRID = 1 / 4  # of a tick of the grid: notation is nearer to it, but for rare values such as quintuplets
PERFORMED_SHARE = 0.3  # of the onsets off the grid; docs/music.md has that of notated files and of performances
FEWEST_ONSETS = 32  # at fewer different times nothing is said
MAX_TRACKED_SECONDS = 3600  # an hour needs about 10 s and 300 MB
TRACKED_RESOLUTION = 960  # file ticks in a tracked beat


def off_grid_share(onsets: Sequence[int], resolution: int) -> float:
    """Share of the onset times that are more than a quarter of a tick from a grid of 24 a beat, in [0, 1].

    Of all grids, those later by a part of a tick among them, the one that most onsets are near: an introductory grace
    note moves all notes of some files. A resolution too coarse for such times has 0, and so have fewer than 32 times.

    Args:
        onsets: file ticks, with repetitions.
        resolution: file ticks in a quarter.
    """
    ticks = np.unique(np.asarray(onsets, np.int64))
    if len(ticks) < FEWEST_ONSETS:
        return 0.0
    places = np.sort(ticks * TICKS_PER_BEAT % resolution)  # from the grid, in file ticks times 24
    tolerance = max(OFF_GRID * resolution, TICKS_PER_BEAT)  # or one file tick, by which programs round
    around = np.concatenate((places, places + resolution))
    near = np.searchsorted(around, places + 2 * tolerance, side="right") - np.arange(len(places))
    return float(max(1 - near.max() / len(places), 0))


def tracked(content: Content) -> Content:
    """The content with its notes moved so that tracked beats are quarters, at their mean tempo, the first at tick 0.

    Between two beats, times are interpolated linearly; before the first and after the last, the nearest period is
    continued. What the file says of tempo and metre is left out. A file with fewer than two beats is returned as it is.

    Raises:
        MidiError: for a performance of more than an hour.
    """
    if not content.notes:
        return content
    seconds = _Seconds(content)
    onsets = seconds([note.start for note in content.notes])
    ends = seconds([note.end for note in content.notes])
    first, last = onsets[0], ends.max()
    if last - first > MAX_TRACKED_SECONDS:
        raise MidiError(f"lasts {last - first:,.0f} s, beats are tracked in at most {MAX_TRACKED_SECONDS:,} s")
    beats = track_beats(onsets, ends, np.array([note.pitch for note in content.notes]))
    if len(beats) < 2:
        return content
    before = int(np.ceil(max(beats[0] - first, 0) / (beats[1] - beats[0]) - 1e-9))
    after = int(np.ceil(max(last - beats[-1], 0) / (beats[-1] - beats[-2]) + 1e-9))
    times = np.concatenate(
        (
            beats[0] + np.arange(-before, 0) * (beats[1] - beats[0]),
            beats,
            beats[-1] + np.arange(1, after + 1) * (beats[-1] - beats[-2]),
        )
    )

    def moved(at_seconds: np.ndarray) -> list[int]:
        return np.round(np.interp(at_seconds, times, np.arange(len(times))) * TRACKED_RESOLUTION).astype(int).tolist()

    notes = [
        note._replace(start=start, end=max(start, end))
        for note, start, end in zip(content.notes, moved(onsets), moved(ends), strict=True)
    ]
    keys = zip(moved(seconds([key.tick for key in content.keys])), content.keys, strict=True)
    return replace(
        content,
        resolution=TRACKED_RESOLUTION,
        notes=sorted(notes),
        tempi=[(0, round(1e6 * (times[-1] - times[0]) / (len(times) - 1)))],
        signatures=[],
        keys=[KeySignature(tick, key.fifths) for tick, key in keys],
        header=None,
        score_ends=[],
        last_tick=max(note.end for note in notes),
    )


class _Seconds:
    """Converts file ticks to seconds."""

    def __init__(self, content: Content) -> None:
        changes = {0: DEFAULT_TEMPO, **dict(content.tempi)}  # of several at a tick the last
        self.ticks = np.array(list(changes))
        self.slopes = np.array(list(changes.values())) / 1e6 / content.resolution  # seconds a tick
        self.starts = np.concatenate(([0.0], np.cumsum(np.diff(self.ticks) * self.slopes[:-1])))

    def __call__(self, ticks: Sequence[int]) -> np.ndarray:
        """(ticks,) seconds."""
        at = np.asarray(ticks, np.int64)
        index = np.searchsorted(self.ticks, at, side="right") - 1
        return self.starts[index] + (at - self.ticks[index]) * self.slopes[index]
