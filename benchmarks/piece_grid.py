"""Unchosen pieces of a run beside real ones: `python benchmarks/piece_grid.py RUN OUT.png`.

Draws the piano rolls of the first 12 pieces that the run's agent samples, and of 12 held-out real pieces.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from toccata.agents.evaluation.players import player_of
from toccata.agents.ppo.model_file import load_model
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset
from toccata.agents.runs.run_folder import Run
from toccata.agents.studies.rivals.rolls import draw_roll
from toccata.files import write_atomically
from toccata.music.score import Score

PIECES, COLUMNS, SEED = 12, 3, 1000
COLOURS = {"agent": "C0", "real": "C2"}


def picture(pieces: dict[str, Sequence[Score]]) -> bytes:
    """A PNG: the agent's pieces in the columns on the left, real ones on the right."""
    from matplotlib.figure import Figure

    rows = PIECES // COLUMNS
    figure = Figure(figsize=(15, 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, 2 * COLUMNS)
    for side, (name, scores) in enumerate(pieces.items()):
        for number, score in enumerate(scores):
            axis = axes[number // COLUMNS, side * COLUMNS + number % COLUMNS]
            draw_roll(axis, score, COLOURS[name])
            axis.set_title(f"{name} {number}", fontsize=7, pad=2)
    png = BytesIO()
    figure.savefig(png, dpi=80)
    return png.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("out", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    run = Run.open(arguments.run)
    model = load_model(run.model_path)
    agent = [piece.score for piece in player_of(model, environment_arguments(run.config))(PIECES, SEED).pieces]
    excerpts = excerpt_dataset(run.config, "test").sample(PIECES, np.random.default_rng(SEED), transpose=False)
    write_atomically(arguments.out, picture({"agent": agent, "real": [piece.score for piece in excerpts]}))


if __name__ == "__main__":
    main()
