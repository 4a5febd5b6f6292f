"""Songs made in code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toccata.music.lyrics.lyrics import Lyrics, Syllable
from toccata.music.lyrics.underlay import Underlay
from toccata.music.score import Score

QUARTER = 24


def words(pattern: str) -> Lyrics:
    """Lyrics of a pattern of words such as "a-Bc D / e": capitals are stressed, "/" ends a line, "_" adds a note."""
    syllables: list[Syllable] = []
    lines = [line.split() for line in pattern.split("/")]
    for line in lines:
        for number, word in enumerate(line):
            parts = word.split("-")
            for place, part in enumerate(parts):
                text = part.rstrip("_")
                last = place == len(parts) - 1
                end = last and number == len(line) - 1
                stress = None if "?" in text else int(text[0].isupper())
                syllables.append(Syllable(text, stress, place == 0, last, end, 1 + len(part) - len(text)))
    return Lyrics(tuple(syllables))


def song(
    pattern: str,
    pitches: Sequence[int],
    quarters: Sequence[float],
    rest_after: Sequence[int] = (),
    beats_per_bar: float = 4,
    with_bass: bool = True,
) -> tuple[Score, Underlay]:
    """A melody in quarters, with a rest of a quarter after some notes, above a bass note a bar."""
    lyrics = words(pattern)
    rows, now = [], 0
    for number, (pitch, length) in enumerate(zip(pitches, quarters, strict=True)):
        ticks = round(length * QUARTER)
        rows.append((now, ticks, pitch, 80))
        now += ticks + QUARTER * (number in rest_after)
    columns = np.array(rows).reshape(-1, 4).T
    underlay = Underlay(lyrics, columns[0], columns[1], columns[2], lyrics.note_syllables[: len(rows)])
    bar = round(beats_per_bar * QUARTER)
    bass = [(tick, bar, 43 + tick // bar % 2, 70) for tick in range(0, now, bar)] if with_bass else []
    return Score(rows + bass, beats_per_bar=beats_per_bar), underlay
