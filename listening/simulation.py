"""Simulated listeners of a known taste, who vote, play and like through the tables of a database.

They stand in for people where the way from votes to a rating is tested: what is fitted to their votes can be compared
with their taste. They say nothing about people.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toccata.listening.schema import ATTENTION_SOURCE, SCHEMA, VERSION
from toccata.music.metrics import METRICS
from toccata.music.score import Score
from toccata.music.skyline import skyline

WEIGHTS = np.array([0.7, 0.4, 0.5])  # of `taste_features`, on average over listeners
WEIGHT_SPREAD = 0.3  # standard deviation of a listener's weights about these
PERSONAL_SD = 0.5  # of what a listener likes about a piece that no feature says
DISCRIMINATION = 1.5  # log-odds of a choice for a difference of 1 in liking
TIE_THRESHOLD = 0.3  # log-odds of Rao & Kupper's model of ties: 15 % of votes between equally liked pieces
LIKE_LOG_ODDS = -1.0  # of a like for a piece of taste 0: 27 %
STEP = 2  # semitones: the largest interval of conjunct motion
PREFERRED_DENSITY = 2.0  # notes a beat
VOTE_SECONDS = 20.0


def taste_features(score: Score) -> np.ndarray:
    """(3,) what simulated listeners hear, each about 0 and 1 in mean and spread over pieces of the priors.

    The share of steps (1 or 2 semitones) among the intervals of the skyline; scale consistency (Mogren 2016); and how
    near the density is to `PREFERRED_DENSITY`, in octaves of it: 1 at it, 0 at half or twice as many notes a beat. None
    changes with the key or the tempo: a rating is fitted to pieces in other keys and tempi, so it cannot tell them.
    """
    intervals = np.abs(np.diff(skyline(score).notes["pitch"].astype(np.int64)))
    steps = np.count_nonzero((intervals >= 1) & (intervals <= STEP)) / max(len(intervals), 1)
    density = max(METRICS["note_density"](score), PREFERRED_DENSITY / 16)
    return np.array(
        [
            (steps - 0.45) / 0.18,
            (METRICS["scale_consistency"](score) - 0.9) / 0.08,
            1 - abs(np.log2(density / PREFERRED_DENSITY)),
        ]
    )


def taste(score: Score) -> float:
    """How well a piece is liked on average: `WEIGHTS @ taste_features(score)`; of music of the priors about -2 to 2."""
    return float(WEIGHTS @ taste_features(score))


@dataclass(frozen=True, eq=False)
class SimulatedListener:
    """A listener who prefers what suits a taste of its own.

    Args:
        weights: (3,) of `taste_features`.
        attentive: False for one who answers at random.
        rng: of all its answers.
    """

    weights: np.ndarray
    attentive: bool
    rng: np.random.Generator

    @classmethod
    def drawn(cls, seed: int, inattentive: float = 0.0) -> SimulatedListener:
        """A listener with weights drawn about `WEIGHTS`, who is inattentive with that probability."""
        rng = np.random.default_rng(seed)
        weights = WEIGHTS * (1 + WEIGHT_SPREAD * rng.normal(size=len(WEIGHTS)))
        return cls(weights, bool(rng.random() >= inattentive), rng)

    def liking(self, features: np.ndarray) -> float:
        """How much it likes a piece with these features now, with what no feature says."""
        return float(self.weights @ features + PERSONAL_SD * self.rng.normal())

    def choose(self, first: np.ndarray, second: np.ndarray, may_tie: bool = True) -> str:
        """Choose "first", "second" or "tie" between pieces with these features.

        The model of Bradley & Terry with ties (Rao & Kupper 1967, "Ties in paired-comparison experiments").
        """
        if not self.attentive:
            return str(self.rng.choice(["first", "second"]))
        difference = DISCRIMINATION * (self.liking(first) - self.liking(second)) + self.rng.logistic()
        if may_tie and abs(difference) < TIE_THRESHOLD:
            return "tie"
        return "first" if difference > 0 else "second"

    def likes(self, features: np.ndarray) -> bool:
        """Whether it likes a piece with these features."""
        log_odds = LIKE_LOG_ODDS + DISCRIMINATION * self.liking(features) if self.attentive else LIKE_LOG_ODDS
        return bool(self.rng.logistic() < log_odds)


def new_database(path: Path, pieces: Mapping[Path, tuple[str, bool]]) -> None:
    """Make a database with pieces and without listeners.

    Args:
        path: of the file, which must not exist.
        pieces: MIDI files, with the name of their source and whether a person wrote them.
    """
    connection = sqlite3.connect(path)
    with connection:
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        for number, (file, (source, by_person)) in enumerate(pieces.items()):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            row = (number, digest, source, str(file), int(by_person), None, Score.from_midi(file).length_seconds)
            connection.execute("INSERT OR IGNORE INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()


@dataclass(frozen=True)
class Question:
    """What a listener is asked of two pieces, by their ids."""

    kind: str  # "better" or "person"
    first: int
    second: int
    right: str | None = None  # of an attention check


@dataclass(frozen=True)
class Programme:
    """What simulated listeners can be asked about.

    Args:
        pieces: ids of the pieces.
        people: those of them that a person wrote.
        spoilt: ids of pieces that are in attention checks only.
        person_every: every so manieth question is which of two a person wrote, where there are pieces of both.
        check_every: every so manieth question is an attention check, where there are spoilt pieces: one of them beside
            another piece, which is the right answer.
    """

    pieces: tuple[int, ...]
    people: tuple[int, ...]
    spoilt: tuple[int, ...]
    person_every: int = 10
    check_every: int = 12

    def question(self, number: int, rng: np.random.Generator) -> Question:
        """The `number`-th question, from 1 on, of pieces drawn uniformly, in random order."""
        kind, right = "better", None
        machines = tuple(piece for piece in self.pieces if piece not in self.people)
        if self.spoilt and number % self.check_every == 0:
            chosen = [rng.choice(self.pieces), rng.choice(self.spoilt)]
            right = "first"
        elif self.people and machines and number % self.person_every == 0:
            chosen = [rng.choice(self.people), rng.choice(machines)]
            kind = "person"
        else:
            chosen = list(rng.choice(self.pieces, 2, replace=False))
        first, second = (int(piece) for piece in chosen)
        if rng.random() < 0.5:
            first, second, right = second, first, right and "second"
        return Question(kind, first, second, right)


def simulate(path: Path, listeners: Sequence[SimulatedListener], votes: int, plays: int, seed: int = 0) -> None:
    """Let listeners join a database, vote on pairs drawn uniformly, play pieces of the radio and like some.

    Which of two a person wrote they answer with the one that they like better.

    Args:
        path: of a database with pieces whose files are MIDI.
        listeners: who join it.
        votes: answers of each, attention checks included.
        plays: of each, of different pieces; all pieces where there are fewer.
        seed: of what they are asked.
    """
    rng = np.random.default_rng([seed, 1])
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT id, file, source, by_person FROM pieces ORDER BY id").fetchall()
        features = {number: taste_features(Score.from_midi(file)) for number, file, _, _ in rows}
        programme = Programme(
            tuple(number for number, _, source, _ in rows if source != ATTENTION_SOURCE),
            tuple(number for number, _, source, person in rows if person and source != ATTENTION_SOURCE),
            tuple(number for number, _, source, _ in rows if source == ATTENTION_SOURCE),
        )
        before = connection.execute("SELECT COUNT(*) FROM listeners").fetchone()[0]
        with connection:
            for index, listener in enumerate(listeners, before):
                name = hashlib.sha256(f"{seed} {index}".encode()).hexdigest()[:32]
                connection.execute("INSERT INTO listeners VALUES (?, '2026-01-01')", (name,))
                asked = [programme.question(number, rng) for number in range(1, votes + 1)]
                _vote(connection, name, listener, asked, features)
                for piece in rng.permutation(programme.pieces)[:plays].tolist():
                    connection.execute("INSERT INTO plays VALUES (?, ?, ?)", (f"{name}-{piece}", name, piece))
                    if listener.likes(features[piece]):
                        connection.execute("INSERT INTO likes VALUES (?, ?)", (name, piece))
    finally:
        connection.close()


def _vote(
    connection: sqlite3.Connection,
    name: str,
    listener: SimulatedListener,
    asked: Sequence[Question],
    features: Mapping[int, np.ndarray],
) -> None:
    """Write what a listener was asked and answered."""
    for number, each in enumerate(asked):
        pair = f"{name}-{number}"
        choice = each.right if each.right and listener.attentive else None  # what is spoilt is heard at once
        choice = choice or listener.choose(features[each.first], features[each.second], each.kind == "better")
        connection.execute(
            "INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?)", (pair, name, each.kind, each.first, each.second, each.right)
        )
        connection.execute("INSERT INTO votes VALUES (?, ?, ?)", (pair, choice, VOTE_SECONDS))
