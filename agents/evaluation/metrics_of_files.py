"""`toccata metrics`: the metrics of files as a table, or as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from io import StringIO

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from toccata.agents.evaluation.comparison import REAL_RANGE, short
from toccata.agents.evaluation.config import MetricsConfig
from toccata.errors import ToccataError, printable, shortened
from toccata.files import FileError, is_folder, refuse_existing, write_atomically
from toccata.music.metrics import METRICS
from toccata.music.metrics.files import Measured, files_of, measure_files

MAX_FAILURES = 20  # that are printed
LONGEST_FAILURE = 600  # characters of each
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins with one


class UnmeasuredError(ToccataError, RuntimeError):
    """No file could be measured."""


def measure_to_table(config: MetricsConfig, console: Console | None = None) -> list[Measured]:
    """Measure files and print a table, or write a CSV file; what cannot be read is named on standard error.

    Returns:
        what was measured of the files that could be read.

    Raises:
        UnmeasuredError: when no file could be read.
        FileError, OSError: naming the CSV file, when it exists, or cannot be written; before anything is measured where
            that can be known.
    """
    console = console or Console()
    refuse_existing(config.csv, "another --csv")
    if config.csv is not None and not is_folder(config.csv.parent):
        raise FileError(f"{config.csv}: there is no folder {config.csv.parent}")
    names = list(dict.fromkeys(config.metrics or METRICS))
    paths, failures = files_of(config.files)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Measuring", total=len(paths))
        results = measure_files(paths, names, config.jobs, lambda: progress.advance(task))
    measured = [each for each in results if not each.error]
    failures = list(dict.fromkeys([*failures, *(each.error for each in results if each.error)]))
    _print_failures(failures)
    if not measured:
        raise UnmeasuredError(f"none of {len(failures):,} files could be read")
    if config.csv is not None:
        write_atomically(config.csv, csv_of(measured, names))
        console.print(f"{len(measured):,} files: {config.csv}", soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(table_of(measured, names))
    return measured


def csv_of(measured: Sequence[Measured], names: Sequence[str]) -> bytes:
    """A CSV file in UTF-8: a header, and a row a file with its path and the value of each metric.

    Values are written so that reading them gives the same numbers. A path that a spreadsheet would run as a formula has
    an apostrophe in front.
    """
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", *names])
    for path, values, _ in measured:
        name = printable(str(path))
        writer.writerow([f"'{name}" if name.startswith(FORMULA) else name, *(values[each] for each in names)])
    return text.getvalue().encode("utf-8")


def table_of(measured: Sequence[Measured], names: Sequence[str]) -> Table:
    """The values of one file; mean and 5 to 95 % range of several."""
    one = len(measured) == 1
    title = shortened(str(measured[0].path), 60) if one else f"{len(measured):,} files"
    table = Table(title=escape(title), box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("metric", no_wrap=True)
    for column in ("value",) if one else ("mean", "5-95 %"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name in names:
        values = np.array([each.values[name] for each in measured])
        low, high = np.percentile(values, REAL_RANGE)
        cells = [short(float(values.mean()))] if one else [short(float(values.mean())), f"{short(low)}..{short(high)}"]
        table.add_row(name, *cells, METRICS[name].unit)
    return table


def _print_failures(failures: Sequence[str]) -> None:
    """Name what was left out, on standard error."""
    for failure in failures[:MAX_FAILURES]:
        print(f"left out: {shortened(failure, LONGEST_FAILURE)}", file=sys.stderr)
    if len(failures) > MAX_FAILURES:
        print(f"left out: {len(failures) - MAX_FAILURES:,} more", file=sys.stderr)
