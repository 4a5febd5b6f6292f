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
        lengthened: notes that are played, but longer: the instrument's shortest value is its grid.
        moved: notes that are played, but at another tick, for the same reason.
        score: the score as the instrument plays it; `play` gives it back, but for the velocities.
    """

    notes: int
    dropped: int
    shortened: int
    lengthened: int
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
    step = piano.values[0]
    reduced, _ = reduce_to_two_hands(
        _on_grid(score, step),
        lowest=piano.lowest,
        highest=piano.highest,
        hand_span=piano.hand_span,
        fingers_per_hand=piano.fingers_per_hand,
        max_sounding=piano.max_sounding,
        values=piano.values,
    )
    actions = list(_spell(reduced, piano))
    return np.array(actions, np.int16).reshape(-1, 2), _report(score, reduced, step)


def _nearest(ticks: np.ndarray, ticks_per_beat: int, step: int) -> np.ndarray:
    """Ticks of a grid on the piano's: multiples of `step` of its 24 a beat, halves upward."""
    whole = ticks_per_beat * step
    return (2 * TICKS_PER_BEAT * ticks.astype(np.int64) + whole) // (2 * whole) * step


def _on_grid(score: Score, step: int) -> Score:
    """The score at 24 ticks a beat with onsets, durations and length on multiples of `step`."""
    if score.ticks_per_beat == TICKS_PER_BEAT and step == 1:
        return score
    notes = score.notes.copy()
    for name in ("onset_tick", "duration_ticks"):
        notes[name] = _nearest(notes[name], score.ticks_per_beat, step)
    notes["duration_ticks"] = np.maximum(notes["duration_ticks"], step)
    end = int((notes["onset_tick"] + notes["duration_ticks"]).max(initial=0))
    length = -(-score.length_ticks * TICKS_PER_BEAT // (score.ticks_per_beat * step)) * step
    return Score(notes, TICKS_PER_BEAT, score.beats_per_bar, score.tempo_bpm, max(end, length))


def _report(score: Score, reduced: Score, step: int) -> EncodeReport:
    """What became of the notes of `score` in `reduced`."""
    onsets = _nearest(score.notes["onset_tick"], score.ticks_per_beat, step).tolist()
    written: dict[tuple[int, int], tuple[int, int]] = {}  # grid onset, pitch -> duration, onset of the longest
    for on_grid, (onset, duration, pitch, _) in zip(onsets, score.notes.tolist(), strict=True):
        note = duration * TICKS_PER_BEAT, onset * TICKS_PER_BEAT  # a unit that both grids are multiples of
        written[on_grid, pitch] = max(note, written.get((on_grid, pitch), note))
    shortened = lengthened = moved = 0
    for onset, duration, pitch, _ in reduced.notes.tolist():
        written_duration, written_onset = written[onset, pitch]
        shortened += duration * score.ticks_per_beat < written_duration
        lengthened += duration * score.ticks_per_beat > written_duration
        moved += onset * score.ticks_per_beat != written_onset
    return EncodeReport(len(score), len(score) - len(reduced), shortened, lengthened, moved, reduced)


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
        tick = int(dynamics.states["clock"][0])
        if not dynamics.step(action[None])[0]:
            raise ValueError(f"action {i}, {piano.describe(action)}, is not legal at tick {tick}")
    notes = dynamics.notes[0, : dynamics.states["notes"][0]]
    end = int((notes[:, ONSET] + notes[:, DURATION]).max(initial=0))
    return dynamics.score(0, max(end, int(waits.sum())), tempo_bpm)
