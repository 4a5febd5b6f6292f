from __future__ import annotations

import numpy as np
import pytest

from toccata.agents.prior import bits as bits_module
from toccata.agents.prior.bits import bits
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score

SMALL = Piano(lowest=48, highest=84, chords=("maj",), values=(12, 24, 96))
HALF, QUARTER = np.log(1 / 2), np.log(1 / 4)


def piece(notes: int, genre: str | None) -> Piece:
    return Piece(Score([(24 * i, 24, 60, 80) for i in range(notes)]), genre)


def test_bits_of_given_probabilities() -> None:
    """Six actions of one bit and two actions of two bits, by genre and together."""
    log_probs = [np.full(6, HALF), np.full(2, QUARTER)]
    results = bits(log_probs, [piece(3, "folk"), piece(1, "jazz")])
    assert list(results) == ["folk", "jazz", "all"]
    assert results["folk"].per_action.mean == pytest.approx(1)
    assert results["folk"].per_note.mean == pytest.approx(2)
    assert results["jazz"].per_action.mean == pytest.approx(2)
    assert results["jazz"].per_note.mean == pytest.approx(4)
    assert results["all"].per_action.mean == pytest.approx(10 / 8)
    assert results["all"].per_note.mean == pytest.approx(10 / 4)
    assert (results["all"].works, results["all"].actions, results["all"].notes) == (2, 8, 4)
    assert results["jazz"].per_action == pytest.approx((2, 2, 2))


def test_a_chord_counts_its_notes() -> None:
    chord = Score([(0, 96, pitch, 80) for pitch in (48, 52, 55)], length_ticks=96)
    dataset = PassageDataset(Corpus("one", (Work("one", "folk", chord),)), 1, SMALL)
    (passage,) = dataset.first_passages()
    assert passage.actions is not None
    assert len(passage.actions) == 2, "the chord and the rest"
    assert bits([np.full(2, HALF)], [passage])["folk"].per_note.mean == pytest.approx(2 / 3)


def test_pieces_without_genre_count_under_all() -> None:
    results = bits([np.full(2, HALF), np.full(2, QUARTER)], [piece(1, None), piece(1, "rock")])
    assert list(results) == ["rock", "all"]
    assert results["all"].per_action.mean == pytest.approx(1.5)


def test_a_genre_without_notes_is_left_out() -> None:
    results = bits([np.full(2, HALF), np.full(2, HALF)], [piece(0, "rock"), piece(2, "folk")])
    assert list(results) == ["folk", "all"]
    assert np.isfinite(results["all"].per_note).all()
    assert results["all"].per_note.mean == pytest.approx(2)
    assert bits([np.full(2, HALF)], [piece(0, "rock")]) == {}


def test_intervals_cover_the_true_mean_as_often_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits_module, "RESAMPLES", 300)
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(120):
        nats = rng.gamma(2.0, 0.5, 40)  # of each work's one action
        low, high = bits([-nats[i : i + 1] for i in range(40)], [piece(1, "folk")] * 40)["all"].per_action[1:]
        covered.append(low <= 1 / np.log(2) <= high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_passages_of_one_work_are_resampled_together() -> None:
    """Forty passages of two works give an interval as wide as two passages do."""
    log_probs = [np.full(2, HALF)] * 20 + [np.full(2, QUARTER)] * 20
    pieces = [piece(1, "folk")] * 40
    alone = bits(log_probs, pieces)["folk"]
    together = bits(log_probs, pieces, ["a"] * 20 + ["b"] * 20)["folk"]
    assert alone.per_action.mean == together.per_action.mean == pytest.approx(1.5)
    assert together.per_action[1:] == pytest.approx((1, 2))
    assert alone.per_action.low > 1.2
    assert (alone.works, together.works) == (40, 2)
    assert bits(log_probs, pieces, ["a"] * 20 + ["b"] * 20)["folk"] == together, "one seed, one interval"
