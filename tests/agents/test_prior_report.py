"""What is said of a prior: bits with known answers, whole works resampled, and only what was measured."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.agents.policies.sequence_network import NO_GENRE, NetworkConfig, SequenceNetwork
from toccata.agents.prior import bits as bits_module
from toccata.agents.prior import report as prior_report
from toccata.agents.prior.bits import Bits, Interval, bits
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.prior import Prior, PriorError, frozen
from toccata.agents.prior.report import fitted_markov, table, unconditional, whole_works, write_prior_report
from toccata.agents.prior.trajectories import trajectories_of
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score

SMALL = Piano(lowest=48, highest=84, chords=("maj",), values=(12, 24, 96))
HALF, QUARTER = np.log(1 / 2), np.log(1 / 4)


def piece(notes: int, genre: str | None) -> Piece:
    return Piece(Score([(24 * i, 24, 60, 80) for i in range(notes)]), genre)


def work(number: int, genre: str, bars: int = 4, group: str = "") -> Work:
    rng = np.random.default_rng(number)
    notes = [(24 * beat, 24, int(rng.choice([60, 64, 67, 72])), 80) for beat in range(4 * bars)]
    return Work(f"{genre}-{number}", genre, Score(notes, length_ticks=96 * bars), group=group)


def passages(*works: Work, bars: int = 2) -> PassageDataset:
    return PassageDataset(Corpus("toy", works), bars, SMALL)


def prior_of(about: dict[str, object] | None = None, piano: Piano = SMALL) -> Prior:
    torch.manual_seed(0)
    return Prior(frozen(SequenceNetwork(piano, NetworkConfig(width=16, layers=1, heads=1))), piano, about or {})


# Bits


def test_bits_of_known_probabilities() -> None:
    """Six actions of one bit, then two actions of two bits: by genre, and all actions alike."""
    log_probs = [np.full(6, HALF), np.full(2, QUARTER)]
    found = bits(log_probs, [piece(3, "folk"), piece(1, "jazz")])
    assert list(found) == ["folk", "jazz", "all"]
    assert found["folk"].per_action.mean == pytest.approx(1)
    assert found["folk"].per_note.mean == pytest.approx(2)
    assert found["jazz"].per_action.mean == pytest.approx(2)
    assert found["jazz"].per_note.mean == pytest.approx(4)
    assert found["all"].per_action.mean == pytest.approx(10 / 8)
    assert found["all"].per_note.mean == pytest.approx(10 / 4)
    assert (found["all"].works, found["all"].actions, found["all"].notes) == (2, 8, 4)
    assert found["jazz"].per_action == pytest.approx((2, 2, 2))


def test_a_chord_counts_its_notes() -> None:
    chord = Score([(0, 96, pitch, 80) for pitch in (48, 52, 55)], length_ticks=96)
    music = PassageDataset(Corpus("one", (Work("one", "folk", chord),)), 1, SMALL)
    (found,) = music.whole()
    assert found.actions is not None
    assert len(found.actions) == 2, "the chord and the wait"
    assert bits([np.full(2, HALF)], [found])["folk"].per_note.mean == pytest.approx(2 / 3)


def test_pieces_of_no_genre_count_among_all() -> None:
    found = bits([np.full(2, HALF), np.full(2, QUARTER)], [piece(1, None), piece(1, "rock")])
    assert list(found) == ["rock", "all"]
    assert found["all"].per_action.mean == pytest.approx(1.5)


def test_nothing_without_notes_is_divided_by() -> None:
    found = bits([np.full(2, HALF), np.full(2, HALF)], [piece(0, "rock"), piece(2, "folk")])
    assert list(found) == ["folk", "all"]
    assert np.isfinite(found["all"].per_note).all()
    assert found["all"].per_note.mean == pytest.approx(2)
    assert bits([np.full(2, HALF)], [piece(0, "rock")]) == {}


def test_the_interval_holds_the_truth_about_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits_module, "RESAMPLES", 300)
    rng = np.random.default_rng(0)
    held = []
    for _ in range(120):
        costs = rng.gamma(2.0, 0.5, 40)  # nats of each work's one action
        low, high = bits([-costs[i : i + 1] for i in range(40)], [piece(1, "folk")] * 40)["all"].per_action[1:]
        held.append(low <= 1 / np.log(2) <= high)
    assert 0.88 <= np.mean(held) <= 0.99


def test_passages_of_one_work_go_together() -> None:
    """Forty passages of two works say no more of other works than two passages do."""
    log_probs = [np.full(2, HALF)] * 20 + [np.full(2, QUARTER)] * 20
    pieces = [piece(1, "folk")] * 40
    alone = bits(log_probs, pieces)["folk"]
    together = bits(log_probs, pieces, ["a"] * 20 + ["b"] * 20)["folk"]
    assert alone.per_action.mean == together.per_action.mean == pytest.approx(1.5)
    assert together.per_action[1:] == pytest.approx((1, 2))
    assert alone.per_action.low > 1.2
    assert (alone.works, together.works) == (40, 2)
    assert bits(log_probs, pieces, ["a"] * 20 + ["b"] * 20)["folk"] == together, "one seed, one interval"


def test_a_table_of_bits() -> None:
    one = Bits(Interval(2.25, 2, 2.5), Interval(4, 3.5, 4.5), works=12, actions=3400, notes=1200)
    single = Bits(Interval(3, 3, 3), Interval(6, 6, 6), works=1, actions=30, notes=15)
    columns = {"prior": {"folk": one, "jazz": single}, "chance": {"folk": one, "jazz": single}}
    assert table(columns, "action") == [
        ["bits per action", "works", "actions", "prior", "chance"],
        ["folk", "12", "3,400", "2.25 [2.00, 2.50]", "2.25 [2.00, 2.50]"],
        ["jazz", "1", "30", "3.00", "3.00"],
    ]
    assert table(columns, "note")[1] == ["folk", "12", "1,200", "4.00 [3.50, 4.50]", "4.00 [3.50, 4.50]"]


# The music it is measured on


def test_whole_works_are_those_of_the_passages() -> None:
    music = passages(work(0, "folk", 8), work(1, "folk", 1, "twins"), work(2, "jazz", 5, "twins"))
    pieces, works = whole_works(music)
    assert works == ["folk-0"] * 4 + ["twins"] + ["twins"] * 3
    assert [each.score for each in pieces] == [each.score for each in music.whole()]


def test_who_is_told_no_genre_hears_the_same_music() -> None:
    music = trajectories_of(passages(work(0, "folk")).whole(), SMALL)
    untold = unconditional(music)
    assert (untold.observations["genre"] == NO_GENRE).all()
    assert (music.observations["genre"] != NO_GENRE).all()
    assert untold.observations["top"] is music.observations["top"]
    prior = prior_of()
    assert not np.array_equal(prior.log_prob(untold)[0], prior.log_prob(music)[0])


def test_the_markov_chain_is_fitted_on_as_much_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    train = passages(*(work(number, "folk") for number in range(4)))
    _, steps = fitted_markov(train)
    assert 24 * 4 * 16 <= steps < 24 * 4 * 16 + 256 * 32, "a small corpus wears out"
    monkeypatch.setattr(prior_report, "MARKOV_STEPS", 10)
    assert fitted_markov(train)[1] < steps or steps < 256 * 32


# The report


LOSSES = {"train": [5.0, 4.0, 3.0], "valid": [5.0, 3.5, 4.0], "best_epoch": 1}


def report_of(
    prior: Prior, train: PassageDataset, test: PassageDataset | None, folder: Path, **beside: Prior
) -> tuple[str, str]:
    shown = StringIO()
    text = write_prior_report(prior, train, test, folder, Console(file=shown, width=200), beside)
    assert (folder / "report.md").read_text(encoding="utf-8") == text
    return text, shown.getvalue()


def test_a_report(tmp_path: Path) -> None:
    train = passages(*(work(number, genre) for number in range(4) for genre in ("folk", "jazz")), work(9, "rock"))
    test = passages(*(work(number, "folk") for number in range(10, 13)), work(20, "jazz"))
    prior = prior_of({"nats_per_action": LOSSES})
    text, shown = report_of(prior, train, test, tmp_path, twin=prior_of())
    columns = "| works | actions | uniform over legal | Markov, order 3 | prior | prior, told no genre | twin |"
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
        assert word in shown
    rows = {
        line.split("|")[1].strip(): line.split("|")
        for line in text.split("bits per note")[0].splitlines()
        if "|" in line
    }
    uniform, markov = (float(rows["all"][place].split("[")[0]) for place in (4, 5))
    assert markov < 0.7 * uniform, "four pitches in quarters are soon known"


def test_a_prior_of_which_little_is_known(tmp_path: Path) -> None:
    """Nothing held out, no losses: the report says so and draws nothing."""
    text, shown = report_of(prior_of(), passages(work(0, "folk")), None, tmp_path)
    assert "No work is held out for the test" in text
    assert "bits per" not in text + shown
    assert "Losses" not in text
    assert not (tmp_path / "curves.png").exists()
    text, _ = report_of(
        prior_of({"nats_per_action": {"train": [4.0], "valid": [], "best_epoch": 0}}),
        passages(work(0, "folk")),
        None,
        tmp_path,
    )
    assert "| 1, kept | 4.0000 | - |" in text


def test_priors_of_another_piano_are_refused(tmp_path: Path) -> None:
    train = passages(work(0, "folk"))
    other = prior_of(piano=Piano(lowest=40, highest=84, chords=(), values=(12, 24)))
    with pytest.raises(PriorError, match="the prior plays another piano than the passages are encoded for"):
        report_of(other, train, None, tmp_path)
    with pytest.raises(PriorError, match="stranger plays another piano"):
        report_of(prior_of(), train, None, tmp_path, stranger=other)
