from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.fitting import fit_rival as module
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.rivals.fitting.fit_rival import CARD, fit_rival, minutes_to_fit
from toccata.agents.rivals.registry import RIVALS
from toccata.interrupts import Interrupted
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.settings.options import ConfigError


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FitRivalConfig:
    """A fit of the stub in helpers to 20 works of classical, 20 of folk and one of jazz."""
    genres = ["classical"] * 20 + ["folk"] * 20 + ["jazz"]
    works = tuple(
        Work(f"{genre}/{i}", genre, Score([(0, 24, 60 + i % 12, 64)]), licence="CC0", group=f"{genre}{i}")
        for i, genre in enumerate(genres)
    )
    monkeypatch.setattr(module, "load_corpus", lambda *_, **__: Corpus("mine", works))
    monkeypatch.setitem(RIVALS, "markov", replace(RIVALS["markov"], fitter="helpers.rivals:fit"))
    return FitRivalConfig("markov", tmp_path / "out", genres=("classical", "folk"))


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_writes_weights_a_card_and_how_long_it_took(config: FitRivalConfig) -> None:
    assert fit_rival(config, quiet()) == config.out
    assert sorted(path.name for path in config.out.iterdir()) == [
        "MODEL_CARD.md",
        "config.json",
        "fit.json",
        "weights.safetensors",
    ]
    card = (config.out / CARD).read_text()
    assert card.startswith("# Scales\n")
    assert "| CC0 |" in card
    assert "toccata fit-rival markov --data bach folk --genres classical folk --order 3 --seed 0 --out OUT" in card
    assert minutes_to_fit(config.out) == json.loads((config.out / "fit.json").read_text())["minutes"] < 1
    assert not config.out.with_name("out.checkpoint").exists()


def test_bad_input_is_one_line_and_writes_nothing(config: FitRivalConfig, tmp_path: Path) -> None:
    with pytest.raises(RivalError, match=r"unknown genre 'fork' in mine; known are .*; did you mean folk"):
        fit_rival(replace(config, genres=("fork",)), quiet())
    few = "genre jazz has [01] works for training, markov needs at least 8; add music, or leave it out: --genres folk"
    with pytest.raises(RivalError, match=few):
        fit_rival(replace(config, genres=("folk", "jazz")), quiet())
    assert not list(tmp_path.iterdir())
    config.out.mkdir()
    with pytest.raises(Exception, match="exists already"):
        fit_rival(config, quiet())


def test_options_of_other_composers_are_refused(tmp_path: Path) -> None:
    """Before any music is read."""
    for option in ("minutes", "epochs"):
        with pytest.raises(ConfigError, match=f"markov: is fitted by counting once, in seconds; leave out --{option}"):
            FitRivalConfig("markov", tmp_path, **{option: 2})  # type: ignore[arg-type]  # a number, both of them
    with pytest.raises(ConfigError, match="dcgan: has no order, which is of markov; leave out --order"):
        FitRivalConfig("dcgan", tmp_path, order=2)


def test_an_interrupted_fit_is_resumed(config: FitRivalConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RIVALS, "markov", replace(RIVALS["markov"], fitter="helpers.rivals:interrupted"))
    checkpoint = config.out.with_name("out.checkpoint")
    with pytest.raises(ConfigError, match="there is no checkpoint to resume from"):
        fit_rival(replace(config, resume=True), quiet())
    with pytest.raises(Interrupted, match=r"stopped; nothing is written into .*out; go on with --resume"):
        fit_rival(config, quiet())
    assert not config.out.exists()
    with pytest.raises(ConfigError, match="holds an interrupted fit; go on with it by --resume"):
        fit_rival(config, quiet())
    with pytest.raises(ConfigError, match="is of a fit with seed 0, not 1; give the same options to resume it"):
        fit_rival(replace(config, seed=1, resume=True), quiet())
    config.out.mkdir()  # as a fit leaves it that was killed
    fit_rival(replace(config, resume=True), quiet())
    assert "found done: classical.done" in (config.out / CARD).read_text()
    assert not checkpoint.exists()


def test_an_interruption_before_the_first_state_leaves_nothing(
    config: FitRivalConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RIVALS, "markov", replace(RIVALS["markov"], fitter="helpers.rivals:interrupted_at_once"))
    with pytest.raises(Interrupted, match=r"stopped; nothing is written into .*out$"):
        fit_rival(config, quiet())
    assert not list(config.out.parent.iterdir())


def test_an_error_leaves_nothing_that_must_be_resumed(config: FitRivalConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RIVALS, "markov", replace(RIVALS["markov"], fitter="helpers.rivals:broken"))
    with pytest.raises(ValueError, match="a bug"):
        fit_rival(config, quiet())
    assert not list(config.out.parent.iterdir())
    monkeypatch.setitem(RIVALS, "markov", replace(RIVALS["markov"], fitter="helpers.rivals:fit"))
    assert fit_rival(config, quiet()).is_dir()


@pytest.mark.parametrize("said", ["NaN", "Infinity", "-1", "1" + "0" * 400, '"3"', "null"])
def test_minutes_that_are_none(tmp_path: Path, said: str) -> None:
    (tmp_path / "fit.json").write_text(f'{{"minutes": {said}}}')
    assert minutes_to_fit(tmp_path) in (None, 0)
