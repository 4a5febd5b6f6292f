"""Votes on pairs of pieces: which of two is better."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from toccata.errors import printable
from toccata.reward_models.preferences.csv_rows import TableBuilder, find_file, lower_names, open_text, read_rows
from toccata.reward_models.preferences.table import Pair, Preference, PreferenceError, PreferenceTable

PAIRS_FILE = "pairs.csv"
CHOICE_COLUMNS = ("first", "second", "choice")
BETTER_COLUMNS = ("better", "worse")
CHOICES = {"first": 1.0, "second": 0.0, "tie": 0.5}  # share of the vote that the first piece has
SAME_PIECE = "a piece beside itself"
UNKNOWN_CHOICE = "unknown choice"


class _Columns(NamedTuple):
    """Where a row has its pieces."""

    first: str
    second: str
    choice: str | None


def with_pairs(table: PreferenceTable, path: Path) -> PreferenceTable:
    """The table with the votes of a file, and with the pieces that only these name.

    The file is CSV (comma, semicolon or tab), a row a vote, with the columns `first`, `second` and `choice` (first,
    second or tie), or `better` and `worse`; other columns are ignored. The names are those of files in the folder of
    the file or below, as in a manifest.

    Raises:
        PreferenceError: when the file cannot be read or has other columns.
    """
    builder = TableBuilder()
    pieces = list(table.preferences)
    index = {piece.file.resolve(): number for number, piece in enumerate(pieces) if piece.file is not None}
    pairs: list[Pair] = []

    def index_of(cell: str, name: str) -> int | None:
        file = find_file(path.parent, cell, name, builder)
        if file is None:
            return None
        if file.resolve() not in index:
            index[file.resolve()] = len(pieces)
            pieces.append(Preference(printable(cell), plays=0, likes=0, file=file))
        return index[file.resolve()]

    try:
        delimiter, columns = _layout(path)
        for number, row in read_rows(path, delimiter, builder, lower=True):
            name = f"{PAIRS_FILE}, row {number}"
            choice = "first" if columns.choice is None else row[columns.choice].lower()
            if choice not in CHOICES:
                builder.leave_out(name, UNKNOWN_CHOICE, choice)
                continue
            first, second = index_of(row[columns.first], name), index_of(row[columns.second], name)
            if first is None or second is None:
                continue
            if first == second:
                builder.leave_out(name, SAME_PIECE, row[columns.first])
            else:
                pairs.append(Pair(first, second, CHOICES[choice]))
    except OSError as error:
        raise PreferenceError(f"{path}: {error.strerror or error}") from error
    left_out = (*table.left_out, *builder.left_out.rows)
    return replace(table, preferences=tuple(pieces), left_out=left_out, pairs=tuple(pairs))


def _layout(path: Path) -> tuple[str, _Columns]:
    """The delimiter and the columns of a file of votes."""
    with open_text(path) as text:
        head = text.readline(10_000)
    for delimiter in ",;\t":
        names = lower_names(next(csv.reader([head], delimiter=delimiter), []))
        if set(CHOICE_COLUMNS) <= set(names):
            return delimiter, _Columns(*CHOICE_COLUMNS)
        if set(BETTER_COLUMNS) <= set(names):
            return delimiter, _Columns(*BETTER_COLUMNS, None)
    raise PreferenceError(
        f"{path}: needs the columns {','.join(CHOICE_COLUMNS)} or {','.join(BETTER_COLUMNS)}, begins with "
        f"{printable(head.strip())[:80]!r}"
    )
