"""Whether reward models and judges agree with the listeners: rank correlations over pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toccata.envs.excerpts import as_piece
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.errors import ToccataError
from toccata.listening.rendering import excerpt
from toccata.listening.results.ballots import HeardPiece, Survey
from toccata.music.corpus.parsing import MIDI_SUFFIXES, NOTATION_SUFFIXES
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.judges.panel import Panel
from toccata.settings.genres import GENRES
from toccata.stats import bootstrap_clusters, spearman

FEWEST_PIECES = 10  # of a correlation
RESAMPLES = 1000


def heard_score(piece: HeardPiece) -> Score | None:
    """What was heard of a piece, from its first note on; None for sound files, and for files that cannot be read."""
    suffix = piece.file.suffix.lower()
    try:
        if suffix in MIDI_SUFFIXES:
            score = Score.from_midi(piece.file)
        elif suffix in NOTATION_SUFFIXES:
            score = Score.from_musicxml(piece.file)
        else:
            return None
    except (ToccataError, OSError):
        return None
    return excerpt(score, piece.seconds) if len(score) else None


def scores_of_models(
    pieces: Sequence[HeardPiece], scores: Sequence[Score | None], rewards: Sequence[str], judges: bool
) -> dict[str, np.ndarray]:
    """What reward models and judges say of pieces.

    Args:
        pieces: n of them.
        scores: (n,) of `heard_score`.
        rewards: specs of reward models.
        judges: whether the panel of judges is asked, too.

    Returns:
        (n,) by name: the spec of a reward, or the name of a judgement; NaN of pieces without a score.

    Raises:
        RewardSpecError: for a reward that cannot be loaded.
    """
    models = {spec: load_reward(spec) for spec in rewards}
    panel = Panel.load() if judges else None
    readable = [number for number, score in enumerate(scores) if score is not None]
    played = []
    for number in readable:
        score, genre = scores[number], pieces[number].genre
        assert score is not None  # as `readable` says
        known = genre if genre in GENRES else None
        played.append(as_piece(score, Piano(), score.beats_per_bar, score.tempo_bpm, known)[0])
    found: dict[str, np.ndarray] = {}
    for name, model in models.items():
        found[name] = _every(len(pieces), readable, [model.score(Pieces([piece]))[0] for piece in played])
    if panel is not None:
        said = [panel.judge(Pieces([piece])) for piece in played]
        for name in said[0] if said else ():
            found[name] = _every(len(pieces), readable, [float(each[name][0]) for each in said])
    return found


def agreement_with_models(
    survey: Survey, strengths: Sequence[dict[str, Any]], models: dict[str, np.ndarray], seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Rank correlation of what models say of pieces with what listeners say.

    Votes and likes are noisy, so a perfect model has a correlation below 1. Between sources that differ much it says
    that the sources are told apart; compare it with the table of sources.

    Args:
        survey: of the database.
        strengths: of `piece_strengths`.
        models: of `scores_of_models`.
        seed: of the bootstrap.

    Returns:
        by model, then "strength" and "like rate": `correlation`, Spearman's, with `low` and `high`, 95 % by resampling
        pieces, and `pieces`; the first three are None where there are fewer than `FEWEST_PIECES`.
    """
    strength = np.full(len(survey.pieces), np.nan)
    for row in strengths:
        strength[row["piece"]] = row["strength"]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = survey.likes / survey.plays  # NaN without plays
    observed = {"strength": strength, "like rate": rate}
    return {
        name: {kind: _correlation(values, each, seed) for kind, each in observed.items()}
        for name, values in models.items()
    }


def _correlation(values: np.ndarray, observed: np.ndarray, seed: int) -> dict[str, Any]:
    both = np.isfinite(values) & np.isfinite(observed)
    values, observed = values[both], observed[both]
    found: dict[str, Any] = dict.fromkeys(("correlation", "low", "high")) | {"pieces": len(values)}
    if len(values) < FEWEST_PIECES:
        return found
    names = [str(number) for number in range(len(values))]
    interval = bootstrap_clusters(
        lambda index: spearman(values[index], observed[index]), names, np.random.default_rng(seed), RESAMPLES
    )
    return found | {"correlation": interval.mean, "low": interval.low, "high": interval.high}


def _every(count: int, readable: Sequence[int], values: Sequence[float]) -> np.ndarray:
    """(count,) the values at the indices `readable`, NaN elsewhere."""
    found = np.full(count, np.nan)
    found[list(readable)] = values
    return found
