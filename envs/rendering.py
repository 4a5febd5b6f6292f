"""The render modes: a piano roll as an array, in a window, or as text."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from toccata.envs.instrument import Piano, note_name
from toccata.music.picture import piano_roll_picture
from toccata.music.score import Score

TEXT_COLUMNS = 96  # sixteenths shown as text: six bars of 4/4 in a terminal


def picture(score: Score, now_tick: int, piano: Piano) -> np.ndarray:
    """(height, width, 3) uint8: the piano roll with a line at the clock."""
    return piano_roll_picture(score, lowest=piano.lowest, highest=piano.highest, now_tick=now_tick)


def text(score: Score, now_tick: int) -> str:
    """The latest bars as text: a row for each pitch used, a column a sixteenth, `O` onset, `-` held, `|` bar line."""
    frame_ticks = max(1, score.ticks_per_beat // 4)
    now = now_tick // frame_ticks
    first = max(0, now - TEXT_COLUMNS + 1)
    last = min(-(-score.length_ticks // frame_ticks), first + TEXT_COLUMNS)
    rows: dict[int, list[str]] = {}
    for onset, duration, pitch, _ in score.notes.tolist():
        for frame in range(onset // frame_ticks, max(onset // frame_ticks, (onset + duration - 1) // frame_ticks) + 1):
            if first <= frame < last:
                row = rows.setdefault(pitch, [" "] * (last - first))
                row[frame - first] = "O" if frame == onset // frame_ticks else "-"
    ruler = "".join(
        "v" if frame == now else "|" if frame * frame_ticks % score.ticks_per_bar < frame_ticks else "."
        for frame in range(first, last)
    )
    bar, beat = divmod(now_tick, score.ticks_per_bar)
    lines = [f"bar {bar + 1}, beat {beat / score.ticks_per_beat + 1:.2f}", f"    {ruler}"]
    lines += [f"{note_name(pitch):>4}{''.join(rows[pitch])}" for pitch in sorted(rows, reverse=True)]
    return "\n".join(lines)


class PianoRollWindow:
    """The "human" render mode: the piano roll in a matplotlib window, or its text where there is no display."""

    def __init__(self) -> None:
        import matplotlib.pyplot as plt

        self._interactive = plt.get_backend().lower() not in ("agg", "pdf", "svg", "ps", "cairo", "template")
        self._plt: Any = plt
        self._image: Any = None

    def show(self, score: Score, now_tick: int, piano: Piano) -> None:
        """Show the piece so far."""
        if not self._interactive:
            sys.stdout.write(text(score, now_tick) + "\n\n")
            return
        pixels = picture(score, now_tick, piano)
        if self._image is None:
            figure, axes = self._plt.subplots(figsize=(12, 5), layout="constrained")
            axes.set_axis_off()
            self._image = axes.imshow(pixels, aspect="auto")
            figure.canvas.manager.set_window_title("Toccata")
            self._plt.show(block=False)
        self._image.set_data(pixels)
        self._image.set_extent((0, pixels.shape[1], pixels.shape[0], 0))
        self._plt.pause(0.001)

    def close(self) -> None:
        """Close the window."""
        if self._image is not None:
            self._plt.close(self._image.figure)
            self._image = None
