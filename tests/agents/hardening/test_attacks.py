from __future__ import annotations

import numpy as np
import pytest

from helpers.tunes import encoded, tune
from toccata.agents.hardening import attacks
from toccata.agents.hardening.attacks import best_of_n, search
from toccata.envs.codec import encode
from toccata.envs.pieces import Pieces
from toccata.reward_models.realism.model import Realism


def notes(pieces: Pieces) -> np.ndarray:
    return np.array([len(score) for score in pieces.own], float)


def test_best_of_n_keeps_the_best_of_each_n(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []

    def reward(pieces: Pieces) -> np.ndarray:
        drawn.append(notes(pieces))
        return drawn[-1]

    best = best_of_n(reward, 3, 8, bars=1, genre="classical", seed=0)
    assert [len(score) for score in best] == [drawn[0][start : start + 8].max() for start in (0, 8, 16)]
    drawn.clear()
    monkeypatch.setattr(attacks, "SAMPLED_AT_ONCE", 16)
    assert len(best_of_n(reward, 2, 20, bars=1, genre="classical", seed=0)) == 2  # more than are sampled at once
    assert [len(each) for each in drawn] == [20, 20]


def test_a_search_never_lowers_the_reward_and_its_pieces_can_be_played() -> None:
    starts = [encoded(tune(2, seed=seed)).score for seed in range(3)]
    realism = Realism.load()
    found = search(realism.logits, realism, starts, 12, np.random.default_rng(0))
    before, after = realism.logits(Pieces(starts)), realism.logits(Pieces(found))
    assert (after >= before - 1e-5).all() and after.mean() > before.mean()
    assert all(encode(score)[1].score == score for score in found)
    assert [score.length_ticks for score in found] == [score.length_ticks for score in starts]
    again = search(realism.logits, realism, starts, 12, np.random.default_rng(0))
    assert again == found
