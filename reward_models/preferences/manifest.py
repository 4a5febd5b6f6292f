"""Preferences from a manifest: a CSV file of the user with files, plays and likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toccata.reward_models.preferences.csv_rows import TableBuilder, is_file, lower_names, parse_split, read_rows
from toccata.reward_models.preferences.table import (
    DUPLICATE,
    MISSING_FILE,
    NO_FILE_NAME,
    Preference,
    PreferenceTable,
)

MANIFEST_COLUMNS = ("file", "plays", "likes")  # required; genre and split are optional


def is_manifest(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is a manifest."""
    return bool(rows) and set(MANIFEST_COLUMNS) <= set(lower_names(rows[0]))


def read_manifest(path: Path, delimiter: str = ",") -> PreferenceTable:
    """Read a table with the columns `file`, `plays`, `likes` and optionally `genre` and `split`, in any order and case.

    Files are sound or MIDI; their paths are absolute or relative to the table's folder. Other columns are ignored. Each
    file is a group.

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
        file = path.parent / cell
        if not cell:
            table.leave_out(name, NO_FILE_NAME)
        elif not is_file(file):
            table.leave_out(name, MISSING_FILE)
        elif file.resolve() in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(file.resolve())
            table.add(Preference(cell, *counts, genre=row.get("genre") or None, split=split, file=file))
    return table.build()
