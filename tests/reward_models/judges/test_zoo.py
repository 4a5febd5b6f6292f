from __future__ import annotations

import numpy as np
import pytest

from helpers.tunes import tune
from toccata.envs.codec import encode
from toccata.music.metrics import loop_rate
from toccata.reward_models.judges.zoo import RULES, flattened, rule_pieces, zoo


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


def test_the_zoo_has_every_family() -> None:
    real = [tune(4, seed=seed) for seed in range(3)]
    families = zoo(real, 2, 2, np.random.default_rng(0))
    assert set(families) == {"corrupted", "random", "markov", "rules"}
    pieces = flattened(families)
    assert {kind for family, kind, _ in pieces if family == "rules"} == set(RULES)
    assert len([1 for family, _, _ in pieces if family == "corrupted"]) == 18
