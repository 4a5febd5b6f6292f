"""`toccata study rivals`: every composer beside the agent, measured alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.evaluate import read_rewards
from toccata.agents.evaluation.measuring.originality import training_works
from toccata.agents.evaluation.overoptimise.samples import CACHE, chunk_count
from toccata.agents.evaluation.overoptimise.sets import SIZE
from toccata.agents.runs.builders import excerpt_dataset, with_prior_genres
from toccata.agents.runs.config import DEFAULT_REWARDS, TrainConfig
from toccata.agents.runs.run_folder import Run, seed_runs
from toccata.agents.studies.rivals.config import StudyRivalsConfig
from toccata.agents.studies.rivals.figures import fits_of, row_of
from toccata.agents.studies.rivals.measure import SECONDS, Sample, Setup, measured
from toccata.agents.studies.rivals.rolls import ACROSS, draw_rolls
from toccata.agents.studies.rivals.subjects import Compose, rival_row, run_rows
from toccata.agents.studies.rivals.tables import markdown, table_csv, table_of
from toccata.envs.excerpts import ExcerptDataset, as_piece, random_excerpt
from toccata.envs.pieces import Piece
from toccata.files import FileError, write_atomically
from toccata.interrupts import Interrupted
from toccata.reward_models.judges.panel import Panel

REAL = "real music"
SUMMARY_FILE = "rivals.json"

Figures = dict[str, Any]


def study_rivals(config: StudyRivalsConfig, console: Console | None = None) -> Figures:
    """Compose and measure, and write rivals.json, table.md, table.csv and rolls.png.

    Returns:
        what rivals.json holds.

    Raises:
        RivalError, OveroptimiseError, RunError, ConfigError, CorpusError, WeightsError, FileError: naming what cannot
            be read, before anything is composed.
        Interrupted: after a signal; what was measured stays.
        OSError: naming the file that cannot be written.
    """
    console = console or Console()
    refuse_other_folder(config.out)
    device = resolve_device(config.device)
    settings = settings_of_pieces(config)
    rows = [rival_row(spec, config, settings, device) for spec in config.composers]
    remarks: list[str] = []
    setup = _setup(config, settings, remarks)
    rows += run_rows(config, device, setup.rewards)
    setup.cache.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    samples: dict[str, list[Sample]] = {}
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            steps = (1 + sum(len(subjects) for _, subjects in rows)) * (chunk_count(config.samples) + 1)
            task = progress.add_task("composing and measuring", total=steps)

            def on_chunk() -> None:
                progress.advance(task)

            real = measured("real", _real_player(setup), config.samples, setup, on_chunk)
            figures: dict[str, Figures] = {}
            for name, subjects in rows:
                progress.update(task, description=name)
                samples[name] = [
                    measured(each.identity, each.compose, config.samples, setup, on_chunk) for each in subjects
                ]
                figures[name] = row_of(samples[name], real, config.seed) | fits_of(subjects, setup)
            figures[REAL] = row_of([real], real, config.seed)
            del figures[REAL][SECONDS]  # nobody composed it
    except KeyboardInterrupt as stop:
        message = f"stopped; what was measured stays in {setup.cache}: the same command goes on from there"
        raise Interrupted(message, stop.signal if isinstance(stop, Interrupted) else 2) from None
    first = {name: each[0].scores[:ACROSS] for name, each in samples.items()} | {REAL: real.scores[:ACROSS]}
    summary = {
        "rows": figures,
        "set_size": min(SIZE, config.samples),
        "rewards": " + ".join(f"{weight:g} x {term}" for term, weight in setup.rewards.weights.items()),
        "settings": {
            "samples": config.samples,
            "seed": config.seed,
            "bars": settings.bars,
            "genre": settings.genre,
            "corpus": list(settings.corpus),
        },
        "remarks": remarks,
    }
    files = {
        "rolls.png": draw_rolls(first),
        "table.md": markdown(summary).encode("utf-8", "backslashreplace"),
        "table.csv": table_csv(summary).encode("utf-8", "backslashreplace"),
        SUMMARY_FILE: (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode(),
    }
    for name, data in files.items():
        write_atomically(config.out / name, data)
    console.print(table_of(summary))
    for line in remarks:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"read: {config.out / 'table.md'}   see: {config.out / 'rolls.png'}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    return summary


def settings_of_pieces(config: StudyRivalsConfig) -> TrainConfig:
    """Length, metre, tempo, genre and real music: those of the first run, or of the command.

    Raises:
        RunError, ConfigError: for a folder that is no run, and for an unknown genre.
    """
    if config.runs:
        first = config.runs[0]
        return Run.open((seed_runs(first) or [first])[0]).config
    return with_prior_genres(
        TrainConfig(
            bars=config.bars,
            beats_per_bar=config.beats_per_bar,
            tempo_bpm=config.tempo_bpm,
            genre=config.genre,
            corpus=config.corpus,
        )
    )


def refuse_other_folder(out: Path) -> None:
    """Raise FileError where `out` is there and was not written by this command."""
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.is_symlink() or (out.exists() and not (out / CACHE).is_dir() and not is_empty):
        raise FileError(f"{out}: exists already, and is no folder of toccata study; choose another --out")


def _setup(config: StudyRivalsConfig, settings: TrainConfig, remarks: list[str]) -> Setup:
    """What everything is measured with."""
    real = excerpt_dataset(settings, "test", remarks.append)
    held_out, held_out_works = _held_out(real, config.samples, np.random.default_rng([config.seed, 1]))
    works = training_works(settings)
    metre = settings.bars, float(settings.beats_per_bar), float(settings.tempo_bpm)  # a file of a run has 4.0 for 4
    key = repr([settings.genre, settings.corpus, metre, len(works), len(real.scores)])
    rewards = read_rewards(DEFAULT_REWARDS, settings, config.seed)
    return Setup(
        rewards=rewards,
        panel=Panel.load(),
        real=real,
        works=works,
        held_out=held_out,
        held_out_works=held_out_works,
        config=settings,
        seed=config.seed,
        cache=config.out / CACHE,
        key=key,
    )


def _held_out(real: ExcerptDataset, count: int, rng: np.random.Generator) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
    """Excerpts in their own keys of works drawn uniformly, and the work that each is of."""
    pieces, works = [], []
    for _ in range(count):
        work = int(rng.integers(len(real.scores)))
        excerpt = random_excerpt(real.scores[work], real.bars, real.beats_per_bar, rng)
        pieces.append(as_piece(excerpt, real.piano, real.beats_per_bar, real.tempo_bpm, real.genre)[0])
        works.append(str(work))
    return tuple(pieces), tuple(works)


def _real_player(setup: Setup) -> Compose:
    """Composes excerpts of held-out works, in their own keys."""

    def compose(count: int, seed: int) -> list[Piece]:
        return list(setup.real.sample(count, np.random.default_rng(seed), transpose=False))

    return compose
