"""Rows of preference tables in CSV: reading, counting and leaving out."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from toccata.reward_models.preferences.table import (
    NOT_A_NUMBER,
    UNREADABLE,
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
    count_problem,
)

INDEX = ("", "")  # of the first column of a table with two header rows, where pandas writes its index
SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "eval": "valid",
    "test": "test",
}
MISSING_VALUES = ("", "na", "nan", "none")  # as tables written by pandas spell them


def open_text(path: Path) -> TextIO:
    """A UTF-8 text file, with or without byte order mark, compressed by gzip or not; broken characters are replaced."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


class _Table:
    """A table while it is read."""

    def __init__(self) -> None:
        self.preferences: list[Preference] = []
        self.left_out: list[LeftOut] = []

    def keep(self, preference: Preference) -> None:
        self.preferences.append(preference)

    def leave_out(self, name: str, reason: str, detail: str = "") -> None:
        self.left_out.append(LeftOut(name, reason, detail))

    def counts(self, name: str, plays: str, likes: str) -> tuple[float, float] | None:
        """(plays, likes), or None after the row was left out."""
        try:
            counts = float(plays), float(likes)
            reason = count_problem(counts[1], counts[0])
        except ValueError:
            counts, reason = (math.nan, math.nan), NOT_A_NUMBER
        if reason is None:
            return counts
        self.leave_out(name, reason, f"plays {plays or 'empty'}, likes {likes or 'empty'}")
        return None

    def done(self) -> PreferenceTable:
        return PreferenceTable(tuple(self.preferences), tuple(self.left_out))


Row = dict  # of cells, without the blanks around them, by column


def _rows(
    path: Path, delimiter: str, table: _Table, header_rows: int = 1, lower: bool = False
) -> Iterator[tuple[int, Row]]:
    """(number, cells by column) of each row; the first is 1, as in a spreadsheet. Unreadable ones are left out.

    A column of a table with one header row is its name; of one with two, the pair of its names, but the first, which
    has none, is `INDEX`.
    """
    with open_text(path) as text:
        records = csv.reader(text, delimiter=delimiter, strict=True)
        header = [next(records) for _ in range(header_rows)]
        names = _lower(header[0]) if lower else header[0]
        columns = names if header_rows == 1 else [INDEX, *zip(header[0][1:], header[1][1:], strict=False)]
        repeated = [name for place, name in enumerate(columns) if name and name in columns[:place]]
        if lower and repeated:
            raise PreferenceError(f"{path}: has two columns {repeated[0]!r}")
        number = header_rows
        while True:
            number += 1
            try:
                cells = [cell.strip() for cell in next(records)]
            except StopIteration:
                return
            except csv.Error as error:
                table.leave_out(f"row {number}", UNREADABLE, str(error))
                continue
            except (EOFError, OSError, zlib.error) as error:  # damaged compressed data: there is nothing after it
                table.leave_out(f"row {number}", UNREADABLE, f"the rest of the file is lost: {error}")
                return
            if not any(cells):
                continue
            if len(cells) < len(columns) or any(cells[len(columns) :]):
                table.leave_out(f"row {number}", UNREADABLE, f"{len(cells)} cells, the header has {len(columns)}")
                continue
            yield number, dict(reversed(list(zip(columns, cells, strict=False))))  # the first of two names alike


def _lower(names: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in names]


def _split(path: Path, number: int, cell: str) -> str | None:
    word = _known(cell).lower()
    if word and word not in SPLITS:
        raise PreferenceError(f"{path}, row {number}: split must be one of {', '.join(SPLITS)}, or empty, got {cell!r}")
    return SPLITS.get(word)


def _known(cell: str) -> str:
    """The cell, "" where it stands for a missing value."""
    return "" if cell.lower() in MISSING_VALUES else cell


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or no name: what rows of garbage hold
        return False
