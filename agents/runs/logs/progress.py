"""progress.csv: one row a rollout."""

from __future__ import annotations

import csv
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter

from toccata.errors import ToccataError, one_line
from toccata.files import FileError, read_bytes, write_atomically

STEP_COLUMN = "time/total_timesteps"
MAX_BYTES = 2**28  # a row of 40 columns takes 500 bytes: half a million rollouts
MAX_COLUMNS = 10_000


class ProgressError(ToccataError, ValueError):
    """A progress.csv that cannot be read; names the file and the reason."""


class Progress:
    """progress.csv: one row a rollout; new quantities add columns. Rows after `until_step` are dropped on resuming.

    Raises:
        ProgressError: for a file that cannot be read; it is left as it is.
    """

    def __init__(self, path: Path, until_step: int = 0) -> None:
        self.path = path
        try:
            rows = read_rows(path)
        except ProgressError as error:
            raise ProgressError(f"{error}; move it away to resume without its rows") from None
        self.rows: list[dict[str, Any]] = [row for row in rows if float(row[STEP_COLUMN] or 0) <= until_step]

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; the file is replaced as a whole."""
        self.rows.append(row)
        columns = sorted({key for each in self.rows for key in each})
        text = StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode("utf-8", "backslashreplace"))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a progress.csv by column; none when there is no such file.

    Raises:
        ProgressError: naming the file, when it is no CSV file in UTF-8, a row has another number of cells than there
            are columns, or a step is no finite number.
    """
    if not path.exists():
        return []
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8")
        lines = list(csv.reader(StringIO(text, newline=""), strict=True))
    except FileError as error:
        raise ProgressError(str(error)) from error
    except (ValueError, csv.Error) as error:
        raise ProgressError(f"{path}: not a readable CSV file: {one_line(error)}") from error
    if not lines:
        return []
    columns = lines[0]
    if len(columns) > MAX_COLUMNS or len(set(columns)) < len(columns) or STEP_COLUMN not in columns:
        raise ProgressError(
            f"{path}: its first line must name at most {MAX_COLUMNS:,} different columns, one of them {STEP_COLUMN}"
        )
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(columns):
            raise ProgressError(f"{path}: row {number} has {len(line):,} cells, not {len(columns):,}")
        row = dict(zip(columns, line, strict=True))
        if row[STEP_COLUMN] and not isfinite(number_in(row, STEP_COLUMN, f"{path}: row {number}")):
            raise ProgressError(f"{path}: row {number}: {STEP_COLUMN} must be finite, got {row[STEP_COLUMN]}")
        rows.append(row)
    return rows


def number_in(row: dict[str, str], column: str, where: str) -> float:
    """The number in a cell; NaN where it is empty.

    Raises:
        ProgressError: beginning with `where`, for anything else.
    """
    try:
        return float(row[column] or "nan")
    except ValueError:
        raise ProgressError(f"{where}: {column} must be a number, got {row[column][:100]!r}") from None


class ProgressWriter(KVWriter):
    """A Stable-Baselines3 log writer to `Progress`."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one row."""
        row = {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in key_values.items()
            if "csv" not in (key_excluded.get(key) or ())
        }
        self.progress.add(row)

    def close(self) -> None:
        """There is no open file."""
