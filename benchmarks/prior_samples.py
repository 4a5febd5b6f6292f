"""Unchosen pieces of a prior beside real music: `python benchmarks/prior_samples.py OUT --prior NAME --data FOLDER...`.

Samples 16 pieces of 8 bars a genre, as `toccata compose` does with its defaults, and compares the mean of every metric
with the 5 to 95 % range of held-out music of the genre. Writes OUT/metrics.md, OUT/samples.png (the first pieces of
each genre, and a held-out one) and the pieces as MIDI files. About two minutes.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.fitting.fit import passage_datasets
from toccata.agents.prior.prior import Prior
from toccata.files import write_atomically
from toccata.music.corpus import load_corpus
from toccata.music.metrics import CORE_METRICS
from toccata.music.score import Score

GENRES = ("classical", "folk", "jazz", "rock")
PIECES, BARS, TOP_P, SEED = 16, 8, 0.95, 0
SHOWN = 2  # pieces of each genre in the picture
RANGE = (5, 95)  # percentiles of held-out music


def table(samples: dict[str, list[Score]], real: dict[str, list[Score]]) -> tuple[str, int, int]:
    """The table in Markdown, how many means lie inside the ranges, and of how many."""
    head = ["", *(f"{genre} ({len(real[genre])} real)" for genre in samples)]
    rows, inside, count = [head, ["---"] * len(head)], 0, 0
    for name, metric in CORE_METRICS.items():
        row = [name]
        for genre, scores in samples.items():
            mean = float(np.mean([metric(score) for score in scores]))
            low, high = np.percentile([metric(score) for score in real[genre]], RANGE)
            within = low <= mean <= high
            inside, count = inside + within, count + 1
            shown = f"{mean:.2f}" if within else f"**{mean:.2f}**"
            row.append(f"{shown} ({low:.2f}..{high:.2f})")
        rows.append(row)
    return "\n".join("| " + " | ".join(row) + " |" for row in rows), inside, count


def picture(samples: dict[str, list[Score]], real: dict[str, list[Score]]) -> bytes:
    """A PNG: a row a genre, of sampled pieces and a held-out one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 2.6 * len(samples)), layout="constrained")
    axes = figure.subplots(len(samples), SHOWN + 1, squeeze=False)
    for row, (genre, scores) in zip(axes, samples.items(), strict=True):
        for number, axis in enumerate(row):
            score = scores[number] if number < SHOWN else real[genre][0]
            axis.set_title(f"{genre}, piece {number}" if number < SHOWN else f"{genre}, held-out music", fontsize=9)
            bar = score.ticks_per_bar
            for note in score.notes:
                axis.barh(
                    int(note["pitch"]),
                    note["duration_ticks"] / bar,
                    0.9,
                    left=note["onset_tick"] / bar,
                    color="#347dbc",
                )
            axis.set_xlim(0, score.bars)
            axis.tick_params(labelsize=7)
            axis.grid(axis="x", color="#e2e7ee")
    png = BytesIO()
    figure.savefig(png, dpi=100)
    return png.getvalue()


def main() -> None:
    """Sample, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--prior", default="transformer", help="a name or a folder of fit-prior")
    parser.add_argument(
        "--data", nargs="+", default=["bach", "folk"], help="as of fit-prior; its test split is compared"
    )
    arguments = parser.parse_args()
    prior = Prior.load(arguments.prior)
    test = passage_datasets(load_corpus(arguments.data), max_steps=2048)["test"]
    if test is None:
        raise SystemExit("no work is held out")
    passages = [piece for piece in test.first_passages() if piece.score.bars == BARS]
    real = {genre: [piece.score for piece in passages if piece.genre == genre] for genre in GENRES}
    samples: dict[str, list[Score]] = {}
    for genre in track([genre for genre in GENRES if real[genre]], "sampling", console=Console(stderr=True)):
        pieces = sample_pieces(prior.network, prior.piano, PIECES, bars=BARS, seed=SEED, genre=genre, top_p=TOP_P)
        samples[genre] = [piece.score for piece in pieces]
        (arguments.out / genre).mkdir(parents=True, exist_ok=True)
        for number, score in enumerate(samples[genre]):
            score.to_midi(arguments.out / genre / f"piece-{number:02d}.mid")
    text, inside, count = table(samples, real)
    text += f"\n\nOf {count} means {inside} lie inside the ranges.\n"
    write_atomically(arguments.out / "metrics.md", text.encode())
    write_atomically(arguments.out / "samples.png", picture(samples, real))
    print(text)


if __name__ == "__main__":
    main()
