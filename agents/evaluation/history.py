"""What training left of itself: its command, its settings, and the curves of its progress.csv."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from toccata.agents.runs.logs.progress import STEP_COLUMN, ProgressError, number_in, read_rows
from toccata.agents.runs.run_folder import Run
from toccata.files import read_bytes

CURVES = (  # groups of quantities of progress.csv that are drawn
    "reward", "gate", "lagrangian", "violation", "rating", "realism", "watchdog", "music", "kl", "train", "rollout",
)  # fmt: skip  # in the order of docs/training.md
MAX_CURVES = 200
MAX_DRAWN = 1e100  # beyond, sums of squares overflow
MAX_STEP = 1e15
MAX_COMMAND_BYTES = 2**20

Curve = list[tuple[float, float]]  # steps and values


@dataclass(frozen=True)
class History:
    """What a report says of the training: read before anything is generated, as the files may be damaged.

    Attributes:
        command: those of command.txt; empty where it is missing, and where no run is evaluated.
        curves: by quantity of progress.csv the steps and values, without those that are not finite.
        settings: those of config.json; empty where no run is evaluated.
    """

    command: str = ""
    curves: dict[str, Curve] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Run) -> History:
        """Read the command.txt and progress.csv of a run, as far as they are there.

        Raises:
            FileError, ProgressError: naming the file, when it is damaged.
        """
        path = run.folder / "command.txt"
        command = read_bytes(path, MAX_COMMAND_BYTES) if path.exists() else b""  # arguments may be any bytes
        return cls(
            command.decode("utf-8", "backslashreplace").strip(),
            training_curves(run.folder / "progress.csv"),
            json.loads(run.config.to_json()),
        )


def training_curves(progress: Path) -> dict[str, Curve]:
    """Rewards, KL and metrics of a progress.csv by name: steps and finite values; empty without two rows.

    Raises:
        ProgressError: naming the file, when it is damaged.
    """
    rows = [row for row in read_rows(progress) if row[STEP_COLUMN]]
    names = sorted(name for name in (rows[0] if len(rows) > 1 else ()) if name.split("/")[0] in CURVES)
    if len(names) > MAX_CURVES:
        raise ProgressError(f"{progress}: has {len(names):,} quantities of {', '.join(CURVES)}, at most {MAX_CURVES}")
    curves: dict[str, Curve] = {}
    for name in names:
        points = [(float(row[STEP_COLUMN]), number_in(row, name, str(progress))) for row in rows]
        curves[name] = [
            (step, value)
            for step, value in points
            if abs(step) < MAX_STEP and isfinite(value) and abs(value) < MAX_DRAWN
        ]
    return {name: points for name, points in curves.items() if points and name != "reward/pieces"}
