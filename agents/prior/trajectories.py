"""Trajectories of given pieces: the observations, actions and masks of an agent that plays them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toccata.agents.policies.distribution import check_no_velocities
from toccata.agents.policies.sequence_network import NO_GENRE
from toccata.envs.codec import encode
from toccata.envs.dynamics import Dynamics
from toccata.envs.dynamics.song import SongDynamics
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.settings.genres import GENRES

Starts = dict[tuple[int, int, Score | None], list[int]]  # rows by ticks of a bar, end tick and primer
FEW_PIECES = 64  # which are played side by side, whatever their lengths


@dataclass(frozen=True)
class Trajectories:
    """Observations, actions and masks of n pieces, one a row, padded to the longest.

    The padding is the shortest rest. What is observed there, and what is legal, is not defined, but its log-probability
    is finite.
    """

    observations: dict[str, np.ndarray]  # (n, steps, ...) each, as the environment's observation="actions"
    actions: np.ndarray  # (n, steps, 2) int64
    masks: np.ndarray  # (n, steps, ceil((whats + values) / 8)) uint8, packed bits of the legal actions
    lengths: np.ndarray  # (n,) int64, steps of each piece
    nvec: tuple[int, ...]  # whats and values of the piano
    genres: tuple[str, ...] = GENRES  # whose indices are observed

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.lengths)

    def with_genres(self, genres: Sequence[str]) -> Trajectories:
        """The same with the indices of their genres in `genres`; `NO_GENRE` for those that are not among these."""
        if tuple(genres) == self.genres:
            return self
        numbers = [genres.index(name) if name in genres else NO_GENRE for name in self.genres]
        genre = np.array([*numbers, NO_GENRE])[self.observations["genre"]]  # its last entry is that of NO_GENRE, -1
        return replace(self, observations={**self.observations, "genre": genre}, genres=tuple(genres))

    def unpacked_masks(self, rows: slice | Sequence[int] | np.ndarray) -> np.ndarray:
        """(k, steps, whats + values) bool, the legal actions of the pieces `rows`."""
        return np.unpackbits(self.masks[rows], axis=-1, count=sum(self.nvec)).view(np.bool_)


def record_trajectories(
    pieces: Sequence[Piece], piano: Piano | None = None, genres: Sequence[str] = GENRES
) -> Trajectories:
    """Play given pieces in one batch and record every step.

    Args:
        pieces: those without actions are encoded first; velocities in actions are left out. Each is played in its own
            metre, to the bar line at or after its end; one without a genre gets the index `NO_GENRE`. The masks of a
            piece that was played for words are those of its sung line.
        piano: the instrument; by default `Piano()`.
        genres: of the network that is to observe them.

    Raises:
        ValueError: when there is no piece, when one has no actions or an unknown genre, and at the first action
            that is out of range or not legal, naming the piece by its number; for a piano with velocities.
    """
    piano = piano or Piano()
    check_no_velocities(piano)
    if not pieces:
        raise ValueError("there is no piece to record")
    piece_actions = [_checked_actions(i, piece, piano, genres) for i, piece in enumerate(pieces)]
    lengths = np.array([len(each) for each in piece_actions], np.int64)
    actions = np.zeros((len(pieces), int(lengths.max()), 2), np.int64)
    for row, each in zip(actions, piece_actions, strict=True):
        row[: len(each)] = each
    numbers = [NO_GENRE if piece.genre is None else genres.index(piece.genre) for piece in pieces]

    shape = actions.shape[:2]
    place = np.zeros((*shape, 4), np.int32)
    top = np.zeros(shape, np.int64)
    last = np.zeros((*shape, 2), np.int64)
    masks = np.zeros((*shape, -(-sum(piano.nvec) // 8)), np.uint8)
    last[:, 1:] = actions[:, :-1]
    for rows in _side_by_side(pieces, lengths):
        dynamics = _begun([pieces[row] for row in rows], piano)
        all_rows = np.arange(len(rows))
        for step in range(int(lengths[rows].max())):
            if isinstance(dynamics, SongDynamics):
                dynamics.allow_rests(actions[rows, step])
            place[rows, step] = dynamics.place(all_rows)
            top[rows, step] = dynamics.top(all_rows)
            masks[rows, step] = np.packbits(dynamics.masks, axis=-1)
            ticks = dynamics.states["clock"].copy()
            illegal = ~dynamics.step(actions[rows, step]) & (step < lengths[rows])
            if illegal.any():
                i = int(np.argmax(illegal))
                action = piano.describe(actions[rows[i], step])
                raise ValueError(f"piece {rows[i]}: action {step}, {action}, is not legal at tick {ticks[i]}")
    genre = np.repeat(np.array(numbers, np.int64)[:, None], shape[1], axis=1)
    observations = {"place": place, "top": top, "last": last, "genre": genre}
    return Trajectories(observations, actions, masks, lengths, piano.nvec, tuple(genres))


def _side_by_side(pieces: Sequence[Piece], lengths: np.ndarray) -> Iterator[np.ndarray]:
    """The indices of the pieces that are played in one batch: of one voice, or without words, and similar length."""
    voices = np.array([piece.voice if _is_song(piece) else "" for piece in pieces])
    for voice in np.unique(voices):
        of_voice = np.flatnonzero(voices == voice)
        for some in _of_similar_length(lengths[of_voice]):
            yield of_voice[some]


def _is_song(piece: Piece) -> bool:
    """Whether it was played for words: one that was encoded need not keep to the rules of the sung line."""
    return piece.lyrics is not None and piece.actions is not None


def _of_similar_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """The indices of the lengths (n,), those together that lie between two powers of two; of at most 64 all."""
    if len(lengths) <= FEW_PIECES:
        yield np.arange(len(lengths))
        return
    powers = np.ceil(np.log2(lengths)).astype(int)
    for power in np.unique(powers):
        yield np.flatnonzero(powers == power)


def _begun(pieces: Sequence[Piece], piano: Piano) -> Dynamics:
    """The instrument of each piece at its start: in its metre, after its primer."""
    rows_by_start: Starts = {}  # `Dynamics.begin` is slow: one call a start
    for i, piece in enumerate(pieces):
        score = piece.score
        bar = round(score.beats_per_bar * TICKS_PER_BEAT)
        primer = score.slice(0, piece.start_tick) if piece.start_tick else None
        end_tick = score.barred(score.beats_per_bar).bars * bar
        rows_by_start.setdefault((bar, end_tick, primer), []).append(i)
    if _is_song(pieces[0]):
        return _songs_begun(pieces, piano, rows_by_start)
    dynamics = Dynamics(len(pieces), piano, max_steps=1)
    for (bar, end_tick, primer), group in rows_by_start.items():
        dynamics.begin(group, ticks_per_bar=bar, end_tick=end_tick, primer=primer)
    return dynamics


def _songs_begun(pieces: Sequence[Piece], piano: Piano, rows_by_start: Starts) -> SongDynamics:
    """As `_begun`, for pieces with words of one voice."""
    lyrics = [piece.lyrics for piece in pieces if piece.lyrics is not None]
    # The limit of the episodes is not known; the masks differ only in pieces that came near it
    dynamics = SongDynamics(lyrics, pieces[0].voice, None, len(pieces), piano, max_steps=1, is_limited=False)
    for (bar, end_tick, primer), group in rows_by_start.items():
        bars = (end_tick - (0 if primer is None else primer.length_ticks)) // bar
        for row in group:
            dynamics.begin_song(row, row, ticks_per_bar=bar, bars=bars, primer=primer)
    return dynamics


def _checked_actions(i: int, piece: Piece, piano: Piano, genres: Sequence[str]) -> np.ndarray:
    """(steps, 2) actions of piece number `i`, encoded if it has none.

    Raises:
        ValueError: when there is none, when one is outside the action space, and for an unknown genre.
    """
    if piece.genre is not None and piece.genre not in genres:
        raise ValueError(f"piece {i}: its genre {piece.genre!r} must be one of {', '.join(genres)}, or None")
    actions = encode(piece.score, piano)[0] if piece.actions is None else np.asarray(piece.actions)
    if not len(actions):
        raise ValueError(f"piece {i} has no actions")
    actions = actions[:, :2]
    outside = ((actions < 0) | (actions >= piano.nvec)).any(axis=1)
    if outside.any():
        raise ValueError(f"piece {i}: action {actions[outside][0].tolist()} is outside the action space {piano.nvec}")
    return actions
