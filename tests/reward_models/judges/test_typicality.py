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
from toccata.reward_models.typicality.action_model import ActionModel, action_batch, action_bits

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


def test_windows_share_the_actions_out(judge: Typicality) -> None:
    piece = encoded(tune(5))
    pieces = Pieces([piece, Piece(Score(length_ticks=10), actions=np.empty((0, 2), int))])
    of_piece, of_silence = judge.bits_by_window(pieces, 2)
    assert of_piece.shape == (2,) and of_silence.shape == (0,)  # whole windows only
    bars, _ = judge.bits_by_window(pieces, 1)
    bits, ticks = action_bits(judge.network, pieces)[0], np.cumsum(rests(pieces.actions[0])) - rests(pieces.actions[0])
    assert bars == pytest.approx([bits[ticks // 96 == bar].mean() for bar in range(5)])
    assert judge.bits_by_window(pieces, 5)[0] == pytest.approx(judge.bits(pieces)[:1])


def test_a_window_without_actions_has_the_bits_of_the_uniform_distribution(judge: Typicality) -> None:
    """Bars of three beats, of which a rest of four beats passes one."""
    rest = np.array([[0, 12], [0, 12], [0, 12]])
    piece = Piece(Score(length_ticks=4 * 72, beats_per_bar=3), actions=rest)
    bars = judge.bits_by_window(Pieces([piece]), 1)[0]
    assert bars[3] == pytest.approx(np.log2(353 * 13)) and len(bars) == 4


def rests(actions: np.ndarray) -> np.ndarray:
    return np.array(Piano().values)[actions[:, 1]] * (actions[:, 0] == 0)
