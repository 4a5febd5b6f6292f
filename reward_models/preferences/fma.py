"""Preferences from the FMA, recordings of the Free Music Archive (Defferrard et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toccata.errors import printable
from toccata.files import is_file
from toccata.reward_models.preferences.csv_rows import INDEX, TableBuilder, parse_split, read_rows
from toccata.reward_models.preferences.table import (
    DUPLICATE,
    MISSING_FILE,
    UNREADABLE,
    Preference,
    PreferenceError,
    PreferenceTable,
)

FMA_COLUMNS = (("track", "favorites"), ("track", "listens"))
FMA_SIZES = ("small", "medium", "large", "full")  # each contains those before it
LONGEST_ID = 9  # digits; the full data set has six
NOT_DOWNLOADED = "not in the downloaded subset"


def is_fma(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table with these first rows is the FMA's tracks.csv."""
    return len(rows) > 1 and set(FMA_COLUMNS) <= set(zip(rows[0], rows[1], strict=False))


def read_fma(path: Path, delimiter: str = ",") -> PreferenceTable:
    """Read `fma_metadata/tracks.csv`: `likes` are favourites, `plays` are listens, groups are artists.

    The sound files are `fma_small/000/000002.mp3` (or fma_medium, fma_large, fma_full) next to the table or next to its
    folder. Tracks of a subset larger than those are left out as not downloaded. Groups by artist keep a model from
    predicting popularity by recognising the artist (Pampalk et al. 2005, the artist filter).

    Raises:
        PreferenceError: when none of the sound folders exists, or for an unknown split.
    """
    candidates = [
        folder / f"fma_{size}" for folder in (path.parent, path.absolute().parent.parent) for size in FMA_SIZES
    ]
    folders = [folder for folder in candidates if folder.is_dir()]
    if not folders:
        raise PreferenceError(f"{path}: needs fma_small, fma_medium, fma_large or fma_full next to it or to its folder")
    largest = max(FMA_SIZES.index(folder.name.removeprefix("fma_")) for folder in folders)
    table = TableBuilder()
    seen: set[int] = set()
    for number, row in read_rows(path, delimiter, table, header_rows=2):
        text = row[INDEX]
        if text == "track_id":  # a third header row names the index
            continue
        name = f"row {number}: track {text}"
        if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_ID):
            table.leave_out(name, UNREADABLE, "its first cell is not a track id")
            continue
        split = parse_split(path, number, row.get(("set", "split"), ""))
        counts = table.parse_counts(name, row["track", "listens"], row["track", "favorites"])
        if counts is None:
            continue
        subset = row.get(("set", "subset"), "")
        if subset in FMA_SIZES and FMA_SIZES.index(subset) > largest:
            table.leave_out(name, NOT_DOWNLOADED, f"subset {subset}")
            continue
        track = f"{int(text):06d}"
        file = next((f for folder in folders if is_file(f := folder / track[:3] / f"{track}.mp3")), None)
        if file is None:
            table.leave_out(name, MISSING_FILE, f"{track[:3]}/{track}.mp3")
        elif int(text) in seen:
            table.leave_out(name, DUPLICATE)
        else:
            seen.add(int(text))
            artist = printable(row.get(("artist", "id"), ""))
            table.add(
                Preference(
                    f"{file.parent.parent.name}/{track[:3]}/{file.name}",
                    *counts,
                    genre=printable(row.get(("track", "genre_top"), "")) or None,
                    split=split,
                    group=f"artist {artist}" if artist else "",
                    file=file,
                )
            )
    return table.build()
