"""Rows of preference tables in CSV, and the table that is built from them."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from toccata.files import FileError, existing_name, is_file
from toccata.reward_models.preferences.table import (
    MISSING_FILE,
    NO_FILE_NAME,
    NOT_A_NUMBER,
    OUTSIDE,
    UNREADABLE,
    LeftOutRows,
    Preference,
    PreferenceError,
    PreferenceTable,
    count_problem,
)

INDEX = ("", "")  # name of the first column under two header rows, where pandas writes its index
SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "eval": "valid",
    "test": "test",
}
MAX_BYTES = 2 * 2**30  # unpacked; a file of the full Bach Doodle has 1.1 GB, tracks.csv of the FMA 0.26 GB
MAX_ROWS = 1_000_000  # PDMX has 254,077
MAX_LINE = 16 * 2**20  # characters; a session of the Bach Doodle has 10,000 a harmonization
MAX_COLUMNS = 1_000  # the FMA has 53, PDMX about 60
MISSING_VALUES = ("", "na", "nan", "none")  # as pandas writes them, in lower case


def open_text(path: Path) -> TextIO:
    """Open a UTF-8 text file, with or without byte order mark, gzipped or not, of at most 2 GiB unpacked.

    Bytes that are not UTF-8 become surrogates, as in the names that Python lists, so that files are found whose names
    are in an old encoding.

    Reading raises PreferenceError when the bound is exceeded.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    source = gzip.GzipFile(path) if compressed else path.open("rb")
    buffer = io.BufferedReader(_Bounded(cast("BinaryIO", source), path))
    return io.TextIOWrapper(buffer, encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Bounded(io.RawIOBase):
    """A file that raises PreferenceError after `MAX_BYTES`."""

    def __init__(self, source: BinaryIO, path: Path) -> None:
        self.source = source
        self.path = path
        self.count = 0

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into the buffer; their number, 0 at the end."""
        data = self.source.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if self.count > MAX_BYTES:
            raise PreferenceError(f"{self.path}: is larger than {MAX_BYTES:,} bytes (unpacked)")
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self.source.close()
        super().close()


def lines(text: TextIO, path: Path) -> Iterator[str]:
    """The lines of a text, with their ends.

    Raises:
        PreferenceError: for a line longer than `MAX_LINE` characters, and for more than `MAX_ROWS` lines.
    """
    for _ in range(MAX_ROWS):
        line = text.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE:
            raise PreferenceError(f"{path}: has a line of more than {MAX_LINE:,} characters")
        yield line
    if text.read(1):
        raise PreferenceError(f"{path}: has more than {MAX_ROWS:,} lines")


class TableBuilder:
    """Collects the rows of a `PreferenceTable`."""

    def __init__(self) -> None:
        self.preferences: list[Preference] = []
        self.left_out = LeftOutRows()

    def add(self, preference: Preference) -> None:
        """Add a piece."""
        self.preferences.append(preference)

    def leave_out(self, name: str, reason: str, detail: str = "") -> None:
        """Record a row that gives no preference; see `LeftOut`."""
        self.left_out.add(name, reason, detail)

    def parse_counts(self, name: str, plays: str, likes: str) -> tuple[float, float] | None:
        """(plays, likes); or None, and the row is left out, where they have no popularity."""
        try:
            counts = float(plays), float(likes)
            reason = count_problem(counts[1], counts[0])
        except ValueError:
            counts, reason = (math.nan, math.nan), NOT_A_NUMBER
        if reason is None:
            return counts
        self.leave_out(name, reason, f"plays {plays or 'empty'}, likes {likes or 'empty'}")
        return None

    def build(self) -> PreferenceTable:
        """The table of all rows so far."""
        return PreferenceTable(tuple(self.preferences), tuple(self.left_out.rows))


Row = dict  # cells by column, stripped of blanks


def read_rows(
    path: Path, delimiter: str, table: TableBuilder, header_rows: int = 1, lower: bool = False
) -> Iterator[tuple[int, Row]]:
    """(row number, cells by column) of each row; row 1 is the first header row, as in a spreadsheet.

    Unreadable rows go to `table.left_out`, empty ones are skipped. With one header row a column is a name, in lower
    case if `lower`; with two it is a pair of names, and the first column is `INDEX`.

    Raises:
        PreferenceError: for more than `MAX_COLUMNS`; if `lower`, for two columns of one name.
    """
    with open_text(path) as text:
        records = csv.reader(lines(text, path), delimiter=delimiter, strict=True)
        header = [next(records) for _ in range(header_rows)]
        widest = max(map(len, header))
        if widest > MAX_COLUMNS:
            raise PreferenceError(f"{path}: has {widest:,} columns, at most {MAX_COLUMNS:,} are read")
        names = lower_names(header[0]) if lower else header[0]
        columns = names if header_rows == 1 else [INDEX, *zip(header[0][1:], header[1][1:], strict=False)]
        repeated = [name for name, count in Counter(columns).items() if name and count > 1]
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
            except (EOFError, OSError, zlib.error) as error:  # damaged compressed data: nothing after it can be read
                table.leave_out(f"row {number}", UNREADABLE, f"the rest of the file is lost: {error}")
                return
            if not any(cells):
                continue
            if len(cells) < len(columns) or any(cells[len(columns) :]):
                table.leave_out(f"row {number}", UNREADABLE, f"{len(cells)} cells, the header has {len(columns)}")
                continue
            yield number, dict(reversed(list(zip(columns, cells, strict=False))))  # of two equal names the first counts


def lower_names(names: Sequence[str]) -> list[str]:
    """Column names in lower case, stripped of blanks."""
    return [name.strip().lower() for name in names]


def parse_split(path: Path, number: int, cell: str) -> str | None:
    """The split of a cell, by the names in `SPLITS`: "train", "valid" or "test"; None for an empty cell.

    Raises:
        PreferenceError: naming file and row, for another split.
    """
    word = value_or_empty(cell).lower()
    if word and word not in SPLITS:
        raise PreferenceError(f"{path}, row {number}: split must be one of {', '.join(SPLITS)}, or empty, got {cell!r}")
    return SPLITS.get(word)


def value_or_empty(cell: str) -> str:
    """The cell, or "" for a missing value."""
    return "" if cell.lower() in MISSING_VALUES else cell


def find_file(folder: Path, cell: str, name: str, table: TableBuilder) -> Path | None:
    """The file that a cell names; or None, and the row is left out, where there is none in the folder."""
    if not cell:
        table.leave_out(name, NO_FILE_NAME)
        return None
    try:
        file = existing_name(folder, cell)
    except FileError as error:
        table.leave_out(name, OUTSIDE, str(error))
        return None
    if not is_file(file):
        table.leave_out(name, MISSING_FILE)
        return None
    return file
