from __future__ import annotations

import pytest

from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.registry import Request, load_rival


@pytest.mark.parametrize("name", ["random", "markov", "chord-lstm", "dcgan", "dream"])
def test_numbers_and_seeds_out_of_range_are_one_line(name: str) -> None:
    composer = load_rival(name, Request(bars=1))
    for n, seed in ((0, 0), (-1, 0), (1, -1), (1, 2**64)):
        with pytest.raises(RivalError, match=rf"{name}: the number of pieces must be at least 1 and the seed 0 to"):
            composer.compose(n, seed)
