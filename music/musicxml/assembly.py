"""The score of notes and bars that a notation file was read to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from toccata.music.metre import KeySignature, TimeSignature, main_metre, moved_keys, read_signatures
from toccata.music.score import TICKS_PER_BEAT, Score

DEFAULT_VELOCITY = 80  # mezzo-forte, for notes without a velocity in the file
VELOCITY_PER_PERCENT = 0.9  # MusicXML gives dynamics in per cent of the velocity 90
DEFAULT_TEMPO_BPM = 120.0
MAX_TICKS = 4_000_000  # 23 hours at 120 bpm


class Section(NamedTuple):
    """Bars of one metre, or one bar."""

    start: int  # tick
    ticks: int
    beats_per_bar: float  # quarters
    signature: tuple[int, int] | None  # numerator and denominator; None for one that no score has


def assembled_score(
    rows: Sequence[Sequence[int]],
    sections: Sequence[Section],
    tempo_bpm: float | None,
    keys: Sequence[KeySignature] = (),
) -> Score:
    """The score of notes and bars on the grid of 24 ticks a quarter.

    An upbeat ends at a bar line: its notes are moved to the end of the first bar. The score ends with a whole bar.

    Args:
        rows: (onset tick, duration in ticks, pitch, velocity) of each note.
        sections: each bar; without any the metre is 4/4.
        tempo_bpm: quarters a minute; None for 120.
        keys: key signatures.

    Raises:
        ValueError: when a pitch, the metre or the tempo is outside the range of a `Score`, or the length above 4
            million ticks.
    """
    sections = sections or [Section(0, 0, 4, (4, 4))]
    ends = [onset + duration for onset, duration, _, _ in rows] + [each.start + each.ticks for each in sections]
    end = max(ends)
    if end > MAX_TICKS:
        raise ValueError(f"lasts {end:,} ticks, at most {MAX_TICKS:,} are read")
    beats_per_bar, shift = main_metre([each[:3] for each in sections], TICKS_PER_BEAT)
    known = [TimeSignature(each.start, *each.signature) for each in sections if each.signature]
    signatures: tuple[TimeSignature, ...] = ()
    if len(known) == len(sections):
        signatures = read_signatures(known, shift, TICKS_PER_BEAT, end + shift)
    score = Score(
        notes=[(onset + shift, duration, pitch, velocity) for onset, duration, pitch, velocity in rows],
        beats_per_bar=beats_per_bar,
        tempo_bpm=DEFAULT_TEMPO_BPM if tempo_bpm is None else tempo_bpm,
        time_signatures=signatures,
        key_signatures=moved_keys(keys, shift),
    )
    return replace(score, length_ticks=score.next_bar_line(end + shift))
