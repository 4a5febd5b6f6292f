"""Files of the data sets; scope `session`, as Hypothesis calls a test many times."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def write_csv() -> Callable[..., None]:
    """Writes a CSV file: `write_csv(path, rows, delimiter)`."""

    def write(path: Path, rows: Iterable[Sequence[object]], delimiter: str = ",") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)

    return write


@pytest.fixture(scope="session")
def touch() -> Callable[[Path], None]:
    """Writes a sound or MIDI file that is never read."""

    def write(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read here")

    return write
