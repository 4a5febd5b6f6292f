"""Songs: pieces for given words, each the best of several drafts by a reward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.policies.sequence_network import SequenceNetwork
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel
from toccata.music.lyrics import Lyrics

AT_ONCE = 64  # drafts in one batch: more need more memory and are hardly faster on a processor
RANKING = (("lyrics", 2.0), ("rating", 1.0), ("realism", 1.0), ("silence", 1.0), ("repetition", 3.0))


def best_songs(
    network: SequenceNetwork,
    piano: Piano,
    lyrics: Lyrics,
    count: int,
    *,
    drafts: int,
    rewards: RewardModel,
    seed: int,
    on_progress: Callable[[float], object] | None = None,
    **arguments: Any,
) -> list[Piece]:
    """Songs of a network for the words, each the best of `drafts` by the rewards; of equal ones the first.

    The words act through the masks alone, so the drafts are those of a network that never saw words, and the rewards
    choose. The KL divergence from that is at most log n - (n - 1) / n nats a song (Beirami et al. 2024, "Theoretical
    guarantees on the best-of-n alignment policy").

    Args:
        network: a prior or an agent.
        piano: its instrument.
        lyrics: the words.
        count: songs.
        drafts: of each song; 1: none is chosen, and the rewards are not asked.
        rewards: score the drafts.
        seed: equal seeds give equal songs.
        on_progress: called with the fraction that is done, in [0, 1].
        arguments: of `sample_pieces`.

    Raises:
        ValueError, LyricsError: as `sample_pieces`.
    """
    best: list[Piece] = []
    highest = -np.inf
    total = count * drafts
    for number, start in enumerate(range(0, total, AT_ONCE)):
        size = min(AT_ONCE, total - start)

        def on_batch(done: float, start: int = start, size: int = size) -> None:
            if on_progress is not None:
                on_progress((start + size * done) / total)

        batch_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        pieces = sample_pieces(network, piano, size, lyrics=lyrics, seed=batch_seed, on_progress=on_batch, **arguments)
        scores = rewards.score(Pieces(pieces)).tolist() if drafts > 1 else [0.0] * size
        for k, (piece, score) in enumerate(zip(pieces, scores, strict=True), start=start):
            if k % drafts == 0:
                best.append(piece)
                highest = score
            elif score > highest:
                best[-1], highest = piece, score
    return best
