"""The piano roll of a piece as HTML: one scale of pitch and time for all pieces of a page, and a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from toccata.agents.evaluation.report.text import safe
from toccata.music.score import Score

ROW = 10  # units of height a semitone; the unit of width is a millisecond
BLACK_KEYS = (1, 3, 6, 8, 10)
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
OPACITIES = (0.4, 0.6, 0.8, 1.0)  # of notes whose velocity varies, from soft to loud
MAX_NUMBERS = 16  # of bars below a roll


def pitch_range(scores: Iterable[Score]) -> tuple[int, int]:
    """Two semitones more than all notes to both sides, two octaves at least; MIDI numbers, the second excluded."""
    pitches = [score.notes["pitch"] for score in scores if len(score)]
    lowest, highest = (min(p.min() for p in pitches), max(p.max() for p in pitches)) if pitches else (60, 71)
    low, high = max(int(lowest) - 2, 0), int(highest) + 3
    missing = max(24 - (high - low), 0)
    low = max(low - (missing + 1) // 2, 0)
    return low, max(high, low + 24)


def pitch_name(pitch: int) -> str:
    """`C4` of 60."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def piano_roll(score: Score, name: str, pitches: tuple[int, int], axis_seconds: float, colour: str) -> str:
    """A roll with bar lines, their numbers, and a cursor for the script of the page.

    Args:
        score: its notes outside `pitches` are not shown.
        name: of the piece, for those who do not see it.
        pitches: lowest, and the one above the highest.
        axis_seconds: duration of the whole width.
        colour: of the notes, a colour of CSS.
    """
    low, high = pitches
    milliseconds = 1000 * score.seconds_per_tick
    width, height = max(round(1000 * axis_seconds), 1), (high - low) * ROW
    lanes = "".join(
        f"M0 {(high - 1 - pitch) * ROW}h{width}v{ROW}h-{width}z"
        for pitch in range(low, high)
        if pitch % 12 in BLACK_KEYS
    )
    cs = [pitch for pitch in range(low, high) if pitch % 12 == 0]
    octaves = "".join(f"M0 {(high - pitch) * ROW}h{width}" for pitch in cs)
    bars = "".join(f"M{round(bar * score.ticks_per_bar * milliseconds)} 0v{height}" for bar in range(score.bars + 1))
    svg = (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{safe(_said(score, name))}">'
        f'<path d="{lanes}" fill="var(--key)"/>'
        f'<path d="{octaves}{bars}" stroke="var(--line)" vector-effect="non-scaling-stroke"/>'
        f"{_notes(score, low, high, colour)}</svg>"
    )
    keys = "".join(
        f'<span class="label" style="top:{100 * (high - pitch) / (high - low):.1f}%">{pitch_name(pitch)}</span>'
        for pitch in cs
    )
    every = -(-max(score.bars, 1) // MAX_NUMBERS)
    places = {bar + 1: bar * score.ticks_per_bar * milliseconds / width for bar in range(0, score.bars, every)}
    numbers = "".join(
        f'<span class="label" style="left:{100 * place:.2f}%">{bar}</span>' for bar, place in places.items()
    )
    return (
        f'<div class="roll" data-axis="{axis_seconds:.3f}" data-end="{score.length_seconds:.3f}" '
        f'data-bar="{score.ticks_per_bar * score.seconds_per_tick:.4f}">'
        f'<div class="keys" aria-hidden="true">{keys}</div><div class="sheet">{svg}<div class="cursor"></div></div>'
        f'<div class="bars" aria-hidden="true">{numbers}</div></div>'
    )


def velocities(scores: Sequence[Score]) -> tuple[int, int] | None:
    """The lowest and highest velocity, where they differ; the notes are shaded then."""
    every = [score.notes["velocity"] for score in scores if len(score)]
    low, high = (min(v.min() for v in every), max(v.max() for v in every)) if every else (0, 0)
    return (int(low), int(high)) if high > low else None


def _notes(score: Score, low: int, high: int, colour: str) -> str:
    """The notes, a path for each shade: of the same velocity all have one."""
    notes = score.notes[(score.notes["pitch"] >= low) & (score.notes["pitch"] < high)]
    milliseconds = 1000 * score.seconds_per_tick
    left = np.round(notes["onset_tick"] * milliseconds).astype(int)
    lengths = np.round(notes["duration_ticks"] * milliseconds).astype(int)
    lengths = np.maximum(lengths - np.minimum(lengths // 8, 25), 1)  # a gap before the next note of the same pitch
    top = (high - 1 - notes["pitch"].astype(int)) * ROW + 1
    shades = np.full(len(notes), len(OPACITIES) - 1)
    if velocities([score]):
        shades = notes["velocity"].astype(int) * len(OPACITIES) // 128
    paths = []
    for shade, opacity in enumerate(OPACITIES):
        here = shades == shade
        d = "".join(
            f"M{x} {y}h{length}v{ROW - 2}h-{length}z"
            for x, y, length in zip(left[here].tolist(), top[here].tolist(), lengths[here].tolist(), strict=True)
        )
        paths += [f'<path d="{d}" fill="{colour}" fill-opacity="{opacity:g}"/>'] if d else []
    return "".join(paths)


def _said(score: Score, name: str) -> str:
    """What a roll shows, in words."""
    if not len(score):
        return f"piano roll of {name}: silence"
    notes, lowest, highest = len(score), int(score.notes["pitch"].min()), int(score.notes["pitch"].max())
    return (
        f"piano roll of {name}: {notes:,} note{'s' * (notes > 1)} from {pitch_name(lowest)} to {pitch_name(highest)} "
        f"in {score.bars:,} bar{'s' * (score.bars > 1)}"
    )
