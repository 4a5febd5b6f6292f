"""Pictures of dreams: the spectrogram over the steps as a strip of panels, and curves of the ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from toccata.music.sound.spectrogram import HOP, SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 90
LEVELS_BELOW_LOUDEST = 9.0  # of log mel power that are shown, 39 dB
COLOURS = {"score": "#1f5fa8", "popularity": "#7fb2dd", "sibling": "#a8862c", "score of the sound": "#c2410c"}
LABELS = {
    "score": "score of the spectrogram",
    "popularity": "the same, if no member abstained",
    "sibling": "sibling member, not ascended",
    "score of the sound": "score of the sound",
}


def draw_spectrograms(snapshots: Mapping[int, np.ndarray], piece: int = 0) -> bytes:
    """A PNG of the log-mel spectrogram of one dream at some steps, from left to right.

    Args:
        snapshots: (n, mels, frames) by step.
        piece: which of the n.
    """
    from matplotlib.figure import Figure

    steps = sorted(snapshots)
    figure = Figure(figsize=(2.3 * len(steps), 2.4), layout="constrained")
    for axes, step in zip(np.atleast_1d(figure.subplots(1, len(steps), sharey=True)), steps, strict=True):
        mel = snapshots[step][piece]
        seconds = (mel.shape[1] - 1) * HOP / SAMPLE_RATE
        axes.imshow(
            mel,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=mel.max() - LEVELS_BELOW_LOUDEST,
            vmax=mel.max(),
            extent=(0, seconds, 0, len(mel)),
        )
        axes.set_title(f"step {step}", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("seconds", fontsize=8)
    figure.axes[0].set_ylabel("mel band", fontsize=8)
    return _png(figure)


def draw_curves(history: Sequence[Mapping[str, float]]) -> bytes:
    """A PNG of the ratings over the steps, means over the dreams."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, label in LABELS.items():
        rows = [row for row in history if name in row]
        if rows:
            axes.plot([row["step"] for row in rows], [row[name] for row in rows], label=label, color=COLOURS[name])
    axes.set_xlabel("steps of gradient ascent")
    axes.set_ylabel("rating, standard deviations")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
