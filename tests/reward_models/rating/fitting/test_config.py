"""Options of `toccata fit-rating`: ranges, and a help text that imports nothing heavy."""

import math
import subprocess
import sys

import pytest

from toccata.reward_models.rating.fitting.config import RANGES, FitRatingConfig
from toccata.settings.options import ConfigError


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("folds", 1),
        ("folds", 21),
        ("members", 0),
        ("members", 17),
        ("copies", -1),
        ("epochs", 0),
        ("pessimism", -1.0),
        ("pessimism", math.nan),
        ("seed", -1),
        ("min_notes", 0),
        ("synthetic_pieces", 9),
        ("transcriber_epochs", 0),
    ],
)
def test_options_out_of_range_are_errors(tmp_path, option, value):
    with pytest.raises(ConfigError, match=f"{option} must be"):
        FitRatingConfig(data=tmp_path, out=tmp_path / "out", **{option: value})


def test_the_bounds_of_every_range_are_allowed(tmp_path):
    for name, allowed in RANGES.items():
        for value in (allowed.low, allowed.high):
            assert getattr(FitRatingConfig(data=tmp_path, out=tmp_path / "out", **{name: value}), name) == value


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from toccata.cli import run_command\n"
        "try:\n"
        "    run_command('fit-rating', ['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'torch', 'stable_baselines3', 'scipy', 'music21', 'numba', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")
    for field in ("--data", "--out", "--copies", "--refit-transcribers", "--min-notes"):
        assert field in process.stdout
