"""Preferences from tables: a manifest of one's own, the Free Music Archive (FMA), PDMX.

A row that cannot be used is left out and says why; only a split that is no split is an error, because a piece on the
wrong side of a split would go unnoticed.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from toccata.reward_models.preference_table import (
    DUPLICATE,
    MISSING_FILE,
    NO_FILE_NAME,
    NOT_A_NUMBER,
    UNREADABLE,
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
    count_problem,
)

MANIFEST_COLUMNS = ("file", "plays", "likes")  # and, where there are any, genre and split
FMA_COLUMNS = (("track", "favorites"), ("track", "listens"))
INDEX = ("", "")  # of the first column of a table with two header rows, where pandas writes its index
FMA_SIZES = ("small", "medium", "large", "full")  # each holds those before it
PDMX_COLUMNS = ("mid", "n_favorites", "n_views")
PDMX_LICENCE = "subset:no_license_conflict"
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
NOT_DOWNLOADED = "not in the downloaded subset"
LICENCE_CONFLICT = "licence conflict"


def open_text(path: Path) -> TextIO:
    """A UTF-8 text file, with or without byte order mark, compressed by gzip or not; broken characters are replaced."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def is_manifest(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is a manifest."""
    return bool(rows) and set(MANIFEST_COLUMNS) <= set(_lower(rows[0]))


def is_fma(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is the FMA's tracks.csv."""
    return len(rows) > 1 and set(FMA_COLUMNS) <= set(zip(rows[0], rows[1], strict=False))


def is_pdmx(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is PDMX.csv."""
    return bool(rows) and set(PDMX_COLUMNS) <= set(rows[0])


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


def read_fma(path: Path, delimiter: str = ",") -> PreferenceTable:
    """The FMA's `fma_metadata/tracks.csv`: `likes` are favourites, `plays` are listens, groups are artists.

    The sound is looked for as `fma_small/000/000002.mp3` (or fma_medium, fma_large, fma_full) beside the table or
    beside its folder. Tracks of a subset larger than those are left out as not downloaded. Grouping by artist keeps
    what sounds like one artist from being learnt as what is popular (Pampalk et al., 2005: artist filter).

    Raises:
        PreferenceError: when none of the sound folders is there, or for an unknown split.
    """
    places = [folder / f"fma_{size}" for folder in (path.parent, path.absolute().parent.parent) for size in FMA_SIZES]
    folders = [folder for folder in places if folder.is_dir()]
    if not folders:
        raise PreferenceError(f"{path}: needs fma_small, fma_medium, fma_large or fma_full beside it or its folder")
    largest = max(FMA_SIZES.index(folder.name.removeprefix("fma_")) for folder in folders)
    table = _Table()
    seen: set[int] = set()
    for number, row in _rows(path, delimiter, table, header_rows=2):
        text = row[INDEX]
        if text == "track_id":  # the third row of the header names the index
            continue
        name = f"row {number}: track {text}"
        if not (text.isascii() and text.isdigit()):
            table.leave_out(name, UNREADABLE, "its first cell is no track id")
            continue
        split = _split(path, number, row.get(("set", "split"), ""))
        counts = table.counts(name, row["track", "listens"], row["track", "favorites"])
        if counts is None:
            continue
        subset = row.get(("set", "subset"), "")
        if subset in FMA_SIZES and FMA_SIZES.index(subset) > largest:
            table.leave_out(name, NOT_DOWNLOADED, f"subset {subset}")
            continue
        track = f"{int(text):06d}"
        file = next((f for folder in folders if _is_file(f := folder / track[:3] / f"{track}.mp3")), None)
        if file is None:
            table.leave_out(name, MISSING_FILE, f"{track[:3]}/{track}.mp3")
        elif int(text) in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(int(text))
            artist = row.get(("artist", "id"), "")
            table.keep(
                Preference(
                    f"{file.parent.parent.name}/{track[:3]}/{file.name}",
                    *counts,
                    genre=row.get(("track", "genre_top")) or None,
                    split=split,
                    group=f"artist {artist}" if artist else "",
                    file=file,
                )
            )
    return table.done()


def read_pdmx(path: Path, delimiter: str = ",") -> PreferenceTable:
    """`PDMX.csv`: `likes` are favourites, `plays` are views, the pieces are its MIDI files (`mid`).

    Scores whose licence on the site contradicts the one in their file are left out, as the data set's authors
    advise. The genre is the first of the genres joined by "-". Versions of one song (`best_path`) are one group.

    Raises:
        PreferenceError: for a table without the column that tells those licences, as the first release was.
    """
    table = _Table()
    seen: set[str] = set()
    for number, row in _rows(path, delimiter, table):
        cell = _known(row["mid"])
        name = f"row {number}: {cell}" if cell else f"row {number}"
        if PDMX_LICENCE not in row:
            raise PreferenceError(f"{path}: has no column {PDMX_LICENCE}; later releases of PDMX have it")
        if row[PDMX_LICENCE].lower() != "true":
            table.leave_out(name, LICENCE_CONFLICT)
            continue
        counts = table.counts(name, row["n_views"], row["n_favorites"])
        if counts is None:
            continue
        file = path.parent / cell
        if not cell:
            table.leave_out(name, NO_FILE_NAME)
        elif not _is_file(file):
            table.leave_out(name, MISSING_FILE)
        elif str(file) in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(str(file))
            song = _known(row.get("best_path", ""))
            genre = _known(row.get("genres", "")).split("-")[0]
            table.keep(Preference(cell, *counts, genre=genre or None, group=f"song {song}" if song else "", file=file))
    return table.done()


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
