"""What a classifier of genres sees of a piece."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from toccata.agents.evaluation.measuring.embedding import embeddings
from toccata.envs.excerpts import ExcerptDataset, as_piece
from toccata.envs.pieces import Piece, Pieces
from toccata.music.corpus import Work
from toccata.music.score import Score
from toccata.music.skyline import skyline
from toccata.reward_models.judges.features import piece_features
from toccata.reward_models.judges.typicality import Typicality

SIXTEENTH = 4  # parts of a quarter


def genre_features(pieces: Sequence[Piece], judge: Typicality) -> np.ndarray:
    """(n, d) float64 features of pieces: `piece_features` and the embedding of the typicality judge.

    The former are invariant under transposition, the latter are of pieces in random keys; neither knows the tempo or
    the velocities.
    """
    notes = np.stack([piece_features(piece.score) for piece in pieces])
    return np.concatenate((notes, embeddings(Pieces(list(pieces)), judge)), axis=1)


def excerpts_of_works(
    works: Sequence[Work], count: int, bars: int, beats_per_bar: float, rng: np.random.Generator
) -> tuple[list[Piece], np.ndarray]:
    """`count` random excerpts of each work in random keys, at one tempo, as the piano plays them.

    Returns:
        The pieces, with the genre of their works, and the index of the work of each.
    """
    pieces: list[Piece] = []
    for work in works:
        dataset = ExcerptDataset([work.score], bars, beats_per_bar=beats_per_bar, genre=work.genre)
        pieces += dataset.sample(count, rng)
    return pieces, np.repeat(np.arange(len(works)), count)


def melody(score: Score) -> Score:
    """The highest line alone: what is left without an accompaniment."""
    return skyline(score)


def on_sixteenths(score: Score) -> Score:
    """Onsets and ends rounded to sixteenths: what is left without swing, triplets and ornaments."""
    step = max(1, score.ticks_per_beat // SIXTEENTH)
    notes = score.notes.copy()
    ends = np.round(score.offset_ticks / step).astype(int) * step
    notes["onset_tick"] = np.round(notes["onset_tick"] / step) * step
    notes["duration_ticks"] = np.maximum(ends - notes["onset_tick"], step)
    inside = notes["onset_tick"] < score.length_ticks
    notes["duration_ticks"] = np.minimum(notes["duration_ticks"], score.length_ticks - notes["onset_tick"]).clip(1)
    return replace(score, notes=notes[inside])


CONTROLS: dict[str, Callable[[Score], Score]] = {
    "whole pieces": lambda score: score,
    "melody alone": melody,
    "on sixteenths": on_sixteenths,
    "melody on sixteenths": lambda score: on_sixteenths(melody(score)),
}
"""What a classifier is told of a piece, by name: the less it needs, the less it can owe to how the data were made."""


def under(control: str, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces under one of `CONTROLS`, as the piano plays them."""
    change = CONTROLS[control]
    changed = []
    for piece in pieces:
        score = change(piece.score)
        changed.append(as_piece(score, Pieces([piece]).piano, score.beats_per_bar, score.tempo_bpm, piece.genre)[0])
    return changed
