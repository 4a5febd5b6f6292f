"""Preferences from the Google Bach Doodle: what visitors thought of its harmonizations, and which melodies they typed.

Two files: sessions in the data set's full schema, with feedback and loops listened to; and how many sessions typed
each melody, where the like rate is unknown.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.reward_models.preferences.csv_rows import open_text
from toccata.reward_models.preferences.table import (
    DUPLICATE,
    UNREADABLE,
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
    count_problem,
)

TICKS_PER_STEP = TICKS_PER_BEAT // 4  # the doodle's grid is sixteenths
STEPS = 32  # two bars of four quarters
MOST_STEPS = 256  # sixteen bars; the doodle's pieces have two, longer ones come from damaged rows
TEMPO_BPM = 120.0  # of melodies, whose tempo is unknown; the agent's pieces default to it
VELOCITY = 80  # the agent's piano plays everything with it
SESSION_FIELDS = ("output_sequence", "loops_listened", "feedback")  # each a list, an entry a harmonization
GOOD = "2"  # feedback: 0 is poor, 1 neutral, 2 good, empty none
WORLDWIDE, COUNTRIES = "worldwide", "countries"  # what a melody's count covers

BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)  # what rows of another shape bring out


def holds_sessions(row: object) -> bool:
    """Whether this is a session of the full schema."""
    return isinstance(row, dict) and set(SESSION_FIELDS) <= set(row)


def holds_counts(row: object) -> bool:
    """Whether this is a melody with its count."""
    return isinstance(row, dict) and "notes" in row and not {"sessions", "by_country", "only_in"}.isdisjoint(row)


def read_sessions(path: Path) -> PreferenceTable:
    """Sessions, a JSON array or one a line, compressed or not: each harmonization is a piece in four voices.

    `likes` counts the times it was called good (feedback 2), `plays` the loops listened to. The counts of
    harmonizations that sound alike (notes and tempo) are added up over all sessions. Nothing else can give a p other
    than 0: one session says good once or not at all, and p is 0 for both 0 likes and 1.
    """
    counts: dict[Score, list] = {}  # the first name, plays, likes
    left_out: list[LeftOut] = []
    rows = 0
    for place, session in _objects(path):
        fields = [session[key] for key in SESSION_FIELDS] if holds_sessions(session) else []
        if not fields or not all(isinstance(field, list) for field in fields) or len(set(map(len, fields))) != 1:
            rows += 1
            shape = f"{', '.join(SESSION_FIELDS)} are no lists of one length"
            reason = str(session) if isinstance(session, Exception) else shape
            left_out.append(LeftOut(f"{path.name}, {place}", UNREADABLE, reason))
            continue
        for number, (sequence, plays, feedback) in enumerate(zip(*fields, strict=True), 1):
            rows += 1
            name = f"{path.name}, {place}, harmonization {number}"
            try:
                score = _harmonization(sequence)
                plays = float(plays)
                problem = count_problem(0, plays) if plays else None  # 0 loops may be added to another session's
            except BROKEN as error:
                left_out.append(LeftOut(name, UNREADABLE, _reason(error)))
                continue
            if problem:
                left_out.append(LeftOut(name, problem, f"loops_listened {plays:g}"))
                continue
            sums = counts.setdefault(score, [name, 0.0, 0.0])
            sums[1] += plays
            sums[2] += str(feedback) == GOOD
    preferences = []
    merged = rows - len(left_out) - len(counts)
    for score, (name, plays, likes) in counts.items():
        problem = count_problem(likes, plays)
        if problem:
            left_out.append(LeftOut(name, problem, f"loops_listened {plays:g}, called good {likes:g} times"))
        else:
            preferences.append(Preference(name, plays, likes, score=score))
    return PreferenceTable(tuple(preferences), tuple(left_out), merged)


def read_counts(path: Path) -> PreferenceTable:
    """`melodies.jsonl`: melodies, and how many sessions typed each.

    Each line is an object with `notes`, `[[pitch, start step, end step], ...]` on 32 sixteenths, and `sessions`
    (worldwide) or, where that is unknown, `by_country` or `only_in`, `{country: [requests, sessions]}`, whose
    sessions are added up; `source` says which.

    How many liked a melody is unknown. The like rate is taken as constant, 1, so `likes` and `plays` both are the
    sessions, and p = log(sessions); another constant would only stretch and shift p.
    """
    preferences: list[Preference] = []
    left_out: list[LeftOut] = []
    seen: set[Score] = set()
    for place, row in _objects(path):
        name = f"{path.name}, {place}"
        try:
            if isinstance(row, Exception):
                raise ValueError(str(row))
            score = _melody(row["notes"])
            sessions, source = _sessions(row)
            preference = Preference(name, sessions, sessions, source=source, score=score)
        except BROKEN as error:
            left_out.append(LeftOut(name, UNREADABLE, _reason(error)))
            continue
        if score in seen:
            left_out.append(LeftOut(name, DUPLICATE))
        else:
            seen.add(score)
            preferences.append(preference)
    return PreferenceTable(tuple(preferences), tuple(left_out))


def _objects(path: Path) -> Iterator[tuple[str, Any]]:
    """("line 3", object) of each line that is not blank, or ("session 3", object) of an array.

    A line that cannot be parsed gives the error in place of the object.
    """
    with open_text(path) as text:
        start = text.read(1)
        while start.isspace():
            start = text.read(1)
        text.seek(0)
        if start == "[":
            try:
                rows = json.load(text)
            except (ValueError, RecursionError, EOFError, OSError, zlib.error) as error:
                raise PreferenceError(f"{path}: begins like a JSON array, but {error}") from error
            yield from ((f"session {number}", row) for number, row in enumerate(rows, 1))
            return
        number = 0
        while True:
            number += 1
            try:
                line = text.readline()
                row = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError) as error:
                yield f"line {number}", error
                continue
            except (EOFError, OSError, zlib.error) as error:  # damaged compressed data: there is nothing after it
                yield f"line {number}", error
                return
            if not line:
                return
            if line.strip():
                yield f"line {number}", row


def _harmonization(sequence: dict) -> Score:
    """All voices of a NoteSequence in steps; what it does not say is 0, as in protocol buffers."""
    steps_per_beat = int(sequence.get("quantizationInfo", {}).get("stepsPerQuarter", 4))
    if steps_per_beat != TICKS_PER_BEAT // TICKS_PER_STEP:
        raise ValueError(f"stepsPerQuarter must be 4, got {steps_per_beat}")
    rows = [
        (note.get("pitch", 0), note.get("quantizedStartStep", 0), note.get("quantizedEndStep", 0))
        for note in sequence["notes"]
    ]
    tempos = sequence.get("tempos") or [{}]
    return _score(rows, float(tempos[0].get("qpm", TEMPO_BPM)), MOST_STEPS)


def _melody(rows: list) -> Score:
    return _score(rows, TEMPO_BPM, STEPS)


def _score(rows: list, tempo_bpm: float, most_steps: int) -> Score:
    """A score of [pitch, start step, end step], as long as two bars or a multiple of them."""
    steps = [(int(pitch), int(start), int(end)) for pitch, start, end in rows]
    if not steps:
        raise ValueError("holds no note")
    last = max(end for _, _, end in steps)
    if last > most_steps:
        raise ValueError(f"ends after {most_steps} steps")
    notes = [(start * TICKS_PER_STEP, (end - start) * TICKS_PER_STEP, pitch, VELOCITY) for pitch, start, end in steps]
    return Score(notes, tempo_bpm=tempo_bpm, length_ticks=-(-last // STEPS) * STEPS * TICKS_PER_STEP)


def _sessions(row: dict) -> tuple[int, str]:
    """How many sessions typed a melody, and where."""
    if row.get("sessions") is not None:
        sessions, source = int(row["sessions"]), WORLDWIDE
    else:
        countries = row.get("by_country") or row.get("only_in")
        if not countries:
            raise ValueError("neither sessions, nor by_country, nor only_in")
        sessions, source = sum(int(sessions) for _requests, sessions in countries.values()), COUNTRIES
    if sessions < 1:
        raise ValueError(f"sessions must be at least 1, got {sessions}")
    return sessions, source


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
