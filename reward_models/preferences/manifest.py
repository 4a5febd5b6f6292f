"""Preferences from a manifest: a CSV of the user's own with files, plays and likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toccata.reward_models.preferences.csv_rows import _is_file, _lower, _rows, _split, _Table
from toccata.reward_models.preferences.table import (
    DUPLICATE,
    MISSING_FILE,
    NO_FILE_NAME,
    Preference,
    PreferenceTable,
)

MANIFEST_COLUMNS = ("file", "plays", "likes")  # and, where there are any, genre and split


def is_manifest(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is a manifest."""
    return bool(rows) and set(MANIFEST_COLUMNS) <= set(_lower(rows[0]))


def read_manifest(path: Path, delimiter: str = ",") -> PreferenceTable:
    """A table with the columns `file`, `plays`, `likes` and, if it likes, `genre` and `split`, in any order and case.

    Files are sound or MIDI, named relative to the table's folder or absolutely. Other columns are ignored. Each file
    is a group of its own.

    Raises:
        PreferenceError: for a split other than train, valid, test or none; other spellings are in `SPLITS`.
    """
    table = _Table()
    seen: set[Path] = set()
    for number, row in _rows(path, delimiter, table, lower=True):
        cell = row["file"]
        name = f"row {number}: {cell}" if cell else f"row {number}"
        split = _split(path, number, row.get("split", ""))
        counts = table.counts(name, row["plays"], row["likes"])
        if counts is None:
            continue
        file = path.parent / cell
        if not cell:
            table.leave_out(name, NO_FILE_NAME)
        elif not _is_file(file):
            table.leave_out(name, MISSING_FILE)
        elif file.resolve() in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(file.resolve())
            table.keep(Preference(cell, *counts, genre=row.get("genre") or None, split=split, file=file))
    return table.done()
