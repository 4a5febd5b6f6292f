"""progress.csv: one row a rollout."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter


class Progress:
    """progress.csv: one row a rollout; new quantities add columns. Rows after `until_step` are dropped on resuming."""

    def __init__(self, path: Path, until_step: int = 0) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.is_file():
            with path.open(newline="") as file:
                rows = list(csv.DictReader(file))
            self.rows = [row for row in rows if float(row.get("time/total_timesteps") or 0) <= until_step]

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; the file is replaced as a whole."""
        self.rows.append(row)
        columns = sorted({key for each in self.rows for key in each})
        part = self.path.with_suffix(".csv.part")
        with part.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        part.replace(self.path)


class ProgressWriter(KVWriter):
    """A Stable-Baselines3 log writer to `Progress`."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one row."""
        row = {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in key_values.items()
            if "csv" not in (key_excluded.get(key) or ())
        }
        self.progress.add(row)

    def close(self) -> None:
        """There is no open file."""
