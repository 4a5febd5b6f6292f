"""`toccata overoptimise`: the over-optimisation picture and table of a study, from run folders."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.evaluate import check_samples
from toccata.agents.evaluation.overoptimise.arms import read_arms
from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.evaluation.overoptimise.evaluator import read_evaluator
from toccata.agents.evaluation.overoptimise.picture import draw_frontier
from toccata.agents.evaluation.overoptimise.samples import CACHE
from toccata.agents.evaluation.overoptimise.study import Models, run_study
from toccata.agents.evaluation.overoptimise.summary import summarise
from toccata.agents.evaluation.overoptimise.tables import markdown, table_csv, table_of
from toccata.files import FileError, write_atomically
from toccata.interrupts import Interrupted

SUMMARY_FILE = "overoptimise.json"


def overoptimise(config: OveroptimiseConfig, console: Console | None = None) -> dict[str, Any]:
    """Sample and measure the runs, and write overoptimise.json, table.md, table.csv, frontier.png and frontier.svg.

    Returns:
        what overoptimise.json holds.

    Raises:
        OveroptimiseError: for runs that cannot be studied together.
        RunError, ConfigError, ModelError, ProgressError, FileError: naming a file that cannot be read, or `out` when it
            is there and is of something else.
        Interrupted: after a signal; what was sampled stays.
        OSError: naming the file that cannot be written.
    """
    console = console or Console()
    refuse_other_folder(config)
    arms = read_arms(config.runs)
    first = arms[0].runs[0]
    check_samples(config.samples, first.config.bars)
    device = resolve_device(config.device)
    evaluator = read_evaluator(first, config.rewards, config.seed, device, trust=config.trust)
    (config.out / CACHE).mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            models = Models(arms, config, device)
            task = progress.add_task("sampling and measuring, chunks", total=models.chunks)
            study = run_study(arms, models, evaluator, config, config.out, lambda: progress.advance(task))
        with console.status("computing best-of-n, the limit and the curves"):
            summary = summarise(study, config)
            pictures = draw_frontier(summary)
    except KeyboardInterrupt as stop:
        message = f"stopped; what was sampled stays in {config.out / CACHE}: the same command goes on from there"
        raise Interrupted(message, stop.signal if isinstance(stop, Interrupted) else 2) from None
    files = {f"frontier.{kind}": data for kind, data in pictures.items()}
    files["table.md"] = markdown(summary).encode("utf-8", "backslashreplace")
    files["table.csv"] = table_csv(summary).encode("utf-8", "backslashreplace")
    files[SUMMARY_FILE] = (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode()
    for name, data in files.items():
        write_atomically(config.out / name, data)
    console.print(table_of(summary))
    for line in summary["remarks"]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"see: {config.out / 'frontier.png'}   read: {config.out / 'table.md'}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    return summary


def refuse_other_folder(config: OveroptimiseConfig) -> None:
    """Raise FileError where `out` is there and was not written by this command."""
    out = config.out
    if out.is_symlink() or (out.exists() and not (out / CACHE).is_dir() and not _is_empty(out)):
        raise FileError(f"{out}: exists already, and is no folder of toccata overoptimise; choose another --out")


def _is_empty(out: Any) -> bool:
    return out.is_dir() and not any(out.iterdir())
