"""A table of preferences: pieces, how often they were played and liked, and what was left out of the table."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from textwrap import shorten

import numpy as np

from toccata.errors import ToccataError
from toccata.music.score import Score
from toccata.music.sound.audio_files import AudioError, read_audio

SAMPLE_RATE = 16_000  # of loaded sound: what the rating network hears
LONGEST_EXAMPLE = 160  # characters of a row shown in a summary
MIDI_SUFFIXES = (".mid", ".midi", ".kar")

# Why a row is left out: fixed phrases, so that they can be counted.
NO_PLAYS = "no plays"
MORE_LIKES = "more likes than plays"
NEGATIVE = "negative count"
NOT_A_NUMBER = "count is not a number"
NO_FILE_NAME = "no file name"
MISSING_FILE = "missing file"
DUPLICATE = "duplicate"
UNREADABLE = "unreadable row"


class PreferenceError(ToccataError, ValueError):
    """Preference data that cannot be read or used; names the file, the row and the reason."""


def popularity(likes: float, plays: float) -> float:
    """How popular a piece is: `p = likes / plays * log(likes)`, the like rate weighed by how many liked it.

    The logarithm is natural. A piece liked by nobody has p = 0, the limit of x log x; one liked once has p = 0 too,
    since log 1 = 0: by this formula they cannot be told apart. Between them, where only fractional counts could
    lie, p is kept at 0 rather than below it, so that at a fixed number of plays p never falls with more likes.

    Args:
        likes: how many transcribers liked it, 0 <= likes <= plays.
        plays: how often it was played, above 0.

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
    """Why these counts have no popularity, None where they have one."""
    if not (math.isfinite(likes) and math.isfinite(plays)):
        return NOT_A_NUMBER
    if likes < 0 or plays < 0:
        return NEGATIVE
    if plays == 0:
        return NO_PLAYS
    return MORE_LIKES if likes > plays else None


@dataclass(frozen=True)
class Preference:
    """One piece, and how often people played and liked it.

    Args:
        name: how messages call it: its file, or "melodies.jsonl, line 3".
        plays: how often it was played, above 0.
        likes: how many liked it, 0..plays.
        genre: in the source's own words, where known.
        split: "train", "valid" or "test", where the source says so.
        group: pieces of one group stay on one side of every split: an artist, versions of one song. By default
            the contour of `score`, or `file` itself.
        source: which kind of count it is, where a source mixes several; reports split their figures by it.
        file: MIDI or sound file that holds the piece; either this or `score` is given.
        score: the piece.

    Raises:
        PreferenceError: for counts without a popularity, or unless one of `file` and `score` is given.
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
        """The piece's p; see the function `popularity`."""
        return popularity(self.likes, self.plays)

    def load(self, seconds: float | None = None) -> Score | np.ndarray:
        """The piece itself.

        Args:
            seconds: at most so much, from the middle; of a score, from the last bar line before.

        Returns:
            A `Score` with notes, from `score` or a MIDI file; or, from any other file, (samples,) float32 mono at
            `SAMPLE_RATE`, at least one sample, finite.

        Raises:
            PreferenceError: naming the file, when it is unreadable, empty, or holds no note or samples that are not
                finite.
        """
        if self.score is not None:
            return _middle(self.score, seconds)
        assert self.file is not None  # __post_init__ saw to it
        try:
            if not _is_midi(self.file):
                return read_audio(self.file, SAMPLE_RATE, seconds)
            score = Score.from_midi(self.file)
        except AudioError as error:
            raise PreferenceError(str(error)) from error
        except OSError as error:
            raise PreferenceError(f"{self.file}: {error.strerror or error}") from error
        except ValueError as error:
            raise PreferenceError(str(error)) from error
        if not len(score):
            raise PreferenceError(f"{self.file}: holds no note")
        return _middle(score, seconds)


@dataclass(frozen=True)
class LeftOut:
    """A row that gave no preference."""

    name: str
    """Where it stands: "row 4: song.wav"."""
    reason: str
    """One of this module's phrases, or a phrase of a source's own."""
    detail: str = ""
    """What was found there."""

    def __str__(self) -> str:
        text = f"{self.name}: {self.detail}" if self.detail else self.name
        return shorten(text, LONGEST_EXAMPLE, placeholder=" ...")  # a broken row may hold lines, or half a file


@dataclass(frozen=True)
class PreferenceTable:
    """What a source gave."""

    preferences: tuple[Preference, ...]
    left_out: tuple[LeftOut, ...] = ()
    merged: int = 0
    """Rows whose counts were added to those of another row of the same piece."""

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.preferences)

    def summary(self) -> str:
        """One line: how many pieces, how many rows were left out, why, and the first example of each reason."""
        text = f"{len(self)} piece{'' if len(self) == 1 else 's'}"
        if self.merged:
            text += f"; {self.merged} more rows added to them"
        if self.left_out:
            first = {row.reason: row for row in reversed(self.left_out)}
            counts = Counter(row.reason for row in self.left_out)
            reasons = (f"{count} {reason} ({first[reason]})" for reason, count in counts.most_common())
            text += f"; left out {len(self.left_out)}: {', '.join(reasons)}"
        return text


def contour(score: Score) -> str:
    """The highest line's ups (u), downs (d) and repeats (r): its Parsons code.

    Two melodies of one contour belong on one side of a split: transpositions, other rhythms, major and minor
    versions, and misremembered leaps all share it. Comparing the intervals themselves would keep only the first two
    together. The highest line is made of the notes above which nothing sounds when they are struck.
    """
    line: list[int] = []
    sounding: list[tuple[int, int]] = []  # (offset tick, pitch) of notes struck before
    onset, offset, pitch = score.notes["onset_tick"], score.offset_ticks, score.notes["pitch"]
    tops = np.append(np.flatnonzero(np.diff(onset)), len(onset) - 1) if len(onset) else np.empty(0, int)
    for top in tops.tolist():  # of notes struck together the highest comes last
        sounding = [(end, other) for end, other in sounding if end > onset[top]]
        if all(other < pitch[top] for _, other in sounding):
            line.append(int(pitch[top]))
        sounding.append((int(offset[top]), int(pitch[top])))
    return "".join("dru"[step] for step in (1 + np.sign(np.diff(line))).astype(int).tolist())


def _middle(score: Score, seconds: float | None) -> Score:
    """At most `seconds` of a score, around its middle, beginning at a bar line."""
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
        return file.read(4) == b"MThd"
