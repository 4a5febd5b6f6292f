"""The study and the loop with simulated listeners: at toy size, and (slow) at a size at which they must succeed."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from toccata.reward_models.rating.fitting import fit
from toccata.reward_models.rating.network import RatingConfig

FIT: dict[str, Any] = {"folds": 0, "negatives": 10, "copies": 0, "epochs": 1, "members": 3, "supported": ()}
RUN: dict[str, Any] = {"total_timesteps": 128, "num_envs": 4, "batch_size": 64, "logger": ("csv",)}


@pytest.fixture
def examples(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The two scripts."""
    monkeypatch.syspath_prepend(str(repository))
    from examples import listening_loop, listening_study

    yield listening_study, listening_loop
    for name in ("examples.listening_loop", "examples.listening_study"):
        sys.modules.pop(name, None)


@pytest.fixture
def quick_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small heads on the shipped transcribers."""
    monkeypatch.setattr(fit, "RatingConfig", partial(RatingConfig, bins=4, sound_channels=4, hidden=8))


def options_of(script: ModuleType, out: Path, *given: str) -> Namespace:
    """The options of a script."""
    options: Namespace = script.arguments().parse_args([str(out), *given])
    out.mkdir()
    return options


def test_the_loop_goes_round(examples: tuple[ModuleType, ModuleType], quick_fits: None, tmp_path: Path) -> None:
    _, script = examples
    sizes = ["--pieces", "12", "--bars", "1", "--listeners", "10", "--votes", "12", "--plays", "8"]
    found = script.loop(tmp_path / "out", options_of(script, tmp_path / "out", *sizes), FIT, RUN)
    assert found == json.loads((tmp_path / "out/loop.json").read_text())
    assert set(found["second"]["better"]["sources"]) == {"prior", "agent"}
    assert found["second"]["better"]["interval"] == "bootstrap over 10 listeners"
    config = json.loads((tmp_path / "out/run/config.json").read_text())
    assert config["rewards"] == [[f"rating:{tmp_path}/out/rating", 1.0]]
    assert (tmp_path / "out/agent-0.png").is_file()
    assert "| refitted rating |" in script.table_of(found)


@pytest.mark.slow
def test_the_study_compares_three_fits(
    examples: tuple[ModuleType, ModuleType], quick_fits: None, tmp_path: Path
) -> None:
    script, _ = examples
    sizes = ["--pieces", "16", "--held-out", "16", "--bars", "1", "--listeners", "8", "--votes", "12", "--plays", "12"]
    fit_options = {name: value for name, value in FIT.items() if name != "folds"}
    found = script.study(
        tmp_path / "out", options_of(script, tmp_path / "out", *sizes, "--prior", "lstm"), **fit_options
    )
    assert set(found["fits"]) == {"likes", "votes", "both", "shipped rating"}
    assert script.table_of(found).count("\n") == 5


@pytest.mark.slow
def test_fits_to_votes_find_the_taste(examples: tuple[ModuleType, ModuleType], tmp_path: Path) -> None:
    """On pieces that nobody heard; ten minutes."""
    script, _ = examples
    options = options_of(script, tmp_path / "out", "--fits", "votes", "both")
    found = script.study(tmp_path / "out", options, copies=2, negatives=200, supported=())
    assert found["fits"]["votes"]["all"]["mean"] > 0.8  # 0.83 when it was measured
    assert found["fits"]["both"]["all"]["mean"] > 0.75  # 0.81


@pytest.mark.slow
def test_listeners_prefer_what_was_trained_on_their_votes(
    examples: tuple[ModuleType, ModuleType], tmp_path: Path
) -> None:
    """Ten minutes."""
    _, script = examples
    options = options_of(script, tmp_path / "out")
    fit_settings = {"folds": 0, "copies": 2, "negatives": 200}
    found = script.loop(tmp_path / "out", options, fit_settings, script.run_settings(options))
    assert found["second"]["better"]["sources"]["agent"]["low"] > 0
    assert found["values"]["taste"]["difference"]["low"] > 0
