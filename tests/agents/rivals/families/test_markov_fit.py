"""`toccata fit-rival markov` at toy size, and the files of the chains."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.agents.prior.fitting import markov_chain
from toccata.agents.prior.markov import Markov
from toccata.agents.rivals.families import markov_fit
from toccata.agents.rivals.families.markov import load, read_chains, save_chains
from toccata.agents.rivals.families.playing import steps_of
from toccata.agents.rivals.fitting import fit_rival as harness
from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.agents.rivals.fitting.fit_rival import fit_rival
from toccata.agents.rivals.registry import Request, load_rival
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.interrupts import Interrupted
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.settings.genres import ALL_GENRES
from toccata.weights import WeightsError, read_tensors


def tune(number: int, genre: str) -> Score:
    """Sixteen quarters: rising in folk, falling in jazz."""
    step = 1 if genre == "folk" else -1
    return Score([(24 * beat, 24, 60 + number % 12 + step * (beat % 4), 64) for beat in range(16)], length_ticks=384)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FitRivalConfig:
    """A fit to 20 tunes of folk and 20 of jazz."""
    works = tuple(
        Work(f"{genre}/{i}", genre, tune(i, genre), group=f"{genre}{i}")
        for genre in ("folk", "jazz")
        for i in range(20)
    )
    monkeypatch.setattr(harness, "load_corpus", lambda *_, **__: Corpus("mine", works))
    monkeypatch.setattr(markov_chain, "MARKOV_STEPS", 4000)
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))
    return FitRivalConfig("markov", tmp_path / "out")


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_chains_by_genre(config: FitRivalConfig) -> None:
    """Each predicts its own genre better than the other's chain does; the card has the bits of held-out works."""
    fit_rival(config, quiet())
    composer = load(Request(folder=config.out))
    assert composer.genres == ("folk", "jazz")
    tunes = {genre: steps_of([Piece(tune(3, genre))]) for genre in composer.genres}
    for genre, other in (("folk", "jazz"), ("jazz", "folk")):
        own, others = (composer.chains[name].log_prob(tunes[genre])[0].mean() for name in (genre, other))
        assert own > others + 1
    card = (config.out / "MODEL_CARD.md").read_text()
    assert card.startswith("# Markov chains\n\nN-gram models of order 3")
    assert "| the genre's own |" in card
    assert "| folk |" in card
    (score,) = load_rival(f"markov:{config.out}", Request(bars=2)).compose(1, 0, "jazz")
    assert score.length_ticks == 192


def test_other_orders_and_pruned_chains(config: FitRivalConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markov_fit, "MAX_NGRAMS", 30)
    fit_rival(replace(config, order=1, seed=3), quiet())
    chains = read_chains(config.out)
    assert {chain.order for chain in chains.values()} == {1}
    assert "of order 1" in (config.out / "MODEL_CARD.md").read_text()
    fit_rival(replace(config, order=1, seed=3, out=config.out.with_name("again")), quiet())
    files = [(folder / "chains.safetensors").read_bytes() for folder in (config.out, config.out.with_name("again"))]
    assert files[0] == files[1]


def test_an_interrupted_fit_goes_on_as_if_it_had_not_been(
    config: FitRivalConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_rival(config, quiet())
    resumed = replace(config, out=config.out.with_name("resumed"))
    fitted: list[str] = []

    def stopped(dataset: object, seed: int, order: int) -> tuple[Markov, int]:
        if len(fitted) == 1:
            raise KeyboardInterrupt
        fitted.append("one")
        return markov_chain.fit_markov(dataset, seed, order)  # type: ignore[arg-type]  # what the fitter passes

    with monkeypatch.context() as patch:
        patch.setattr(markov_fit, "fit_markov", stopped)
        with pytest.raises(Interrupted, match="go on with --resume"):
            fit_rival(resumed, quiet())
    fits: list[object] = []

    def counted(dataset: object, seed: int, order: int) -> tuple[Markov, int]:
        fits.append(dataset)
        return markov_chain.fit_markov(dataset, seed, order)  # type: ignore[arg-type]  # likewise

    monkeypatch.setattr(markov_fit, "fit_markov", counted)
    fit_rival(replace(resumed, resume=True), quiet())
    assert len(fits) == 2, "of three chains the first was kept"
    files = [(folder / "chains.safetensors").read_bytes() for folder in (config.out, resumed.out)]
    assert files[0] == files[1]


# Files


def saved(folder: Path, piano: Piano | None = None) -> Path:
    actions = np.array([[0, 1], [0, 0], [0, 1]])
    chain = Markov(1).fit(steps_of([Piece(Score(length_ticks=96), actions=actions)], piano))
    save_chains(folder, {"folk": chain, ALL_GENRES: chain}, {})
    return folder


def test_damaged_files_are_errors_that_name_them(tmp_path: Path) -> None:
    assert list(read_chains(saved(tmp_path / "good"))) == ["folk", ALL_GENRES]
    with pytest.raises(WeightsError, match=r"nowhere: no weights here, config.json is missing"):
        read_chains(tmp_path / "nowhere")
    other = Piano(lowest=60, highest=65, chords=(), values=(12, 24))
    with pytest.raises(WeightsError, match=r"other/chains.safetensors: is of another piano, with actions \(7, 2\)"):
        read_chains(saved(tmp_path / "other", other))
    for name, genres in (("few", []), ("more", ["folk", "jazz"]), ("none", None), ("strange", ["a/b"])):
        config = json.loads((saved(tmp_path / name) / "config.json").read_text())
        (tmp_path / name / "config.json").write_text(json.dumps({**config, "genres": genres}))
        with pytest.raises(WeightsError, match=rf"{name}/config.json: not Markov chains by genre"):
            read_chains(tmp_path / name)
    file = saved(tmp_path / "bits") / "chains.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    with pytest.raises(WeightsError, match=r"its SHA-256 is not the one"):
        read_chains(tmp_path / "bits")


def test_chains_are_small_on_disk(tmp_path: Path) -> None:
    """Numbers take 16 bits where they fit into these."""
    saved(tmp_path / "chain")
    tensors = read_tensors(tmp_path / "chain", "chains")
    assert tensors["folk/1.counts"].dtype == torch.int16
    assert tensors["folk/1.contexts"].dtype == torch.int16
