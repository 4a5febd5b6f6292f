"""The first pieces of each composer as piano rolls, in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from textwrap import fill
from typing import Any

from toccata.music.score import Score

ACROSS = 4  # pieces of each
LABEL_CHARACTERS = 18  # of a line of a name, which has the height of a roll
LOWEST, HIGHEST = 33, 93  # of the keys that are drawn at least: nearly all notes of the corpora


def draw_roll(axis: Any, score: Score, colour: str = "C0") -> None:
    """Draw notes as bars over the keys, and bar lines in grey, on axes of matplotlib."""
    notes = score.notes
    axis.hlines(notes["pitch"], notes["onset_tick"], score.offset_ticks, colour, linewidth=1.4, capstyle="butt")
    for line in range(0, score.length_ticks + 1, score.ticks_per_bar):
        axis.axvline(line, color="0.85", linewidth=0.6, zorder=0)
    axis.set(xlim=(0, max(score.length_ticks, 1)), ylim=(LOWEST, HIGHEST), xticks=[], yticks=[36, 60, 84])
    axis.set_yticklabels(["C2", "C4", "C6"], fontsize=6)


def draw_rolls(pieces: Mapping[str, Sequence[Score]]) -> bytes:
    """A PNG: a line a composer, the first pieces of each from left to right, all on one range of pitches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 1.25 * len(pieces)), layout="constrained")
    axes = figure.subplots(len(pieces), ACROSS, squeeze=False)
    pitches = [pitch for scores in pieces.values() for score in scores for pitch in score.notes["pitch"].tolist()]
    keys = min([LOWEST, *pitches]) - 1, max([HIGHEST, *pitches]) + 1
    for row, (name, scores) in zip(axes, pieces.items(), strict=True):
        for axis in row[len(scores) :]:
            axis.set_axis_off()
        for axis, score in zip(row, scores, strict=False):
            draw_roll(axis, score)
            axis.set_ylim(keys)
        row[0].set_ylabel(fill(name, LABEL_CHARACTERS).replace("$", r"\$"), fontsize=8)
    png = BytesIO()
    figure.savefig(png, dpi=70)
    return png.getvalue()
