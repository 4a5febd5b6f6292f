"""Preference data: what people played and liked, from a manifest of one's own or a public data set.

Every source becomes one table of pieces with plays and likes; `popularity` is the one formula over them.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.reward_models.preferences.bach_doodle import (
    holds_counts,
    holds_sessions,
    read_counts,
    read_sessions,
)
from toccata.reward_models.preferences.csv_rows import open_text
from toccata.reward_models.preferences.fma import is_fma, read_fma
from toccata.reward_models.preferences.manifest import is_manifest, read_manifest
from toccata.reward_models.preferences.pdmx import is_pdmx, read_pdmx
from toccata.reward_models.preferences.table import (
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
    contour,
    popularity,
)

__all__ = [
    "LeftOut",
    "Preference",
    "PreferenceError",
    "PreferenceTable",
    "contour",
    "group_folds",
    "popularity",
    "read_preferences",
]
TABLES = (  # what a folder may hold, in the order of preference: a manifest is somebody's own choice
    "manifest.csv",
    "melodies.jsonl",
    "tracks.csv",
    "fma_metadata/tracks.csv",
    "PDMX.csv",
)
KNOWN = (
    "a manifest CSV with the columns file,plays,likes[,genre,split]; sessions (.json, .jsonl, .jsonl.gz) or "
    "melodies.jsonl of the Bach Doodle; tracks.csv of the FMA; PDMX.csv; or a folder that holds one of "
    f"{', '.join(TABLES)}"
)
HEAD_CHARACTERS = 2**20  # that a file is recognised by: a session of the doodle has 10,000 a harmonization
HEAD_LINES = 100  # of which one at least is whole


def read_preferences(path: str | PathLike[str]) -> PreferenceTable:
    """Read preference data of any known kind, recognised by its content.

    - A manifest of one's own: a CSV file (comma, semicolon or tab) with the columns `file`, `plays`, `likes` and, if
      it likes, `genre` and `split`; `file` is sound (WAV, FLAC, OGG, MP3) or MIDI, relative to the manifest.
    - The Google Bach Doodle: sessions in the full schema (`.json`, `.jsonl`, `.jsonl.gz`), or `melodies.jsonl`.
    - The Free Music Archive: `tracks.csv`, with `fma_small` or another of its archives beside it or its folder.
    - PDMX: `PDMX.csv`, with its MIDI files beside it.
    - A folder that holds one of these under its usual name; a manifest is `manifest.csv`.

    Only the table is read: a file that turns out unreadable is an error of `Preference.load`.

    Raises:
        PreferenceError: when there is no such path, nothing known is there, a split is unknown, or no row can be
            used.
    """
    path = Path(path)
    if path.is_dir():
        found = next((path / name for name in TABLES if (path / name).is_file()), None)
        if found is None:
            raise PreferenceError(f"{path}: holds no preference data; it can be {KNOWN}")
        path = found
    if not path.is_file():
        raise PreferenceError(f"{path}: no such file or folder; it can be {KNOWN}")
    try:
        table = _read(path)
    except OSError as error:
        raise PreferenceError(f"{path}: {error.strerror or error}") from error
    if not table.preferences:
        raise PreferenceError(f"{path}: holds nothing to learn from: {table.summary()}")
    return table


def group_folds(groups: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """(n,) fold of each piece in 0..folds-1: whole groups, dealt in random order, so equally many to each fold.

    Args:
        groups: (n,) the group of each piece, `Preference.group`.
        folds: how many folds, at least 1.
        seed: equal seeds deal equally, however the pieces are ordered.

    Raises:
        ValueError: when there are fewer groups than folds.
    """
    distinct = sorted(set(groups))
    if not 1 <= folds <= len(distinct):
        raise ValueError(f"{folds} folds need as many groups of pieces, got {len(distinct)}")
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold_of = {distinct[index]: place % folds for place, index in enumerate(order)}
    return np.array([fold_of[group] for group in groups], np.int64)


def _read(path: Path) -> PreferenceTable:
    """The table of a file, by whichever reader knows it."""
    try:
        with open_text(path) as text:
            head = text.read(HEAD_CHARACTERS)
    except (EOFError, zlib.error) as error:
        raise PreferenceError(f"{path}: {error}") from error
    if head.lstrip().startswith("["):
        return read_sessions(path)
    for line in head.split("\n")[:HEAD_LINES] if head.lstrip().startswith("{") else ():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if holds_sessions(row):
            return read_sessions(path)
        if holds_counts(row):
            return read_counts(path)
    for delimiter in ",;\t":
        rows = _first_rows(head, delimiter)
        for is_known, read in ((is_manifest, read_manifest), (is_fma, read_fma), (is_pdmx, read_pdmx)):
            if is_known(rows):
                return read(path, delimiter)
    first = next((line.strip() for line in head.splitlines() if line.strip()), "")
    found = f"begins with {first[:80]!r}" if first else "is empty"
    raise PreferenceError(f"{path}: is no preference data known here ({found}); it can be {KNOWN}")


def _first_rows(head: str, delimiter: str) -> list[list[str]]:
    """The first two rows of a table, fewer where they cannot be read."""
    rows = []
    try:
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, strict=True):
            rows.append(row)
            if len(rows) == 2:
                break
    except csv.Error:  # a file of another kind
        pass
    return rows
