from __future__ import annotations

import csv
from pathlib import Path

import pytest

from toccata.agents.evaluation.history import training_curves
from toccata.agents.runs.logs.progress import Progress, ProgressError, read_rows

HEAD = b"reward/total,time/total_timesteps\n"
DAMAGED = {
    "binary": bytes(range(256)),
    "not UTF-8": HEAD + b"\xff\xfe,1\n",
    "UTF-16": "a,time/total_timesteps\n1,2\n".encode("utf-16"),
    "no step": b"reward/total,a\n1,2\n",
    "twice": b"a,time/total_timesteps,a\n1,2,3\n",
    "text step": HEAD + b"1,many\n",
    "NaN step": HEAD + b"1,nan\n",
    "infinite step": HEAD + b"1,1e999\n",
    "few cells": HEAD + b"1,2\n1\n",
    "many cells": HEAD + b"1,2,3\n",
    "open quote": HEAD + b'1,"2\n',
    "huge cell": HEAD + b"1" * 200_000 + b",2\n",
    "columns": b",".join(b"c%d" % number for number in range(1_000_000)) + b",time/total_timesteps\n",
}
BAD_CURVES = {
    "text": HEAD + b"high,1\nhigh,2\n",
    "thousands": b",".join(b"reward/%d" % number for number in range(1000))
    + b",time/total_timesteps\n"
    + b"1," * 1000
    + b"1\n"
    + b"1," * 1000
    + b"2\n",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_line_and_stays(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "progress.csv"
    path.write_bytes(data)
    for read in (read_rows, Progress, training_curves):
        with pytest.raises(ProgressError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
    assert path.read_bytes() == data
    with pytest.raises(ProgressError, match="move it away to resume without its rows"):
        Progress(path)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(ProgressError, match="is not a regular file"):
        Progress(tmp_path)


@pytest.mark.parametrize("data", BAD_CURVES.values(), ids=BAD_CURVES)
def test_curves_that_cannot_be_drawn_are_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "progress.csv"
    path.write_bytes(data)
    assert read_rows(path)
    with pytest.raises(ProgressError, match=r"progress\.csv: .*(reward/total must be a number|quantities)"):
        training_curves(path)


@pytest.mark.parametrize("data", [b"", HEAD, HEAD + b"1,2\n"])
def test_too_few_rows_have_no_curves(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "progress.csv"
    assert training_curves(path) == {}
    path.write_bytes(data)
    assert training_curves(path) == {}


def test_what_is_not_finite_is_left_out_of_a_curve(tmp_path: Path) -> None:
    path = tmp_path / "progress.csv"
    progress = Progress(path)
    for step, value in enumerate([1.5, float("nan"), float("inf"), 1e300, None, 2.5]):
        progress.add({"time/total_timesteps": step, "reward/$x^": value, "music/gone": float("nan"), "other": "text"})
    curves = training_curves(path)
    assert curves == {"reward/$x^": [(0.0, 1.5), (5.0, 2.5)]}
    assert len(read_rows(path)) == 6


def test_a_failure_leaves_the_rows_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress.csv"
    progress = Progress(path)
    progress.add({"time/total_timesteps": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match=r"progress\.csv"):
        progress.add({"time/total_timesteps": 2})
    with path.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["progress.csv"]
