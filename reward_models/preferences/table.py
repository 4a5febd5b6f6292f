"""A table of preferences: pieces with their plays and likes, and the rows that were left out."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import numpy as np

from toccata.errors import ToccataError, printable
from toccata.music.corpus.parsing import MIDI_SUFFIXES
from toccata.music.midi import MidiError
from toccata.music.score import Score
from toccata.music.sound.audio_files import AudioError, read_audio
from toccata.music.sound.spectrogram import SAMPLE_RATE

LONGEST_EXAMPLE = 160  # characters of a row shown in a summary
LONGEST_NAME = 300  # characters of a cell that are kept in the name or the detail of a row
MAX_EXAMPLES = 10_000  # rows left out that are kept with name and detail, others only with the reason

# Why a row is left out: fixed phrases, so that they can be counted.
NO_PLAYS = "no plays"
MORE_LIKES = "more likes than plays"
NEGATIVE = "negative count"
NOT_A_NUMBER = "count is not a number"
NO_FILE_NAME = "no file name"
MISSING_FILE = "missing file"
OUTSIDE = "outside the folder"
DUPLICATE = "duplicate"
UNREADABLE = "unreadable row"


class PreferenceError(ToccataError, ValueError):
    """Preference data that cannot be read or used; names the file, the row and the reason."""


def popularity(likes: float, plays: float) -> float:
    """Popularity of a piece: `p = likes / plays * log(likes)`, the like rate weighted by the log of the likes.

    The logarithm is natural. No like gives p = 0, the limit of x log x, and one like gives p = 0 too, since log 1 = 0.
    Fractional counts in between also give 0, where the formula is negative, so that p never falls with more likes at
    a fixed number of plays.

    Args:
        likes: number of likes, 0 <= likes <= plays.
        plays: number of plays, above 0.

    Returns:
        p, in 0..log(plays) (0 where plays < 1).

    Raises:
        PreferenceError: for counts out of range or not finite.
    """
    reason = count_problem(likes, plays)
    if reason:
        raise PreferenceError(f"{reason}: needs 0 <= likes <= plays and plays > 0, got {likes} likes, {plays} plays")
    return likes / plays * math.log(max(likes, 1.0))


def count_problem(likes: float, plays: float) -> str | None:
    """Why these counts have no popularity; None where they have one."""
    if not (math.isfinite(likes) and math.isfinite(plays)):
        return NOT_A_NUMBER
    if likes < 0 or plays < 0:
        return NEGATIVE
    if plays == 0:
        return NO_PLAYS
    return MORE_LIKES if likes > plays else None


@dataclass(frozen=True)
class Preference:
    """A piece with its plays and likes.

    Args:
        name: used in messages: its file, or "melodies.jsonl, line 3".
        plays: number of plays, above 0; or 0 of a piece of which only votes on pairs are known.
        likes: number of likes, 0..plays.
        genre: as the source writes it; None where it has none.
        split: "train", "valid" or "test"; None where the source has none.
        group: pieces of one group are held out together: those of an artist, versions of a song.
            By default the contour of `score`, or the name of `file`.
        source: kind of count, where a data set mixes several; reports give figures for each.
        file: MIDI or sound file that holds the piece; either this or `score` is given.
        score: the piece.

    Raises:
        PreferenceError: for counts without a popularity, or unless exactly one of `file` and `score` is given.
    """

    name: str
    plays: float
    likes: float
    genre: str | None = None
    split: str | None = None
    group: str = ""
    source: str | None = None
    file: Path | None = None
    score: Score | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.score is None):
            raise PreferenceError(f"{self.name}: needs either a file or a score")
        if not self.group:
            group = str(self.file) if self.score is None else f"contour {contour(self.score)}"
            object.__setattr__(self, "group", group)
        _ = self.popularity  # raises for counts that have none

    @property
    def popularity(self) -> float:
        """Popularity p of the piece; see the function `popularity`. NaN without plays and likes."""
        return popularity(self.likes, self.plays) if self.plays or self.likes else math.nan

    def load(self, seconds: float | None = None) -> Score | np.ndarray:
        """Read the piece.

        Args:
            seconds: longest excerpt, cut from the middle; of a score, from the bar line before it. None for all of it.

        Returns:
            A `Score` with notes, from `score` or a MIDI file; or, from any other file, (samples,) float32 mono at
            the sample rate of the log-mel spectrogram, at least one sample, finite.

        Raises:
            PreferenceError: naming the file, when it is unreadable, empty, or holds no note or samples that are not
                finite.
        """
        if self.score is not None:
            return _crop_to_middle(self.score, seconds)
        assert self.file is not None  # checked by __post_init__
        try:
            if not _is_midi(self.file):
                return read_audio(self.file, SAMPLE_RATE, seconds)
            score = Score.from_midi(self.file)
        except (AudioError, MidiError) as error:
            raise PreferenceError(str(error)) from error
        except OSError as error:
            raise PreferenceError(f"{self.file}: {error.strerror or error}") from error
        if not len(score):
            raise PreferenceError(f"{self.file}: holds no note")
        return _crop_to_middle(score, seconds)


@dataclass(frozen=True)
class LeftOut:
    """A row that gave no preference."""

    name: str
    """The row in its file: "row 4: song.wav"."""
    reason: str
    """One of this module's phrases, or one of the reader of a data set."""
    detail: str = ""
    """The values that were refused."""

    def __str__(self) -> str:
        text = printable(f"{self.name}: {self.detail}" if self.detail else self.name)
        return shorten(text, LONGEST_EXAMPLE, placeholder=" ...")  # a broken row may hold lines, or half a file


class LeftOutRows:
    """Collects rows that give no preference. Of many rows all are counted, the first keep their names and details."""

    def __init__(self) -> None:
        self.rows: list[LeftOut] = []
        self._further: dict[str, LeftOut] = {}  # by reason: one object for all further rows

    def add(self, name: str, reason: str, detail: str = "") -> None:
        """Record a row; see `LeftOut`."""
        if len(self.rows) < MAX_EXAMPLES:
            self.rows.append(LeftOut(name[:LONGEST_NAME], reason, detail[:LONGEST_NAME]))
        else:
            self.rows.append(self._further.setdefault(reason, LeftOut("further row", reason)))


class Pair(NamedTuple):
    """A vote on two pieces of a table."""

    first: int
    """Index of a piece in `PreferenceTable.preferences`."""
    second: int
    """Index of the other."""
    share: float
    """1 where the first was preferred, 0 where the second was, 0.5 for a tie."""


@dataclass(frozen=True)
class PreferenceTable:
    """The preferences of a data set."""

    preferences: tuple[Preference, ...]
    left_out: tuple[LeftOut, ...] = ()
    merged: int = 0
    """Rows whose counts were added to those of another row of the same piece."""
    pairs: tuple[Pair, ...] = ()
    """Votes on pairs of the pieces."""

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.preferences)

    def summary(self) -> str:
        """One line: how many pieces, how many rows were left out, why, and the first example of each reason."""
        text = f"{len(self)} piece{'' if len(self) == 1 else 's'}"
        if self.merged:
            text += f"; {self.merged} more rows added to them"
        if self.pairs:
            text += f"; {len(self.pairs)} votes on pairs of them"
        if self.left_out:
            first = {row.reason: row for row in reversed(self.left_out)}
            counts = Counter(row.reason for row in self.left_out)
            reasons = (f"{count} {reason} ({first[reason]})" for reason, count in counts.most_common())
            text += f"; left out {len(self.left_out)}: {', '.join(reasons)}"
        return text


def contour(score: Score) -> str:
    """Parsons code of the highest line: up (u), down (d) or repeat (r) for each note after the first.

    It is the same for transpositions, other rhythms, major and minor versions, and leaps of another size, so that
    versions of a melody share a group. Intervals would be the same for the first two only. The highest line consists
    of the notes that have no sounding note above them at their onset.
    """
    line: list[int] = []
    sounding: list[tuple[int, int]] = []  # (offset tick, pitch) of earlier notes
    onset, offset, pitch = score.notes["onset_tick"], score.offset_ticks, score.notes["pitch"]
    tops = np.append(np.flatnonzero(np.diff(onset)), len(onset) - 1) if len(onset) else np.empty(0, int)
    for top in tops.tolist():  # the highest note of an onset is its last
        sounding = [(end, other) for end, other in sounding if end > onset[top]]
        if all(other < pitch[top] for _, other in sounding):
            line.append(int(pitch[top]))
        sounding.append((int(offset[top]), int(pitch[top])))
    return "".join("dru"[step] for step in (1 + np.sign(np.diff(line))).astype(int).tolist())


def _crop_to_middle(score: Score, seconds: float | None) -> Score:
    """At most `seconds` of a score, around its middle, from a bar line on."""
    if seconds is None or score.length_seconds <= seconds:
        return score
    ticks = max(1, int(seconds / score.seconds_per_tick))
    start = (score.length_ticks - ticks) // 2
    start -= start % score.ticks_per_bar
    return score.slice(start, start + ticks)


def _is_midi(path: str | PathLike[str]) -> bool:
    path = Path(path)
    if path.suffix.lower() in MIDI_SUFFIXES:
        return True
    with path.open("rb") as file:
        start = file.read(12)
    return start.startswith(b"MThd") or (start[:4], start[8:]) == (b"RIFF", b"RMID")
