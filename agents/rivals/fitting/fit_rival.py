"""`toccata fit-rival`: fits a composer to real music by genre, and writes its weights and model card."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.prior.fitting.report import markdown_table
from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.rivals.fitting.job import FitJob
from toccata.agents.rivals.registry import RIVALS
from toccata.files import FileError, naming, read_json, refuse_existing, whole_folder, write_atomically
from toccata.interrupts import Interrupted
from toccata.music.corpus import Corpus, load_corpus
from toccata.music.corpus.works import unknown_name_message
from toccata.settings.options import ConfigError
from toccata.weights import CONFIG_FILE

MIN_WORKS = 8  # of a genre for training: fewer are learnt by heart
CARD = "MODEL_CARD.md"
OPTIONS_FILE = "options.json"  # in the checkpoint: which fit it is of
MINUTES_FILE = "fit.json"  # beside the weights, and in the checkpoint: how long the fit took
RENEWABLE = ("out", "resume", "device")  # options that may differ when a fit is resumed


def fit_rival(config: FitRivalConfig, console: Console | None = None) -> Path:
    """Fit a composer and write it.

    Args:
        config: of the command.
        console: where progress is shown; by default standard error.

    Returns:
        `config.out`.

    Raises:
        ConfigError, CorpusError, RivalError: before anything is written, when it cannot be fitted.
        OSError: naming the file that cannot be written; nothing is left in `config.out` then.
        Interrupted: after a signal; the message says how to go on.
    """
    console = console or Console(stderr=True)
    if config.resume and config.out.is_dir() and not config.out.is_symlink():
        with contextlib.suppress(OSError):
            config.out.rmdir()  # a fit that was killed leaves it empty
    refuse_existing(config.out, "another --out")
    checkpoint = config.out.with_name(f"{config.out.name}.checkpoint")
    works = works_by_genre(config)
    prepare_checkpoint(checkpoint, config)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    bar = Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console)
    fit = _fitter(config.rival)
    start, minutes_before = time.monotonic(), _minutes(checkpoint / MINUTES_FILE)
    try:
        with whole_folder(config.out) as folder, bar:
            task = bar.add_task(f"fitting {config.rival}", total=1.0, note="")

            def on_progress(done: float, note: str) -> None:
                bar.update(task, completed=done, note=note)

            body = fit(FitJob(config, works, folder, checkpoint, on_progress, bar.console))
            minutes = minutes_before + (time.monotonic() - start) / 60
            write_atomically(folder / MINUTES_FILE, json.dumps({"minutes": round(minutes, 2)}).encode())
            with naming(folder / CARD):
                (folder / CARD).write_text(_card(config, body, works), encoding="utf-8")
    except KeyboardInterrupt as stop:
        kept = ""
        if is_begun(checkpoint):
            minutes = minutes_before + (time.monotonic() - start) / 60
            write_atomically(checkpoint / MINUTES_FILE, json.dumps({"minutes": minutes}).encode())
            kept = f"; go on with --resume ({checkpoint})"
        message = f"stopped; nothing is written into {config.out}{kept}"
        raise Interrupted(message, stop.signal if isinstance(stop, Interrupted) else 2) from None
    finally:
        if not is_begun(checkpoint):  # there is nothing to resume
            shutil.rmtree(checkpoint, ignore_errors=True)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return config.out


def works_by_genre(config: FitRivalConfig) -> dict[str, Corpus]:
    """The works of each genre.

    Raises:
        CorpusError: for data that cannot be read, and for a genre that they do not have.
        RivalError: for a genre with too few works.
    """
    corpus = load_corpus(list(config.data), default_genre=config.genre)
    for genre in config.genres:
        if genre not in corpus.genres:
            raise RivalError(unknown_name_message("genre", genre, corpus.genres, f" in {corpus.name}"))
    by_genre = {genre: corpus.genre(genre) for genre in config.genres or corpus.genres}
    for genre, works in by_genre.items():
        count = len(works.split("train"))
        if count < MIN_WORKS:
            others = [each for each in by_genre if each != genre]
            hint = f", or leave it out: --genres {' '.join(others)}" if others else ""
            raise RivalError(
                f"{corpus.name}: genre {genre} has {count} works for training, {config.rival} needs at least "
                f"{MIN_WORKS}; add music{hint}"
            )
    return by_genre


def prepare_checkpoint(checkpoint: Path, config: FitRivalConfig) -> None:
    """Make the folder of the checkpoint, or see that the one to resume from is of this fit.

    Raises:
        ConfigError: for one that is there and is not resumed, for one to resume that is not there, and for one of
            other options, naming the first that differs.
    """
    options = {name: value for name, value in asdict(config).items() if name not in RENEWABLE}
    options = json.loads(json.dumps(options, default=str))
    file = checkpoint / OPTIONS_FILE
    if not config.resume:
        if is_begun(checkpoint):
            raise ConfigError(
                f"{checkpoint}: holds an interrupted fit; go on with it by --resume, delete it, or choose another --out"
            )
        checkpoint.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(options, indent=2).encode())
        return
    if not is_begun(checkpoint) or not file.is_file():
        raise ConfigError(f"{checkpoint}: there is no checkpoint to resume from; leave out --resume")
    kept = read_json(file)
    for name, value in options.items():
        if not isinstance(kept, dict) or kept.get(name) != value:
            was = kept.get(name) if isinstance(kept, dict) else None
            raise ConfigError(
                f"{checkpoint}: is of a fit with {name} {was!r}, not {value!r}; give the same options to resume it"
            )


def minutes_to_fit(folder: Path) -> float | None:
    """How long a fit took by what is written beside its weights, those of `fit-prior` too; None where nothing says."""
    if (folder / MINUTES_FILE).is_file():
        return _minutes(folder / MINUTES_FILE)
    try:
        minutes = read_json(folder / CONFIG_FILE)["fit"]["options"]["minutes"]
    except (OSError, FileError, KeyError, TypeError):
        return None
    return float(minutes) if _is_number(minutes) else None


def _minutes(file: Path) -> float:
    """What a file of minutes says; 0 where there is none or it says nothing."""
    try:
        minutes = read_json(file)["minutes"]
    except (OSError, FileError, KeyError, TypeError):
        return 0.0
    return float(minutes) if _is_number(minutes) else 0.0


def _is_number(value: object) -> bool:
    """Whether it is a finite number that is not negative."""
    return isinstance(value, (int, float)) and 0 <= value < 1e300  # which NaN is not, and JSON may say


def is_begun(checkpoint: Path) -> bool:
    """Whether a fitter has written into the folder."""
    return checkpoint.is_dir() and any(path.name not in (OPTIONS_FILE, MINUTES_FILE) for path in checkpoint.iterdir())


def _fitter(name: str) -> Callable[[FitJob], str]:
    """The function that fits a composer and returns the text of its model card."""
    module, _, function = RIVALS[name].fitter.partition(":")
    fitter: Callable[[FitJob], str] = getattr(import_module(module), function)
    return fitter


def _card(config: FitRivalConfig, body: str, works: Mapping[str, Corpus]) -> str:
    """The model card: what the fitter says, then data and command."""
    rows = [["genre", "training works", "for stopping", "held out", "training notes", "licences"]]
    for genre, corpus in works.items():
        splits = [corpus.split(name) for name in ("train", "valid", "test")]
        notes = sum(len(score) for score in splits[0].scores)
        licences = ", ".join(sorted({work.licence for work in corpus.works if work.licence})) or "see the sources"
        rows.append([genre, *(str(len(split)) for split in splits), f"{notes:,}", licences])
    sources = " ".join(Path(name).name for name in config.data)
    options = [f"--{name} {getattr(config, name):g}" for name in ("epochs", "minutes") if getattr(config, name)]
    options += [f"--genre {config.genre}"] if config.genre != FitRivalConfig.genre else []
    options += [f"--genres {' '.join(config.genres)}"] if config.genres else []
    options += [f"--order {config.order}"] if config.rival == "markov" else []
    command = " ".join(["toccata fit-rival", config.rival, "--data", sources, *options, f"--seed {config.seed}"])
    return "\n".join(
        [
            body.strip(),
            "\n## Data\n",
            markdown_table(rows),
            f"\n## Command\n\n    {command} --out OUT\n",
        ]
    )
