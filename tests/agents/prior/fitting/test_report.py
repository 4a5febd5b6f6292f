from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.agents.policies.sequence_network import NO_GENRE, NetworkConfig, SequenceNetwork
from toccata.agents.prior.bits import Bits
from toccata.agents.prior.fitting import markov_chain
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.fitting.markov_chain import fit_markov
from toccata.agents.prior.fitting.report import (
    bits_table,
    passages_with_works,
    write_prior_report,
)
from toccata.agents.prior.prior import Prior, PriorError, frozen
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.stats import Interval

SMALL = Piano(lowest=48, highest=84, chords=("maj",), values=(12, 24, 96))
LOSSES = {"train": [5.0, 4.0, 3.0], "valid": [5.0, 3.5, 4.0], "best_epoch": 1}


def work(number: int, genre: str, bars: int = 4, group: str = "") -> Work:
    rng = np.random.default_rng(number)
    notes = [(24 * beat, 24, int(rng.choice([60, 64, 67, 72])), 80) for beat in range(4 * bars)]
    return Work(f"{genre}-{number}", genre, Score(notes, length_ticks=96 * bars), group=group)


def dataset_of(*works: Work, bars: int = 2) -> PassageDataset:
    return PassageDataset(Corpus("toy", works), bars, SMALL)


def build_prior(about: dict[str, object] | None = None, piano: Piano = SMALL) -> Prior:
    torch.manual_seed(0)
    return Prior(frozen(SequenceNetwork(piano, NetworkConfig(width=16, layers=1, heads=1))), piano, about or {})


def write_report(
    prior: Prior, train: PassageDataset, test: PassageDataset | None, folder: Path, **compare: Prior
) -> tuple[str, str]:
    """The text of the report, and what was printed."""
    printed = StringIO()
    text = write_prior_report(prior, train, test, folder, Console(file=printed, width=200), compare)
    assert (folder / "report.md").read_text(encoding="utf-8") == text
    return text, printed.getvalue()


def test_a_table_of_bits() -> None:
    folk = Bits(Interval(2.25, 2, 2.5), Interval(4, 3.5, 4.5), works=12, actions=3400, notes=1200)
    jazz = Bits(Interval(3, 3, 3), Interval(6, 6, 6), works=1, actions=30, notes=15)
    columns = {"prior": {"folk": folk, "jazz": jazz}, "uniform": {"folk": folk, "jazz": jazz}}
    assert bits_table(columns, "action") == [
        ["bits per action", "works", "actions", "prior", "uniform"],
        ["folk", "12", "3,400", "2.25 [2.00, 2.50]", "2.25 [2.00, 2.50]"],
        ["jazz", "1", "30", "3.00", "3.00"],
    ]
    assert bits_table(columns, "note")[1] == ["folk", "12", "1,200", "4.00 [3.50, 4.50]", "4.00 [3.50, 4.50]"]


def test_passages_with_works_are_the_first_passages() -> None:
    dataset = dataset_of(work(0, "folk", 8), work(1, "folk", 1, "twins"), work(2, "jazz", 5, "twins"))
    pieces, works = passages_with_works(dataset)
    assert works == ["folk-0"] * 4 + ["twins"] + ["twins"] * 3
    assert [each.score for each in pieces] == [each.score for each in dataset.first_passages()]


def test_unconditional_trajectories_differ_in_genre_alone() -> None:
    trajectories = record_trajectories(dataset_of(work(0, "folk")).first_passages(), SMALL)
    without = trajectories.with_genres(())
    assert (without.observations["genre"] == NO_GENRE).all()
    assert (trajectories.observations["genre"] != NO_GENRE).all()
    assert without.observations["top"] is trajectories.observations["top"]
    prior = build_prior()
    assert not np.array_equal(prior.log_prob(without)[0], prior.log_prob(trajectories)[0])


def test_the_markov_chain_is_fitted_to_the_stated_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    train = dataset_of(*(work(number, "folk") for number in range(4)))
    _, steps = fit_markov(train)
    assert 24 * 4 * 16 <= steps < 24 * 4 * 16 + 256 * 32, "a small corpus gives fewer"
    monkeypatch.setattr(markov_chain, "MARKOV_STEPS", 10)
    assert fit_markov(train)[1] < steps or steps < 256 * 32


def test_a_report(tmp_path: Path) -> None:
    train = dataset_of(*(work(number, genre) for number in range(4) for genre in ("folk", "jazz")), work(9, "rock"))
    test = dataset_of(*(work(number, "folk") for number in range(10, 13)), work(20, "jazz"))
    prior = build_prior({"nats_per_action": LOSSES})
    text, printed = write_report(prior, train, test, tmp_path, twin=build_prior())
    columns = "| works | actions | uniform over legal | Markov, order 3 | prior | prior, unconditional | twin |"
    assert f"| bits per action {columns}" in text
    assert f"| bits per note {columns.replace('actions', 'notes')}" in text
    assert "transformer, 1 layers of width 16, 1 heads: " in text
    assert "| folk | 4 | 64 | 3 | 48 |" in text
    assert "| rock | 1 | 16 | 0 | 0 |" in text
    assert "Left out, as no work of it is held out: rock." in text
    assert "steps in random keys" in text
    assert "| 2, kept | 4.0000 | 3.5000 |" in text
    assert "- twin: 0.00 [0.00, 0.00]" in text
    assert "nan" not in text
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    for word in ("bits per action", "uniform over legal", "folk", "jazz", "all"):
        assert word in printed
    rows = {
        line.split("|")[1].strip(): line.split("|")
        for line in text.split("bits per note")[0].splitlines()
        if "|" in line
    }
    uniform, markov = (float(rows["all"][column].split("[")[0]) for column in (4, 5))
    assert markov < 0.7 * uniform, "four pitches in quarters are easy to predict"


def test_a_report_without_test_works_or_losses(tmp_path: Path) -> None:
    text, printed = write_report(build_prior(), dataset_of(work(0, "folk")), None, tmp_path)
    assert "No work is held out for the test" in text
    assert "bits per" not in text + printed
    assert "Losses" not in text
    assert not (tmp_path / "curves.png").exists()
    text, _ = write_report(
        build_prior({"nats_per_action": {"train": [4.0], "valid": [], "best_epoch": 0}}),
        dataset_of(work(0, "folk")),
        None,
        tmp_path,
    )
    assert "| 1, kept | 4.0000 | - |" in text


def test_priors_of_another_piano_are_errors(tmp_path: Path) -> None:
    train = dataset_of(work(0, "folk"))
    other = build_prior(piano=Piano(lowest=40, highest=84, chords=(), values=(12, 24)))
    with pytest.raises(PriorError, match="the prior plays another piano than the passages are encoded for"):
        write_report(other, train, None, tmp_path)
    with pytest.raises(PriorError, match="stranger plays another piano"):
        write_report(build_prior(), train, None, tmp_path, stranger=other)
