"""Read preference data of any supported kind, recognised by its content."""

from __future__ import annotations

import csv
import io
import json
import zlib
from os import PathLike
from pathlib import Path

from toccata.reward_models.preferences.bach_doodle import holds_counts, holds_sessions, read_counts, read_sessions
from toccata.reward_models.preferences.csv_rows import open_text
from toccata.reward_models.preferences.fma import is_fma, read_fma
from toccata.reward_models.preferences.manifest import is_manifest, read_manifest
from toccata.reward_models.preferences.pairs import PAIRS_FILE, with_pairs
from toccata.reward_models.preferences.pdmx import is_pdmx, read_pdmx
from toccata.reward_models.preferences.table import PreferenceError, PreferenceTable

TABLES = (  # searched for in a folder, in this order
    "manifest.csv",
    "melodies.jsonl",
    "tracks.csv",
    "fma_metadata/tracks.csv",
    "PDMX.csv",
)
SUPPORTED = (
    "a manifest CSV with the columns file,plays,likes[,genre,split]; sessions (.json, .jsonl, .jsonl.gz) or "
    "melodies.jsonl of the Bach Doodle; tracks.csv of the FMA; PDMX.csv; or a folder that holds one of "
    f"{', '.join((*TABLES, PAIRS_FILE))}"
)
HEAD_CHARACTERS = 2**20  # read to recognise a file: a session of the Bach Doodle has 10,000 a harmonization
HEAD_LINES = 100  # tried in turn, as the first ones may be damaged


def read_preferences(path: str | PathLike[str], pairs: str | PathLike[str] | None = None) -> PreferenceTable:
    """Read preference data of any supported kind, recognised by its content.

    - A manifest: a CSV file (comma, semicolon or tab) with the columns `file`, `plays`, `likes` and optionally `genre`
      and `split`; `file` is sound (WAV, FLAC, OGG, MP3) or MIDI, in the folder of the manifest or below.
    - The Google Bach Doodle: sessions in the full schema (`.json`, `.jsonl`, `.jsonl.gz`), or `melodies.jsonl`.
    - The Free Music Archive: `tracks.csv`, with `fma_small` or another of its archives next to it or to its folder.
    - PDMX: `PDMX.csv`, with its MIDI files in the same folder.
    - A folder that holds one of these under its usual name; a manifest is `manifest.csv`. Votes on pairs in its file
      `pairs.csv` are read too, or alone; see `with_pairs`.

    Args:
        path: of a file or folder.
        pairs: file of votes on pairs; by default `pairs.csv`, where `path` is a folder that holds one.

    Only the table is read: an unreadable sound or MIDI file is an error of `Preference.load`.

    Raises:
        PreferenceError: when the path does not exist, holds no supported data, has an unknown split, or no usable row.
    """
    path = Path(path)
    pairs = None if pairs is None else Path(pairs)
    if path.is_dir() and pairs is None and (path / PAIRS_FILE).is_file():
        pairs = path / PAIRS_FILE
    table_path = _table_path(path)
    if table_path is not None:
        path, table = table_path, _read_table(table_path)
    elif pairs is not None:
        table = PreferenceTable(())
    else:
        raise PreferenceError(f"{path}: holds no preference data; it can be {SUPPORTED}")
    if pairs is not None:
        table = with_pairs(table, pairs)
    if not table.preferences:
        raise PreferenceError(f"{path}: has no usable row: {table.summary()}")
    return table


def _table_path(path: Path) -> Path | None:
    """The table of plays and likes in a folder, None where there is none; any other path as it is."""
    if not path.is_dir():
        return path
    return next((path / name for name in TABLES if (path / name).is_file()), None)


def _read_table(path: Path) -> PreferenceTable:
    """The table of plays and likes in a file."""
    if not path.is_file():
        raise PreferenceError(f"{path}: no such file or folder; it can be {SUPPORTED}")
    try:
        return _read_file(path)
    except OSError as error:
        raise PreferenceError(f"{path}: {error.strerror or error}") from error


def _read_file(path: Path) -> PreferenceTable:
    """The table of a file, by the reader of its kind."""
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
        for matches, read in ((is_manifest, read_manifest), (is_fma, read_fma), (is_pdmx, read_pdmx)):
            if matches(rows):
                return read(path, delimiter)
    first = next((line.strip() for line in head.splitlines() if line.strip()), "")
    content = f"begins with {first[:80]!r}" if first else "is empty"
    raise PreferenceError(f"{path}: not a supported kind of preference data ({content}); it can be {SUPPORTED}")


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
