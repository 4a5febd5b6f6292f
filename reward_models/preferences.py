"""Preference data: pieces, and how much people liked or played them.

So far one source: the melodies that visitors typed into the Google Bach Doodle, with the number of sessions that
typed each. The like rate is unknown there, so it is taken as constant and popularity `p = likes / plays *
log(likes)` is proportional to `log(sessions)`, which is what this module calls `popularity`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

MELODIES_FILE = "melodies.jsonl"
TICKS_PER_STEP = TICKS_PER_BEAT // 4  # the doodle's grid is sixteenths
STEPS = 32  # two bars of four quarters
TEMPO_BPM = 120.0  # the doodle let people choose; the agent's pieces default to this
VELOCITY = 80  # the agent's piano plays everything with it


class PreferenceError(ValueError):
    """Preference data that cannot be read; names the file, the line and the reason."""


@dataclass(frozen=True)
class Preference:
    """One piece and how popular it was.

    Args:
        score: the piece.
        sessions: how many sessions typed it, at least 1.
        worldwide: whether `sessions` counts the whole world, or only the countries in whose lists it appeared.
    """

    score: Score
    sessions: int
    worldwide: bool

    @property
    def popularity(self) -> float:
        """log(sessions), at least 0; see the module's docstring."""
        return math.log(self.sessions)


def read_melodies(folder: str | PathLike[str]) -> list[Preference]:
    """Read `melodies.jsonl` of the Bach Doodle.

    Each line is an object with `notes`, `[[pitch, start step, end step], ...]` on 32 sixteenths, and `sessions`
    (worldwide) or, where that is unknown, `by_country` or `only_in`, `{country: [requests, sessions]}`, whose
    sessions are added up.

    Raises:
        PreferenceError: when the folder or the file is missing, a line is broken, or there is no line at all.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PreferenceError(f"{folder}: no such folder; it should hold {MELODIES_FILE}")
    path = folder / MELODIES_FILE
    if not path.is_file():
        raise PreferenceError(f"{folder}: holds no {MELODIES_FILE}")
    preferences = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                preferences.append(_preference(json.loads(line)))
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                raise PreferenceError(f"{path}, line {number}: {reason}") from error
    if not preferences:
        raise PreferenceError(f"{path}: holds no melody")
    return preferences


def contour(score: Score) -> bytes:
    """The melody's ups, downs and repeats (Parsons code): the signs of its pitch intervals.

    Two melodies of one contour belong on one side of a split: transpositions, other rhythms, major and minor
    versions, and misremembered leaps all share it. Comparing the intervals themselves would keep only the first two
    together.
    """
    return np.sign(np.diff(score.notes["pitch"].astype(np.int64))).astype(np.int8).tobytes()


def contour_folds(scores: Sequence[Score], folds: int, seed: int) -> np.ndarray:
    """(n,) fold of each score in 0..folds-1: whole contours, dealt in random order, so equally many to each fold.

    Raises:
        ValueError: when there are fewer contours than folds.
    """
    keys = [contour(score) for score in scores]
    distinct = sorted(set(keys), key=lambda key: (len(key), key))
    if len(distinct) < folds:
        raise ValueError(f"{folds} folds need as many melody contours, got {len(distinct)}")
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold_of = {distinct[index]: place % folds for place, index in enumerate(order)}
    return np.array([fold_of[key] for key in keys], np.int64)


def _preference(row: dict) -> Preference:
    notes = [
        (int(start) * TICKS_PER_STEP, (int(end) - int(start)) * TICKS_PER_STEP, int(pitch), VELOCITY)
        for pitch, start, end in row["notes"]
    ]
    if not notes:
        raise ValueError("a melody needs at least one note")
    score = Score(notes, tempo_bpm=TEMPO_BPM, length_ticks=STEPS * TICKS_PER_STEP)
    worldwide = row.get("sessions") is not None
    if worldwide:
        sessions = int(row["sessions"])
    else:
        countries = row.get("by_country") or row.get("only_in")
        if not countries:
            raise ValueError("neither sessions, nor by_country, nor only_in")
        sessions = sum(int(sessions) for _requests, sessions in countries.values())
    if sessions < 1:
        raise ValueError(f"sessions must be at least 1, got {sessions}")
    return Preference(score, sessions, worldwide)
