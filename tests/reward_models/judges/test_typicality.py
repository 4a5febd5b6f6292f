from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from helpers.tunes import encoded, tune
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.typicality import Typicality
from toccata.reward_models.typicality.action_model import ActionModel, action_batch

ROUNDING = float32_rounding(64, 20.0)


@pytest.fixture(scope="module")
def judge() -> Typicality:
    torch.manual_seed(0)
    return Typicality(ActionModel(Piano(), width=16, layers=1))


def test_a_network_that_knows_nothing_is_uniform() -> None:
    network = ActionModel(Piano(), width=16, layers=1)
    for head in (network.of_what, network.of_value):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    bits = Typicality(network).bits(Pieces([encoded(tune(2))]))
    assert bits == pytest.approx(np.log2(353 * 13), abs=ROUNDING)


def test_bits_do_not_depend_on_the_batch(judge: Typicality) -> None:
    pieces = [encoded(tune(bars, beats, seed=bars)) for bars, beats in ((1, 4), (8, 3), (3, 3.5), (2, 4))]
    together = judge.bits(Pieces(pieces))
    assert together == pytest.approx([float(judge.bits(Pieces([piece]))[0]) for piece in pieces], abs=ROUNDING)
    assert (together > 0).all()


def test_a_score_has_the_bits_of_its_encoding(judge: Typicality) -> None:
    piece = encoded(tune(3))
    assert judge.bits(Pieces([piece.score])) == pytest.approx(judge.bits(Pieces([piece])), abs=ROUNDING)


def test_a_piece_without_actions_has_uniform_bits(judge: Typicality) -> None:
    nothing = Piece(Score(), actions=np.empty((0, 2), np.int16))
    bits = judge.bits(Pieces([nothing, encoded(tune(1))]))
    assert bits[0] == pytest.approx(np.log2(353 * 13))
    assert bits[1] != bits[0]


def test_ticks_are_counted_from_the_bar_line() -> None:
    actions = encoded(tune(2, 3)).actions
    assert actions is not None
    batch = action_batch([actions, actions[:0]], [72, 96], Piano())
    ticks = batch.ticks[0][batch.inside[0]]
    assert int(ticks.max()) < 72
    assert (ticks == 0).sum() >= 8, "four notes on each bar line"
    assert not batch.inside[1].any()


def test_saved_and_loaded_it_is_the_same(judge: Typicality, tmp_path: Path) -> None:
    judge.save(tmp_path, {"seed": 0})
    pieces = Pieces([encoded(tune(2))])
    loaded = Typicality.load(tmp_path)
    assert loaded.bits(pieces) == pytest.approx(judge.bits(pieces), abs=0.01), "in half precision"
    assert loaded.bits(pieces) == pytest.approx(Typicality.load(tmp_path).bits(pieces), abs=0)


def test_it_learns_a_tune() -> None:
    """After some steps on one tune this is typical, and another is not."""
    torch.manual_seed(0)
    network = ActionModel(Piano(), width=32, layers=1)
    piece, other = encoded(tune(4, seed=1)), encoded(tune(4, seed=2))
    assert piece.actions is not None
    batch = action_batch([piece.actions], [96], Piano())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        loss = -network(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    of_one, of_other = Typicality(network).bits(Pieces([piece, other]))
    assert of_one < 1 < of_other
