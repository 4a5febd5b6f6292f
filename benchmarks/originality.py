"""What composers share with the works that agents learn from: `python benchmarks/originality.py --run RUN`.

Prints a table in Markdown of held-out real excerpts, the shipped prior's samples, an agent's pieces (with --run, of
that run's genre), random play, and copies: excerpts of training works, three semitones higher and with one note or a
share of the notes changed, and how often the source is found. Then how far the cardinality score is from an exhaustive
search, and the CPU time that an index of 4,000 works takes. About three minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.players import player_of, random_player
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset, load_agent, run_corpus
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import Run
from toccata.envs.excerpts import random_excerpt, usable_scores
from toccata.envs.pieces import Piece, Pieces
from toccata.music.corpus import Work
from toccata.music.originality import OriginalityIndex, cardinality_score, originality, summary
from toccata.music.originality.cardinality import points_of, windows_of
from toccata.music.originality.matches import METRICS
from toccata.music.score import Score
from toccata.stats import bootstrap_mean

SEED = 0
SEARCHED = 16  # pieces that are compared with every work
CHANGED = (0.0, 0.1, 0.2)  # share of the notes of a copy, at least one
INDEXED = 4000  # works of the index that is timed


def copies(
    works: Sequence[Work], count: int, share: float, config: TrainConfig, rng: np.random.Generator
) -> tuple[list[Score], list[str]]:
    """Excerpts three semitones higher with a share of the notes moved by one or two, and the ids of their works."""
    usable = [work for work in works if usable_scores([work.score], config.beats_per_bar)]
    chosen = [usable[i] for i in rng.integers(len(usable), size=count)]
    scores = []
    for work in chosen:
        excerpt = random_excerpt(work.score, config.bars, config.beats_per_bar, rng)
        notes = excerpt.notes.copy()
        notes["pitch"] += 3
        changed = rng.permutation(len(notes))[: max(1, round(share * len(notes)))]
        notes["pitch"][changed] += rng.choice([-2, -1, 1, 2], len(changed)).astype(np.int16)
        scores.append(replace(excerpt, notes=notes))
    return scores, [work.id for work in chosen]


def searched(piece: Score, index: OriginalityIndex) -> float:
    """The originality by the cardinality score with every work."""
    windows = [window for window in windows_of(points_of(piece)) if len(window.ticks) >= 8]
    return 1 - max((cardinality_score(window, work) for window in windows for work in index.points), default=0.0)


def enough(works: Sequence[Work], rng: np.random.Generator) -> tuple[list[Score], list[str]]:
    """`INDEXED` scores: the works, then slices of them, transposed and with every fifth pitch changed."""
    scores, names = [work.score for work in works[:INDEXED]], [work.id for work in works[:INDEXED]]
    while len(scores) < INDEXED:
        score = works[len(scores) % len(works)].score
        notes = score.slice(int(rng.integers(score.length_ticks // 4 + 1)), score.length_ticks).notes.copy()
        notes["pitch"] = np.clip(notes["pitch"] + rng.integers(-5, 6), 0, 127)
        notes["pitch"][::5] = np.clip(notes["pitch"][::5] + rng.integers(-4, 5, len(notes[::5])), 0, 127)
        scores.append(Score(notes, score.ticks_per_beat, score.beats_per_bar))
        names.append(f"made {len(scores)}")
    return scores, names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genre", default="classical", help="whose works are compared, unless --run is given")
    parser.add_argument("--run", type=Path, help="run folder, whose agent is compared too")
    parser.add_argument("--samples", type=int, default=64, help="pieces of each composer")
    arguments = parser.parse_args()
    count, rng = arguments.samples, np.random.default_rng(SEED)
    run = Run.open(arguments.run) if arguments.run else None
    config = run.config if run else TrainConfig(policy="transformer", genre=arguments.genre)
    corpus = run_corpus(config)
    works = list(corpus.split("train"))
    index = OriginalityIndex.build([work.score for work in works], [work.id for work in works])
    print(f"{corpus.name}: {len(works)} works for training, {len(corpus.split('test'))} held out; {count} pieces each")

    prior = Prior.load()
    environment = environment_arguments(config)
    length = {"bars": config.bars, "beats_per_bar": config.beats_per_bar, "tempo_bpm": config.tempo_bpm}
    sets: dict[str, list[Piece | Score]] = {
        "held-out works": [*excerpt_dataset(config, "test").sample(count, rng)],
        "prior": [*sample_pieces(prior.network, prior.piano, count, seed=SEED, genre=config.genre, **length)],
    }
    if run:
        agent = load_agent(run.published / "model.zip", config, resolve_device("cpu"), run_folder=run.folder)
        sets["agent"] = [*player_of(agent, environment)(count, SEED).pieces]
    sets["random play"] = [*random_player(environment)(count, SEED).pieces]
    sources: dict[str, list[str]] = {}
    for share in CHANGED:
        name = f"copies, {f'{share:.0%} of notes' if share else 'one note'} changed"
        sets[name], sources[name] = copies(works, count, share, config, rng)

    print(
        "\n| pieces | "
        + " | ".join(METRICS)
        + " | source is nearest | coinciding |\n|---|"
        + "---|" * (len(METRICS) + 2)
    )
    pieces = {name: Pieces(each).own for name, each in sets.items()}
    passages: dict[str, str] = {}
    for name, scores in pieces.items():
        matches = originality(scores, index)
        means = summary(matches, rng)
        cells = [str(means[metric]) for metric in METRICS]
        for attribute in ("nearest_work", "coinciding_work"):
            found = np.array([getattr(match, attribute) for match in matches]) == sources.get(name)
            cells.append(f"{np.mean(found):.0%}" if name in sources else "")
        print(f"| {name} | " + " | ".join(cells) + " |")
        longest = max(matches, key=lambda match: match.longest_passage)
        passages[name] = f"{name}: longest passage {longest.passage}"
    print("\n" + "\n".join(passages.values()))

    for name in ("held-out works", "prior"):
        few = pieces[name][:SEARCHED]
        quick = np.array([match.originality_score for match in originality(few, index)])
        exact = np.array([searched(score, index) for score in few])
        print(
            f"{name}: originality_score {quick.mean():.3f}, by exhaustive search {exact.mean():.3f}, "
            f"mean difference {bootstrap_mean(quick - exact, rng)}"
        )

    scores, names = enough(works, rng)
    start = time.process_time()
    large = OriginalityIndex.build(scores, names)
    print(
        f"index of {len(large)} works, {len(works)} real, {sum(map(len, scores)):,} notes: "
        f"{time.process_time() - start:.1f} s"
    )
    for name, each in pieces.items():
        times = []
        for score in each:
            start = time.process_time()
            originality([score], large)
            times.append(1000 * (time.process_time() - start))
        print(f"query, {name}: median {np.median(times):.1f} ms, 95th percentile {np.percentile(times, 95):.1f} ms")


if __name__ == "__main__":
    main()
