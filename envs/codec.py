"""From a score to the actions that play it, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from toccata.envs.dynamics import DURATION, ONSET, Dynamics
from toccata.envs.instrument import Piano
from toccata.music.reduction import reduce_to_two_hands
from toccata.music.score import TICKS_PER_BEAT, Score


@dataclass(frozen=True)
class EncodeReport:
    """What became of a score's notes on the instrument.

    Attributes:
        notes: notes of the score.
        dropped: notes that are not played.
        shortened: notes that are played, but shorter than written.
        moved: notes that are played, but at another tick: the instrument's shortest value is its grid.
        score: the score as the instrument plays it; `play` gives it back, but for the velocities.
    """

    notes: int
    dropped: int
    shortened: int
    moved: int
    score: Score

    @property
    def kept(self) -> float:
        """Share of the notes that are played, in [0, 1]; 1 for a score without notes."""
        return 1.0 - self.dropped / self.notes if self.notes else 1.0


def encode(score: Score, piano: Piano | None = None) -> tuple[np.ndarray, EncodeReport]:
    """Spell a score as actions of `piano`.

    What two hands cannot hold is reduced, melody and bass first, and counted; each note gets the longest of the
    instrument's values that fits; gaps are waits, the longest first; struck notes of one value that make a chord of
    the vocabulary are struck as one.

    Args:
        score: on any grid; its velocities are not part of an action.
        piano: the instrument; by default `Piano()`.

    Returns:
        actions: (steps, 2) int16, `(what, value)`, each legal when it is played; they end where the score ends.
        report: what was lost; `report.score` is what `play` gives back.
    """
    piano = piano or Piano()
    notes = len(score)
    score, moved = _on_grid(score, piano.values[0])
    reduced, reduction = reduce_to_two_hands(
        score,
        lowest=piano.lowest,
        highest=piano.highest,
        hand_span=piano.hand_span,
        fingers_per_hand=piano.fingers_per_hand,
        max_sounding=piano.max_sounding,
        values=piano.values,
    )
    actions = list(_spell(reduced, piano))
    dropped = notes - len(reduced)  # with those that fell on one key and tick of a coarse grid
    report = EncodeReport(notes, dropped, reduction.shortened, moved, reduced)
    return np.array(actions, np.int16).reshape(-1, 2), report


def _on_grid(score: Score, step: int) -> tuple[Score, int]:
    """The score at 24 ticks a beat with onsets and length on multiples of `step`, and how many notes moved."""
    scale = TICKS_PER_BEAT / score.ticks_per_beat
    if scale == 1 and step == 1:
        return score, 0

    def nearest(ticks: np.ndarray) -> np.ndarray:
        return np.floor(ticks * scale / step + 0.5).astype(np.int64) * step

    notes = score.notes.copy()
    onset = nearest(notes["onset_tick"])
    moved = int((onset != notes["onset_tick"] * scale).sum())
    notes["onset_tick"] = onset
    notes["duration_ticks"] = np.maximum(nearest(notes["duration_ticks"]), step)
    end = int((notes["onset_tick"] + notes["duration_ticks"]).max(initial=0))
    length = max(end, int(np.ceil(score.length_ticks * scale / step)) * step)
    return Score(notes, TICKS_PER_BEAT, score.beats_per_bar, score.tempo_bpm, length), moved


def _spell(score: Score, piano: Piano) -> Iterator[tuple[int, int]]:
    """The actions of a score that the piano can play."""
    value_index = {value: i for i, value in enumerate(piano.values)}
    notes = score.notes.tolist()
    clock = 0
    i = 0
    while i < len(notes):
        onset = notes[i][0]
        yield from _waits(onset - clock, piano.values)
        clock = onset
        end = i
        while end < len(notes) and notes[end][0] == onset:
            end += 1
        while i < end:
            size, what = _longest_chord(notes, i, end, piano)
            yield what, value_index[notes[i][1]]
            i += size
    yield from _waits(score.length_ticks - clock, piano.values)


def _longest_chord(notes: list, first: int, end: int, piano: Piano) -> tuple[int, int]:
    """How many of the notes from `first` on one action strikes, and its `what`."""
    for size in (4, 3):
        last = first + size
        if last <= end and all(note[1] == notes[first][1] for note in notes[first:last]):
            what = piano.chord_index.get(tuple(note[2] for note in notes[first:last]))
            if what is not None:
                return size, what
    return 1, piano.key_of(notes[first][2])


def _waits(gap: int, values: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """The waits that fill `gap` ticks, the longest first."""
    for i in range(len(values) - 1, -1, -1):
        for _ in range(gap // values[i]):
            yield 0, i
        gap %= values[i]


def play(
    actions: np.ndarray,
    piano: Piano | None = None,
    *,
    beats_per_bar: float = 4,
    tempo_bpm: float = 120.0,
) -> Score:
    """The score that `actions` make on `piano`, every note at the piano's one velocity.

    Args:
        actions: (steps, 2) integers, `(what, value)`; the piece ends after the last wait, or with the last note.
        piano: the instrument; by default `Piano()`.
        beats_per_bar: quarter notes in a bar of the score.
        tempo_bpm: quarter notes a minute.

    Raises:
        ValueError: at the first action that is out of range or not legal where it is played, naming it.
    """
    piano = piano or Piano()
    actions = np.asarray(actions)
    if actions.ndim != 2 or actions.shape[1] != 2 or not np.issubdtype(actions.dtype, np.integer):
        raise ValueError(f"actions must be integers of shape (steps, 2), got {actions.dtype} {actions.shape}")
    bad = ((actions < 0) | (actions >= piano.nvec)).any(axis=1)
    if bad.any():
        raise ValueError(f"action {actions[bad][0].tolist()} is outside 0..{[size - 1 for size in piano.nvec]}")
    waits = np.array(piano.values)[actions[:, 1]] * (actions[:, 0] == 0)
    dynamics = Dynamics(1, piano, max_steps=1)
    dynamics.begin(
        [0],
        ticks_per_bar=Score(beats_per_bar=beats_per_bar).ticks_per_bar,
        end_tick=int(waits.sum()) + piano.values[-1],  # no note of a legal piece is cut
    )
    for i, action in enumerate(actions.astype(np.int64)):
        if not dynamics.step(action[None])[0]:
            raise ValueError(
                f"action {i}, {piano.describe(action)}, is not legal at tick {dynamics.states['clock'][0]}"
            )
    notes = dynamics.notes[0, : dynamics.states["notes"][0]]
    end = int((notes[:, ONSET] + notes[:, DURATION]).max(initial=0))
    return dynamics.score(0, max(end, int(waits.sum())), tempo_bpm)
