"""The score of notes and bars that a notation file was read to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from toccata.music.metre import KeySignature, TimeSignature, main_metre, moved_keys, read_signatures
from toccata.music.score import TICKS_PER_BEAT, Score

DEFAULT_VELOCITY = 80  # mezzo-forte, for notes without a velocity in the file
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
    tempi: Sequence[tuple[int, float]],
    keys: Sequence[KeySignature] = (),
) -> Score:
    """The score of notes and bars on the grid of 24 ticks a quarter.

    An upbeat ends at a bar line: its notes are moved to the end of the first bar. The score ends with a whole bar; in
    one metre it lasts a whole number of bars, also where some are incomplete.

    Args:
        rows: (onset tick, duration in ticks, pitch, velocity) of each note.
        sections: each bar; without any the metre is 4/4.
        tempi: (tick, quarters a minute) of each change, in order; without any the tempo is 120.
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
    sections = _whole_bars(sections)
    known = [TimeSignature(each.start, *each.signature) for each in sections if each.signature]
    signatures: tuple[TimeSignature, ...] = ()
    if len(known) == len(sections):
        signatures = read_signatures(known, shift, TICKS_PER_BEAT, end + shift)
    score = Score(
        notes=[(onset + shift, duration, pitch, velocity) for onset, duration, pitch, velocity in rows],
        beats_per_bar=beats_per_bar,
        tempo_bpm=mean_tempo_bpm(tempi, rows),
        length_ticks=end + shift,  # the metre may change after the last note
        time_signatures=signatures,
        key_signatures=moved_keys(keys, shift),
    )
    if len({each[1:] for each in signatures}) > 1:
        return replace(score, length_ticks=score.next_bar_line(end + shift))
    return replace(score, length_ticks=score.barred(beats_per_bar).next_bar_line(end + shift))


def _whole_bars(sections: Sequence[Section]) -> list[Section]:
    """The sections, where two halves of a bar, as a repeat sign or a double bar divides it, are one."""
    bars: list[Section] = []
    for each in sections:
        last = bars[-1] if bars else None
        whole = each.ticks + last.ticks == each.beats_per_bar * TICKS_PER_BEAT if last else False
        if last and whole and last.ticks > 0 and each.ticks > 0 and last[2:] == each[2:]:
            bars[-1] = last._replace(ticks=last.ticks + each.ticks)
        else:
            bars.append(each)
    return bars


def mean_tempo_bpm(tempi: Sequence[tuple[int, float]], rows: Sequence[Sequence[int]]) -> float:
    """The constant tempo at which the notes, from the first onset to the last end, last as long as in the file.

    Args:
        tempi: (tick, quarters a minute), in order; the first holds from the beginning.
        rows: (onset tick, duration in ticks, pitch, velocity) of each note.
    """
    if len({tempo for _, tempo in tempi}) < 2 or not rows:
        return tempi[0][1] if tempi else DEFAULT_TEMPO_BPM
    first, last = min(row[0] for row in rows), max(row[0] + row[1] for row in rows)
    starts = [first, *(tick for tick, _ in tempi[1:]), last]
    minutes = sum(
        max(min(end, last) - max(start, first), 0) / tempo
        for (start, end), (_, tempo) in zip(pairwise(starts), tempi, strict=True)
    )
    return (last - first) / minutes
