"""How long pieces change from their beginning to their end: measures by windows of eight bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toccata.envs.pieces import Piece, Pieces
from toccata.music.metrics import key_clarity, note_density
from toccata.music.metrics.windows import by_window
from toccata.reward_models.judges.panel import BITS
from toccata.reward_models.judges.typicality import Typicality
from toccata.stats import bootstrap_mean

WINDOW_BARS = 8  # the length that agents are trained with by default
METRICS = {"note_density": note_density, "key_clarity": key_clarity}


def along_pieces(
    composed: Mapping[str, Sequence[Piece]], bars: int, judge: Typicality, seed: int
) -> dict[str, Any] | None:
    """Means of note density, key clarity and bits an action in each window of 8 bars, by composer.

    An action is predicted from all before it, so the bits fall along a piece that takes up what it has said, and rise
    along one that loses itself. Pieces with fewer whole windows are left out, as are composers that have no others.

    Args:
        composed: pieces of each composer; what an agent wrote is measured, without a primer.
        bars: of a piece.
        judge: gives the bits.
        seed: of the bootstrap.

    Returns:
        `bars` of a window; `composers`, by composer and metric a list of `mean`, `low`, `high`, one a window;
        `last_minus_first`, by composer and metric the same of the differences within pieces. None where there are not
        two windows.
    """
    windows = bars // WINDOW_BARS
    if windows < 2:
        return None
    rng = np.random.default_rng(seed)
    means: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for name, pieces in composed.items():
        values = _values(Pieces(pieces), windows, judge)
        if not len(values[BITS]):
            continue
        means[name] = {
            metric: [bootstrap_mean(column, rng)._asdict() for column in each.T] for metric, each in values.items()
        }
        changes[name] = {
            metric: bootstrap_mean(each[:, -1] - each[:, 0], rng)._asdict() for metric, each in values.items()
        }
    return {"bars": WINDOW_BARS, "composers": means, "last_minus_first": changes} if "agent" in means else None


def _values(pieces: Pieces, windows: int, judge: Typicality) -> dict[str, np.ndarray]:
    """(k, windows) of each metric, of the k pieces that have as many windows."""
    bits = judge.bits_by_window(pieces, WINDOW_BARS)
    kept = [i for i, each in enumerate(bits) if len(each) >= windows]
    parts = [by_window(pieces.own[i], WINDOW_BARS, METRICS) for i in kept]
    rows = {name: [each[name][:windows] for each in parts] for name in METRICS} | {
        BITS: [bits[i][:windows] for i in kept]
    }
    return {name: np.array(each, float).reshape(-1, windows) for name, each in rows.items()}
