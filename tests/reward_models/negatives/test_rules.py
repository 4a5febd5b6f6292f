from __future__ import annotations

import numpy as np
import pytest

from toccata.envs.codec import encode
from toccata.music.metrics import loop_rate
from toccata.reward_models.negatives.rules import RULES, rule_pieces


@pytest.mark.parametrize("name", RULES)
def test_rules_make_whole_pieces_that_the_instrument_plays(name: str) -> None:
    rng = np.random.default_rng(0)
    for piece in rule_pieces(name, 10, 4, rng):
        assert piece.length_ticks == 4 * 96
        assert len(piece) >= 4
        assert encode(piece)[1].score == piece
    again = rule_pieces(name, 10, 4, np.random.default_rng(0))
    assert again == rule_pieces(name, 10, 4, np.random.default_rng(0))


def test_alternating_notes_loop() -> None:
    assert all(loop_rate(piece) > 0.8 for piece in rule_pieces("alternating_notes", 10, 8, np.random.default_rng(0)))
