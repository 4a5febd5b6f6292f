"""Do fits to votes and likes find the taste of those who gave them? A study with listeners whose taste is known.

From the root of the repository:

    python -m examples.listening_study OUT

A prior composes pieces in four genres, simulated listeners (`toccata.listening.simulation`) vote on pairs and like
pieces of the radio, `toccata listen results` writes what they said, and `toccata fit-rating` fits ratings to likes, to
votes and to both. The table has the rank correlation of each rating with the taste, over pieces that nobody heard.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.prior import Prior
from toccata.envs.pieces import Piece, Pieces
from toccata.listening.results.config import ListenResultsConfig
from toccata.listening.results.results import listen_results
from toccata.listening.simulation import SimulatedListener, new_database, simulate, taste
from toccata.reward_models.preferences import read_preferences
from toccata.reward_models.rating.fitting.config import FitRatingConfig
from toccata.reward_models.rating.fitting.fit import fit
from toccata.reward_models.rating.model import RatingModel
from toccata.stats import Interval, bootstrap_clusters, spearman

GENRES = ("classical", "folk", "jazz", "popular")
RESAMPLES = 1000
FITS = {"likes": "pairs.csv", "votes": "manifest.csv", "both": None}  # each fit, and the file that it does without


def composed(prior: str, count: int, bars: int, seed: int) -> dict[str, list[Piece]]:
    """Pieces of a prior by genre, `count` of each."""
    network = Prior.load(prior, torch.device("cpu"))
    return {
        genre: sample_pieces(network.network, network.piano, count, bars=bars, seed=seed, genre=genre, top_p=0.95)
        for genre in GENRES
    }


def written(pieces: Mapping[str, Sequence[Piece]], folder: Path) -> dict[Path, tuple[str, bool]]:
    """Write pieces as MIDI, and return what `new_database` takes: source, and that no person wrote them."""
    files = {}
    for source, each in pieces.items():
        (folder / source).mkdir(parents=True)
        for number, piece in enumerate(each):
            path = folder / source / f"{number:04d}.mid"
            piece.score.to_midi(path)
            files[path] = (source, False)
    return files


def fitted(config: FitRatingConfig) -> RatingModel:
    """Fit a rating and write it, as `toccata fit-rating` does, but for the report."""
    model, facts, _, _ = fit(config, read_preferences(config.data), Console(stderr=True))
    config.out.mkdir()
    model.save(config.out, facts)
    return model


def correlation(rating: RatingModel, held_out: Sequence[Piece]) -> Interval:
    """Rank correlation of a rating with the taste over pieces, with its 95 % interval, for which they are resampled."""
    scores, tastes = rating.score(Pieces(held_out)), np.array([taste(piece.score) for piece in held_out])
    names = [str(number) for number in range(len(held_out))]
    return bootstrap_clusters(
        lambda index: spearman(scores[index], tastes[index]), names, np.random.default_rng(0), RESAMPLES
    )


def study(out: Path, options: argparse.Namespace, **fit_options: Any) -> dict[str, Any]:
    """Run the study, write study.json and return what it holds."""
    quiet = Console(quiet=True)
    heard = composed(options.prior, options.pieces // len(GENRES), options.bars, options.seed)
    unheard = composed(options.prior, options.held_out // len(GENRES), options.bars, options.seed + 1)
    held_out = [piece for each in unheard.values() for piece in each]
    files = written(heard, out / "pieces")
    new_database(out / "listening.sqlite", files)
    listeners = [SimulatedListener.drawn(1000 * options.seed + number) for number in range(options.listeners)]
    simulate(out / "listening.sqlite", listeners, options.votes, options.plays, options.seed)
    of_results = ListenResultsConfig(out / "listening.sqlite", out / "results", models=(), judges=False)
    results = listen_results(of_results, quiet)
    tastes = [taste(piece.score) for each in heard.values() for piece in each]
    strength = {row["file"]: row["strength"] for row in results["pieces"]}
    known = [
        (strength[str(file)], each)
        for file, each in zip(files, tastes, strict=True)
        if strength.get(str(file)) is not None
    ]
    found: dict[str, Any] = {
        "strengths of heard pieces": spearman(*np.array(known).T),
        "agreement of listeners": results["agreement"],
        "fits": {},
    }
    for name in options.fits:
        data = out / f"data-{name}"
        shutil.copytree(out / "results/data", data)
        if (without := FITS[name]) is not None:
            (data / without).unlink(missing_ok=True)
        config = FitRatingConfig(data=data, out=out / f"rating-{name}", folds=0, seed=options.seed, **fit_options)
        rating = fitted(config)
        found["fits"][name] = {
            "all": correlation(rating, held_out)._asdict(),
            **{genre: correlation(rating, each)._asdict() for genre, each in unheard.items()},
        }
    shipped = RatingModel.load()
    found["fits"]["shipped rating"] = {"all": correlation(shipped, held_out)._asdict()}
    (out / "study.json").write_text(
        json.dumps(found | {"options": {k: str(v) for k, v in vars(options).items()}}, indent=2)
    )
    return found


def table_of(found: dict[str, Any]) -> str:
    """The table in Markdown."""
    rows = ["| fit to | all | " + " | ".join(GENRES) + " |", "|---" * (2 + len(GENRES)) + "|"]
    for name, values in found["fits"].items():
        cells = [str(Interval(**values[each])) if each in values else "" for each in ("all", *GENRES)]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write; it must not exist")
    parser.add_argument("--pieces", type=int, default=300, help="that listeners hear")
    parser.add_argument("--held-out", type=int, default=200, help="pieces that nobody hears")
    parser.add_argument("--bars", type=int, default=4, help="of a piece")
    parser.add_argument("--listeners", type=int, default=40)
    parser.add_argument("--votes", type=int, default=100, help="of a listener, on pairs")
    parser.add_argument("--plays", type=int, default=100, help="of a listener, of the radio")
    parser.add_argument("--prior", default="lstm", help="that composes")
    parser.add_argument("--negatives", type=int, default=200, help="synthetic negatives of a fit")
    parser.add_argument("--copies", type=int, default=2, help="augmented copies of a piece in the fits")
    parser.add_argument("--epochs", type=int, default=40, help="of the fits")
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS), help="to do")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def main() -> None:
    """Read the arguments, run the study and print the table."""
    options = arguments().parse_args()
    options.out.mkdir(parents=True)
    found = study(
        options.out, options, copies=options.copies, negatives=options.negatives, epochs=options.epochs, supported=()
    )
    print(f"strengths of heard pieces: {found['strengths of heard pieces']:.2f}\n\n{table_of(found)}")


if __name__ == "__main__":
    main()
