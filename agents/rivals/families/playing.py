"""What composers on the piano have in common: pieces in batches, and the steps of given pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from toccata.agents.generation.rollouts import Act, play_pieces
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.agents.rivals.composer import OnProgress, RivalError, check_count
from toccata.agents.rivals.registry import Request
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.settings.genres import with_added

AT_ONCE = 256  # pieces in one batch of environments: more need more memory and are no faster

Play = Callable[[int, int, OnProgress], list[Piece]]  # of the number of pieces, a seed, and who is told the progress


def in_batches(
    name: str, play: Play, n: int, seed: int, on_progress: OnProgress, take: Callable[[list[Piece]], object]
) -> None:
    """Play `n` pieces in batches of at most `AT_ONCE`, each with a seed of its own.

    Args:
        name: of the composer.
        play: plays a batch.
        n: number of pieces.
        seed: of all of them.
        on_progress: is told the share of all that is done.
        take: is given the pieces of each batch.

    Raises:
        RivalError: for a number or seed out of range.
    """
    check_count(name, n, seed)
    for number, start in enumerate(range(0, n, AT_ONCE)):
        count = min(AT_ONCE, n - start)

        def on_batch(done: float, start: int = start, count: int = count) -> None:
            on_progress((start + count * done) / n)

        take(play(count, int(np.random.SeedSequence([seed, number]).generate_state(1)[0]), on_batch))
    on_progress(1.0)


def played(
    act: Act, request: Request, genre: str | None, count: int, seed: int, on_progress: OnProgress
) -> list[Piece]:
    """Pieces that `act` plays, in one batch of environments.

    Raises:
        RivalError: for a length, metre or tempo that the environment does not take.
    """
    try:
        env = PianoVecEnv(
            count,
            bars=request.bars,
            beats_per_bar=request.beats_per_bar,
            tempo_bpm=request.tempo_bpm,
            observation="actions",
        )
    except ValueError as error:
        raise RivalError(str(error)) from error
    pieces = play_pieces(act, env, seed, on_progress)[0]
    return [Piece(piece.score, genre, actions=piece.actions) for piece in pieces]


def steps_of(pieces: Sequence[Piece], piano: Piano | None = None) -> Trajectories:
    """The steps of given pieces on the piano, whatever their genres.

    Raises:
        ValueError: when there is no piece, and for actions that are not legal; see `record_trajectories`.
    """
    genres = with_added(piece.genre for piece in pieces if piece.genre is not None)
    return record_trajectories(pieces, piano, genres)
