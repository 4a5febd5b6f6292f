"""The settings of `toccata listen results`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from toccata.errors import ToccataError
from toccata.settings.options import SEED, Range, check_fields

RANGES = {"max_failed": Range(0, 1, whole=False), "seed": SEED}


class ListenResultsError(ToccataError, ValueError):
    """A database that holds no votes that can be read; the message names it."""


@dataclass(frozen=True)
class ListenResultsConfig:
    """Say what listeners preferred, liked and took for a person's, with intervals, and whether rewards agree with them.

    Prints tables; with --out it writes results.json, report.md, sources.png and the folder data/, which
    `toccata fit-rating --data OUT/data` takes as it is.
    """

    database: tyro.conf.Positional[Path]
    """Database of `toccata listen`; it may be in use."""

    out: Path | None = None
    """Folder to write; it must not exist. By default only the tables are printed."""

    max_failed: float = 0.25
    """Share of attention checks that a listener may fail; those who fail more are left out, votes and likes."""

    models: tuple[str, ...] = ("rating", "realism")
    """Reward models whose agreement with the listeners is measured, named as in `train --rewards`, without weights."""

    judges: bool = True
    """Measure the agreement of the judges, too."""

    seed: int = 0
    """Of the bootstrap and of the order of the exported files."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
