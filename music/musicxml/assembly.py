"""The score of notes and bars that a notation file was read to."""

from __future__ import annotations

from collections.abc import Sequence

from toccata.music.metre import main_metre
from toccata.music.score import TICKS_PER_BEAT, Score

DEFAULT_VELOCITY = 80  # mezzo-forte, for notes without a velocity in the file
DEFAULT_TEMPO_BPM = 120.0
MAX_TICKS = 4_000_000  # 23 hours at 120 bpm


def assembled_score(
    rows: Sequence[Sequence[int]], sections: Sequence[tuple[int, int, float]], tempo_bpm: float | None
) -> Score:
    """The score of notes and bars on the grid of 24 ticks a quarter.

    An upbeat ends at a bar line: its notes are moved to the end of the first bar. The score ends with a whole bar.

    Args:
        rows: (onset tick, duration in ticks, pitch, velocity) of each note.
        sections: (first tick, ticks, quarters in a bar) of each bar; without any the metre is 4/4.
        tempo_bpm: quarters a minute; None for 120.

    Raises:
        ValueError: when a pitch, the metre or the tempo is outside the range of a `Score`, or the length above 4
            million ticks.
    """
    ends = [onset + duration for onset, duration, _, _ in rows] + [start + ticks for start, ticks, _ in sections]
    end = max(ends, default=0)
    if end > MAX_TICKS:
        raise ValueError(f"lasts {end:,} ticks, at most {MAX_TICKS:,} are read")
    beats_per_bar, shift = main_metre(sections or [(0, 0, 4)], TICKS_PER_BEAT)
    ticks_per_bar = round(beats_per_bar * TICKS_PER_BEAT)
    return Score(
        notes=[(onset + shift, duration, pitch, velocity) for onset, duration, pitch, velocity in rows],
        beats_per_bar=beats_per_bar,
        tempo_bpm=DEFAULT_TEMPO_BPM if tempo_bpm is None else tempo_bpm,
        length_ticks=-(-(end + shift) // ticks_per_bar) * ticks_per_bar,
    )
