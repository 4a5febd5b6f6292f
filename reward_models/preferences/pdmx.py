"""Preferences from PDMX, public-domain scores from MuseScore (Long et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toccata.errors import printable
from toccata.reward_models.preferences.csv_rows import TableBuilder, find_file, read_rows, value_or_empty
from toccata.reward_models.preferences.table import (
    DUPLICATE,
    Preference,
    PreferenceError,
    PreferenceTable,
)

PDMX_COLUMNS = ("mid", "n_favorites", "n_views")
PDMX_LICENCE = "subset:no_license_conflict"
LICENCE_CONFLICT = "licence conflict"


def is_pdmx(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is PDMX.csv."""
    return bool(rows) and set(PDMX_COLUMNS) <= set(rows[0])


def read_pdmx(path: Path, delimiter: str = ",") -> PreferenceTable:
    """Read `PDMX.csv`: `likes` are favourites, `plays` are views, the pieces are its MIDI files (`mid`).

    Scores whose licence on the site contradicts the one in their file are left out, as the authors of the data set
    advise, and files outside the table's folder. The genre is the first of the genres joined by "-". Versions of one
    song (`best_path`) are one group.

    Raises:
        PreferenceError: for a table without the column of these licence conflicts, as in the first release.
    """
    table = TableBuilder()
    seen: set[Path] = set()
    for number, row in read_rows(path, delimiter, table):
        cell = value_or_empty(row["mid"])
        name = f"row {number}: {cell}" if cell else f"row {number}"
        if PDMX_LICENCE not in row:
            raise PreferenceError(f"{path}: has no column {PDMX_LICENCE}; later releases of PDMX have it")
        if row[PDMX_LICENCE].lower() != "true":
            table.leave_out(name, LICENCE_CONFLICT)
            continue
        counts = table.parse_counts(name, row["n_views"], row["n_favorites"])
        if counts is None:
            continue
        file = find_file(path.parent, cell, name, table)
        if file is None:
            continue
        if file.resolve() in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(file.resolve())
            song = printable(value_or_empty(row.get("best_path", "")))
            genre = printable(value_or_empty(row.get("genres", "")).split("-")[0])
            group = f"song {song}" if song else ""
            table.add(Preference(printable(cell), *counts, genre=genre or None, group=group, file=file))
    return table.build()
