"""Bits an action of given pieces under a composer that gives music a probability."""

from __future__ import annotations

from collections.abc import Sequence

from toccata.agents.prior.bits import Bits, bits
from toccata.agents.rivals.composer import WithLikelihood
from toccata.envs.pieces import Piece


def bits_of(
    composer: WithLikelihood, pieces: Sequence[Piece], works: Sequence[str] | None = None, seed: int = 0
) -> dict[str, Bits]:
    """Bits an action and a note, by genre and under "all" together, with intervals over works.

    Args:
        composer: predicts each action from the genre and all actions before it.
        pieces: with scores as the piano plays them, and with genres; see `toccata.envs.excerpts.as_piece`.
        works: the work that each piece is of; None: each is one.
        seed: of the bootstrap.
    """
    return bits(composer.log_prob(pieces), pieces, works, seed)
