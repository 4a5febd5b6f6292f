"""How far distances between sets of pieces tell sets apart: `python benchmarks/set_metrics.py --data FOLDER...`.

Prints, in Markdown, the set metrics of held-out real music, of the shipped prior at three temperatures and of random
play, each versus held-out excerpts in other keys; then how often the likeliest genre of a held-out excerpt is its own;
and the time that 256 pieces of four composers take. About three minutes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from toccata.agents.evaluation.measuring.embedding import genre_probabilities
from toccata.agents.evaluation.measuring.set_metrics import set_metrics
from toccata.agents.evaluation.players import random_player
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset
from toccata.agents.runs.config import TrainConfig
from toccata.envs.excerpts import ExcerptDataset, usable_scores
from toccata.envs.pieces import Piece
from toccata.music.corpus import load_corpus
from toccata.reward_models.judges.typicality import Typicality

SEED = 0
PIECES = 64
TIMED = 256
TEMPERATURES = (0.7, 1.0, 1.3)
EXCERPTS = 64  # of each genre, at most four of a work


def compare(genre: str, prior: Prior, count: int, temperatures: tuple[float, ...]) -> None:
    """Print the table of a genre, and how long its last column of numbers took."""
    config = TrainConfig(policy="transformer", genre=genre)
    sets: dict[str, list[Piece]] = {}
    for temperature in temperatures:
        sets[f"prior, temperature {temperature:g}"] = sample_pieces(
            prior.network, prior.piano, count, bars=config.bars, seed=SEED, genre=genre, temperature=temperature
        )
    sets["random play"] = random_player(environment_arguments(config))(count, SEED).pieces
    real = excerpt_dataset(config, "test")
    start = time.process_time()
    results = set_metrics(sets, real, Typicality.load(), SEED)
    seconds = time.process_time() - start
    print(f"\n{genre}: {count} pieces each, {len(results)} sets, {len(real.scores)} held-out works", end="")
    print(f"; {seconds:.0f} s of one core\n")
    print("| pieces | " + " | ".join(results["real"]) + " |\n|---|" + "---|" * len(results["real"]))
    for name, values in results.items():
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in values.values()) + " |")


def genres(data: list[str], prior: Prior) -> None:
    """Print how often each genre is recognised, and as what it is taken."""
    held_out = load_corpus(data, default_genre="classical").split("test")
    rng = np.random.default_rng(SEED)
    print("\n| genre | works | excerpts | likeliest genre is its own | taken for |\n|---|---|---|---|---|")
    for genre in held_out.genres:
        works = usable_scores(held_out.genre(genre).scores, 4)
        if not works or genre not in prior.genres:
            continue
        pieces = ExcerptDataset(works, 8, genre=genre).sample(min(EXCERPTS, 4 * len(works)), rng)
        likeliest = genre_probabilities(pieces, prior).argmax(axis=1)
        counts = np.bincount(likeliest, minlength=len(prior.genres))
        taken = ", ".join(f"{name} {count}" for name, count in zip(prior.genres, counts, strict=True) if count)
        own = (likeliest == prior.genres.index(genre)).mean()
        print(f"| {genre} | {len(works)} | {len(likeliest)} | {own:.0%} | {taken} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["bach", "folk"], help="whose held-out works have known genres")
    parser.add_argument("--timed", action="store_true", help="time 256 pieces of four composers too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prior = Prior.load()
    for genre in ("classical", "folk"):
        compare(genre, prior, PIECES, TEMPERATURES)
    genres(arguments.data, prior)
    if arguments.timed:
        compare("classical", prior, TIMED, (1.0, 1.1))


if __name__ == "__main__":
    main()
