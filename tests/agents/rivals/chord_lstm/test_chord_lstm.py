from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.fit_jobs import StoppedError, stop_at, toy_job
from toccata.agents.rivals.chord_lstm.fit import fit
from toccata.agents.rivals.chord_lstm.model import ChordLSTMComposer, load
from toccata.agents.rivals.composer import Composer, RivalError
from toccata.agents.rivals.registry import Request
from toccata.music.score import Score
from toccata.weights import WeightsError, read_config


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fit of three epochs."""
    job = toy_job("chord-lstm", tmp_path_factory.mktemp("fitted"))
    card = fit(job)
    assert "| folk, test | 1 | 32 |" in card
    return job.folder


@pytest.fixture(scope="module")
def composer(fitted: Path) -> ChordLSTMComposer:
    return load(Request(bars=3, beats_per_bar=3, tempo_bpm=90, folder=fitted))


def test_a_fit_learns(fitted: Path) -> None:
    for about in read_config(fitted)["genres"].values():
        measured = about["cross_entropy"]["train"]
        assert measured["chord_nats"] < measured["uniform_nats"]
        losses = about["losses"]
        assert losses["train"][-1] < losses["train"][0]
        assert losses["best_epoch"] == np.argmin(losses["valid"])


@pytest.mark.parametrize("share", [0.2, 0.8])  # in the first and in the second genre
def test_a_resumed_fit_equals_one_that_was_not_interrupted(fitted: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(StoppedError):
        fit(toy_job("chord-lstm", tmp_path, stop_at(share)))
    fit(toy_job("chord-lstm", tmp_path, resume=True))
    assert read_config(tmp_path / "folder")["sha256"] == read_config(fitted)["sha256"]


def test_a_fit_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    fit(toy_job("chord-lstm", tmp_path, epochs=1))
    assert (torch.get_rng_state() == before).all()


def test_a_fit_ends_in_its_time(tmp_path: Path) -> None:
    fit(toy_job("chord-lstm", tmp_path, epochs=None, minutes=1e-6))
    assert len(read_config(tmp_path / "folder")["genres"]["folk"]["losses"]["train"]) == 1


def test_pieces_are_what_is_asked_for(composer: ChordLSTMComposer) -> None:
    assert isinstance(composer, Composer)
    shares: list[float] = []
    pieces = composer.compose(4, seed=1, genre="folk", on_progress=shares.append)
    assert [(piece.length_ticks, piece.beats_per_bar, piece.tempo_bpm) for piece in pieces] == [(216, 3, 90)] * 4
    assert all(60 <= pitch < 80 for piece in pieces for pitch in piece.notes["pitch"])  # of this genre alone
    assert shares[-1] == 1
    assert pieces == composer.compose(4, seed=1, genre="folk")
    assert pieces != composer.compose(4, seed=2, genre="folk")
    classical, folk = composer.compose(2)
    assert classical.notes["pitch"].min() < 60 <= folk.notes["pitch"].min()


def test_a_primer_is_continued(composer: ChordLSTMComposer) -> None:
    primer = Score([(0, 24, 60, 80), (24, 24, 61, 80), (24, 24, 90, 80)], length_ticks=80)
    (piece,) = composer.continue_primer(primer, 1, seed=3, genre="classical")
    assert piece.slice(0, 96).notes.tolist() == primer.notes.tolist()
    assert piece.bars == 1 + 3  # of the primer, in its metre, and composed
    assert (piece.notes["onset_tick"] >= 96).any()
    with pytest.raises(RivalError, match="chord-lstm: the primer has no notes"):
        composer.continue_primer(Score(), 1)


def test_low_temperatures_repeat_the_likeliest(fitted: Path) -> None:
    composer = load(Request(bars=1, folder=fitted, temperature=1e-6))
    one, other = composer.compose(2, genre="folk")
    assert one == other
    assert np.isfinite(one.notes["onset_tick"]).all()


def test_bad_input_is_one_line(composer: ChordLSTMComposer, fitted: Path, tmp_path: Path) -> None:
    with pytest.raises(RivalError, match="chord-lstm: unknown genre 'fork': it must be one of classical, folk"):
        composer.compose(1, genre="fork")
    with pytest.raises(WeightsError, match=r"no weights here, config\.json is missing"):
        load(replace(composer.request, folder=tmp_path))
    (tmp_path / "config.json").write_text((fitted / "config.json").read_text().replace("chord-lstm", "dcgan"))
    with pytest.raises(WeightsError, match=r"is of the composer 'dcgan', not of chord-lstm"):
        load(replace(composer.request, folder=tmp_path))


def test_what_comes_with_toccata_composes() -> None:
    composer = load(Request(bars=2))
    assert len(composer.genres) == 4
    assert all(len(piece) for piece in composer.compose(4, seed=0))
