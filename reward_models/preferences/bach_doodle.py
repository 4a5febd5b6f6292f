"""Preferences from the Google Bach Doodle (Huang et al. 2019): feedback on harmonizations, counts of entered melodies.

Two kinds of file: sessions in the full schema of the data set, with feedback and loops listened to; and melodies with
the number of sessions that entered them, where the like rate is unknown.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.reward_models.preferences.csv_rows import lines, open_text
from toccata.reward_models.preferences.table import (
    DUPLICATE,
    UNREADABLE,
    LeftOutRows,
    Preference,
    PreferenceError,
    PreferenceTable,
    count_problem,
)

TICKS_PER_STEP = TICKS_PER_BEAT // 4  # the doodle's grid is sixteenths
STEPS = 32  # two bars of four quarters
MAX_STEPS = 256  # sixteen bars; the pieces of the data set have two, longer ones are damaged rows
TEMPO_BPM = 120.0  # of melodies, whose tempo is unknown; the default of the agent's pieces
MAX_ARRAY = 64 * 2**20  # characters of a JSON array
MAX_VALUES = 6_000_000  # in one line or array, by its commas and brackets: 1 in 12 characters of a session is one
MAX_HARMONIZATIONS = 1_000_000  # of a file; those of the data set have 300,000
MAX_MELODIES = 200_000  # lines of melodies.jsonl
VELOCITY = 80  # that of every note of the agent's piano
SESSION_FIELDS = ("output_sequence", "loops_listened", "feedback")  # lists with one entry a harmonization
GOOD = "2"  # feedback: 0 is poor, 1 neutral, 2 good; empty where there is none
WORLDWIDE, COUNTRIES = "worldwide", "countries"  # sources: where the sessions of a melody were counted

BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)  # raised by rows of another shape


def holds_sessions(row: object) -> bool:
    """Whether this is a session of the full schema."""
    return isinstance(row, dict) and set(SESSION_FIELDS) <= set(row)


def holds_counts(row: object) -> bool:
    """Whether this is a melody with its count."""
    return isinstance(row, dict) and "notes" in row and not {"sessions", "by_country", "only_in"}.isdisjoint(row)


def read_sessions(path: Path) -> PreferenceTable:
    """Read sessions, a JSON array or one a line, gzipped or not: each harmonization is a piece in four voices.

    `likes` counts the ratings "good" (feedback 2), `plays` the loops listened to. Counts of equal harmonizations (notes
    and tempo) are summed over all sessions: a single session has at most one like, and then p is always 0.
    """
    counts: dict[Score, list] = {}  # the first name, plays, likes
    left_out = LeftOutRows()
    rows = 0
    for position, session in _json_rows(path):
        fields = [session[key] for key in SESSION_FIELDS] if holds_sessions(session) else []
        if not fields or not all(isinstance(field, list) for field in fields) or len(set(map(len, fields))) != 1:
            rows += 1
            shape = f"{', '.join(SESSION_FIELDS)} are not lists of one length"
            reason = str(session) if isinstance(session, Exception) else shape
            left_out.add(f"{path.name}, {position}", UNREADABLE, reason)
            _check_count(path, rows, MAX_HARMONIZATIONS, "sessions and harmonizations")
            continue
        _check_count(path, rows + len(fields[0]), MAX_HARMONIZATIONS, "sessions and harmonizations")
        for number, (sequence, plays, feedback) in enumerate(zip(*fields, strict=True), 1):
            rows += 1
            name = f"{path.name}, {position}, harmonization {number}"
            try:
                score = _harmonization_score(sequence)
                plays = float(plays)
                problem = count_problem(0, plays) if plays else None  # 0 loops may be added to those of another session
            except BROKEN as error:
                left_out.add(name, UNREADABLE, _reason(error))
                continue
            if problem:
                left_out.add(name, problem, f"loops_listened {plays:g}")
                continue
            sums = counts.setdefault(score, [name, 0.0, 0.0])
            sums[1] += plays
            sums[2] += str(feedback) == GOOD
    preferences = []
    merged = rows - len(left_out.rows) - len(counts)
    for score, (name, plays, likes) in counts.items():
        problem = count_problem(likes, plays)
        if problem:
            left_out.add(name, problem, f"loops_listened {plays:g}, rated good {likes:g} times")
        else:
            preferences.append(Preference(name, plays, likes, score=score))
    return PreferenceTable(tuple(preferences), tuple(left_out.rows), merged)


def read_counts(path: Path) -> PreferenceTable:
    """Read `melodies.jsonl`: melodies, and the number of sessions that entered each.

    Each line is an object with `notes`, `[[pitch, start step, end step], ...]` on 32 sixteenths, and `sessions`
    (worldwide) or, where that is missing, `by_country` or `only_in`, `{country: [requests, sessions]}`, whose sessions
    are summed. `Preference.source` is "worldwide" or "countries".

    The number of likes is unknown. The like rate is taken as 1: `likes` and `plays` both are the sessions, and
    p = log(sessions). Another constant would be an affine transform of p.
    """
    preferences: list[Preference] = []
    left_out = LeftOutRows()
    seen: set[Score] = set()
    for count, (position, row) in enumerate(_json_rows(path), 1):
        _check_count(path, count, MAX_MELODIES, "melodies")
        name = f"{path.name}, {position}"
        try:
            if isinstance(row, Exception):
                raise ValueError(str(row))
            score = _score_from_steps(row["notes"], TEMPO_BPM, STEPS)
            sessions, source = _session_count(row)
            preference = Preference(name, sessions, sessions, source=source, score=score)
        except BROKEN as error:
            left_out.add(name, UNREADABLE, _reason(error))
            continue
        if score in seen:
            left_out.add(name, DUPLICATE)
        else:
            seen.add(score)
            preferences.append(preference)
    return PreferenceTable(tuple(preferences), tuple(left_out.rows))


def _check_count(path: Path, count: int, most: int, what: str) -> None:
    """Raise PreferenceError for more than `most`."""
    if count > most:
        raise PreferenceError(f"{path}: has more than {most:,} {what}; divide it into several files")


def _check_values(text: str) -> None:
    """Raise ValueError for JSON of more than `MAX_VALUES` values, before it is decoded."""
    if sum(map(text.count, ",[{")) > MAX_VALUES:
        raise ValueError(f"holds more than {MAX_VALUES:,} values")


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """("line 3", object) of each line that is not blank, or ("session 3", object) of an array.

    For a line that cannot be parsed, the error takes the place of the object.
    """
    if _begins_with_bracket(path):
        yield from _rows_of_array(path)
        return
    with open_text(path) as text:
        numbered = enumerate(lines(text, path), 1)
        number = 0
        while True:
            try:
                number, line = next(numbered, (number + 1, ""))
                _check_values(line)
                row = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError) as error:
                if isinstance(error, PreferenceError):
                    raise
                yield f"line {number}", error
                continue
            except (EOFError, OSError, zlib.error) as error:  # damaged compressed data: nothing after it can be read
                yield f"line {number + 1}", error
                return
            if not line:
                return
            if line.strip():
                yield f"line {number}", row


def _begins_with_bracket(path: Path) -> bool:
    """Whether a file begins like a JSON array."""
    with open_text(path) as text:
        start = text.read(1)
        while start.isspace():
            start = text.read(1)
    return start == "["


def _rows_of_array(path: Path) -> Iterator[tuple[str, Any]]:
    """("session 3", object) of each element of an array."""
    try:
        with open_text(path) as text:
            data = text.read(MAX_ARRAY + 1)
        if len(data) > MAX_ARRAY:
            raise PreferenceError(f"{path}: is an array of more than {MAX_ARRAY:,} characters; write a session a line")
        _check_values(data)
        rows = json.loads(data)
    except (ValueError, RecursionError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, PreferenceError):
            raise
        raise PreferenceError(f"{path}: begins like a JSON array, but {error}") from error
    for number, row in enumerate(rows, 1):
        yield f"session {number}", row


def _harmonization_score(sequence: dict) -> Score:
    """All voices of a quantized NoteSequence; missing fields are 0, as in protocol buffers."""
    steps_per_beat = int(sequence.get("quantizationInfo", {}).get("stepsPerQuarter", 4))
    if steps_per_beat != TICKS_PER_BEAT // TICKS_PER_STEP:
        raise ValueError(f"stepsPerQuarter must be 4, got {steps_per_beat}")
    rows = [
        (note.get("pitch", 0), note.get("quantizedStartStep", 0), note.get("quantizedEndStep", 0))
        for note in sequence["notes"]
    ]
    tempos = sequence.get("tempos") or [{}]
    return _score_from_steps(rows, float(tempos[0].get("qpm", TEMPO_BPM)), MAX_STEPS)


def _score_from_steps(rows: list, tempo_bpm: float, max_steps: int) -> Score:
    """A score of rows [pitch, start step, end step]; its length is a multiple of two bars."""
    steps = [(int(pitch), int(start), int(end)) for pitch, start, end in rows]
    if not steps:
        raise ValueError("holds no note")
    last = max(end for _, _, end in steps)
    if last > max_steps:
        raise ValueError(f"ends after {max_steps} steps")
    notes = [(start * TICKS_PER_STEP, (end - start) * TICKS_PER_STEP, pitch, VELOCITY) for pitch, start, end in steps]
    return Score(notes, tempo_bpm=tempo_bpm, length_ticks=-(-last // STEPS) * STEPS * TICKS_PER_STEP)


def _session_count(row: dict) -> tuple[int, str]:
    """Number of sessions that entered a melody, and the source of the count."""
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
