"""Preferences from a manifest: a CSV file of the user with files, plays and likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toccata.errors import printable
from toccata.reward_models.preferences.csv_rows import TableBuilder, find_file, lower_names, parse_split, read_rows
from toccata.reward_models.preferences.table import DUPLICATE, Preference, PreferenceTable

MANIFEST_COLUMNS = ("file", "plays", "likes")  # required; genre and split are optional


def is_manifest(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is a manifest."""
    return bool(rows) and set(MANIFEST_COLUMNS) <= set(lower_names(rows[0]))


def read_manifest(path: Path, delimiter: str = ",") -> PreferenceTable:
    """Read a table with the columns `file`, `plays`, `likes` and optionally `genre` and `split`, in any order and case.

    Files are sound or MIDI; their paths are relative to the table's folder. Rows whose path leads out of it (an
    absolute one, or by "..") are left out. Other columns are ignored. Each file is a group.

    Raises:
        PreferenceError: for a split that is not in `SPLITS`, or two columns of one name.
    """
    table = TableBuilder()
    seen: set[Path] = set()
    for number, row in read_rows(path, delimiter, table, lower=True):
        cell = row["file"]
        name = f"row {number}: {cell}" if cell else f"row {number}"
        split = parse_split(path, number, row.get("split", ""))
        counts = table.parse_counts(name, row["plays"], row["likes"])
        if counts is None:
            continue
        file = find_file(path.parent, cell, name, table)
        if file is None:
            continue
        if file.resolve() in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(file.resolve())
            genre = printable(row.get("genre", "")) or None
            table.add(Preference(printable(cell), *counts, genre=genre, split=split, file=file))
    return table.build()
