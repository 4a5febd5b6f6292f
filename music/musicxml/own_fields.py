"""What a score holds and MusicXML cannot say, in a miscellaneous field of the file: a grid, an incomplete last bar.

Files have it only where the notation alone would be read as another score. It counts as long as the file has as many
measures as it says: a file that another program has changed is read as notation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from toccata.music.metre import KeySignature, TimeSignature, last_at_each_tick
from toccata.music.musicxml.assembly import DEFAULT_TEMPO_BPM
from toccata.music.score import TICKS_PER_BEAT, Score

NAME = "toccata-score"  # of the field; a long text is in several
MAX_FIELD_TEXT = 900  # characters
MAX_OWN_TICKS = 4_000_000


class OwnFields(NamedTuple):
    """The values of the field."""

    measures: int  # of the file
    shift: int  # ticks of the score before the first measure, which is an upbeat
    ticks_per_beat: int
    beats_per_bar: float
    length_ticks: int
    time_signatures: tuple[TimeSignature, ...]


def own_fields(score: Score, measures: int, shift: int) -> OwnFields:
    """The field of a score that is written in so many measures."""
    return OwnFields(
        measures, shift, score.ticks_per_beat, score.beats_per_bar, score.length_ticks, score.time_signatures
    )


def field_texts(fields: OwnFields) -> Iterator[str]:
    """The texts of the fields of a file."""
    signatures = ",".join(":".join(map(str, each)) for each in fields.time_signatures)
    text = ";".join([*map(repr, fields[:-1]), signatures])
    for start in range(0, len(text), MAX_FIELD_TEXT):
        yield text[start : start + MAX_FIELD_TEXT]


def parse_fields(text: str) -> OwnFields | None:
    """The values of the joined texts; None where they are damaged."""
    *numbers, signatures = text.split(";")
    try:
        measures, shift, ticks_per_beat, beats_per_bar, length_ticks = map(float, numbers)
        parsed = tuple(TimeSignature(*map(int, each.split(":"))) for each in signatures.split(",") if each)
    except (ValueError, TypeError):
        return None
    values = (measures, shift, ticks_per_beat, length_ticks)
    if not all(math.isfinite(value) and 0 <= value < MAX_OWN_TICKS for value in values):
        return None
    return OwnFields(int(measures), int(shift), int(ticks_per_beat), beats_per_bar, int(length_ticks), parsed)


def own_score(
    fields: OwnFields, rows: Sequence[Sequence[int]], tempo_bpm: float | None, keys: Sequence[KeySignature]
) -> Score:
    """The score of a file's notes and its field.

    Args:
        fields: of the file.
        rows: (onset tick, duration in ticks, pitch, velocity) of each note; ticks of the field's grid, the first of the
            first measure is 0.
        tempo_bpm: quarters a minute; None for 120.
        keys: key signatures, on the grid of 24.

    Raises:
        ValueError: when they do not fit together.
    """
    ticks = [fields.shift * (key.tick > 0) + key.tick * fields.ticks_per_beat // TICKS_PER_BEAT for key in keys]
    moved = [KeySignature(tick, key.fifths) for tick, key in zip(ticks, keys, strict=True)]
    return Score(
        [(onset + fields.shift, duration, pitch, velocity) for onset, duration, pitch, velocity in rows],
        fields.ticks_per_beat,
        fields.beats_per_bar,
        DEFAULT_TEMPO_BPM if tempo_bpm is None else tempo_bpm,
        fields.length_ticks,
        fields.time_signatures,
        last_at_each_tick(moved),
    )
