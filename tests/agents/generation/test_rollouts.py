"""Pieces of a policy, or of random legal actions."""

from __future__ import annotations

from toccata.agents.generation.rollouts import generate_pieces


def test_generated_pieces_are_complete_and_repeatable() -> None:
    first, again = (generate_pieces(None, 3, 4, {"bars": 1, "reward_at": "bar"}) for _ in range(2))
    assert [piece.score for piece in first] == [piece.score for piece in again]
    assert all(piece.score.bars == 1 for piece in first)
    assert [piece.score for piece in generate_pieces(None, 3, 5, {"bars": 1})] != [piece.score for piece in first]
