"""Encoding of scores as actions, and decoding of actions to scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from toccata.envs.dynamics import DURATION, ONSET, Dynamics
from toccata.envs.instrument import VELOCITY, Piano
from toccata.music.reduction import reduce_to_two_hands
from toccata.music.score import TICKS_PER_BEAT, Score


@dataclass(frozen=True)
class EncodeReport:
    """Counts of the notes that an encoding changed.

    Attributes:
        notes: notes of the score.
        dropped: notes that are not played.
        shortened: notes that are played with a shorter duration.
        lengthened: notes that are played with a longer duration, because durations are multiples of the instrument's
            shortest value.
        moved: notes that are played at another tick, for the same reason.
        score: the score as the instrument plays it. `play` returns it; of a piano without velocities it returns
            velocity 80, and this score has those that were written.
        other_velocity: notes that are played with another velocity, the nearest of the piano's; 0 of a piano without
            velocities, which plays none that is written.
    """

    notes: int
    dropped: int
    shortened: int
    lengthened: int
    moved: int
    score: Score
    other_velocity: int = 0

    @property
    def kept(self) -> float:
        """Share of the notes that are played, in [0, 1]; 1 for a score without notes."""
        return 1.0 - self.dropped / self.notes if self.notes else 1.0


def encode(score: Score, piano: Piano | None = None) -> tuple[np.ndarray, EncodeReport]:
    """Encode a score as actions of `piano`.

    Notes that two hands cannot hold are dropped or shortened, melody and bass last, and counted. Each note gets the
    longest of the instrument's values that fits. Gaps become rests, the longest first. Notes with one onset and one
    value that form a chord of the vocabulary become one action. A piano with velocities plays each note with the
    nearest of them, the softer of two that are equally near; notes of different velocities are no chord, but keys.

    Args:
        score: on any grid; a piano without velocities does not play its own.
        piano: the instrument; by default `Piano()`.

    Returns:
        actions: (steps, 2) int16, `(what, value)`, each legal when it is played; they end at the end of the score.
            Of a piano with velocities (steps, 3), `(what, value, velocity)`, where the velocity of rests is 0.
        report: counts of what was changed; `report.score` is the score that `play` returns. Its bars are those of
            `score.beats_per_bar`, counted from the beginning, also where the metre of the score changes.

    Raises:
        ValueError: for bars that are no whole number of ticks of a 24th of a quarter.
    """
    piano = piano or Piano()
    step = piano.values[0]
    reduced, _ = reduce_to_two_hands(
        _quantised(score, step),
        lowest=piano.lowest,
        highest=piano.highest,
        hand_span=piano.hand_span,
        fingers_per_hand=piano.fingers_per_hand,
        max_sounding=piano.max_sounding,
        values=piano.values,
    )
    report = _report(score, reduced, step)
    if piano.velocities is not None:
        notes = reduced.notes.copy()
        notes["velocity"] = np.array(piano.velocities)[_nearest_velocities(notes["velocity"], piano.velocities)]
        other_velocity = int((notes["velocity"] != reduced.notes["velocity"]).sum())
        report = replace(report, score=replace(reduced, notes=notes), other_velocity=other_velocity)
    return actions_of(report.score, piano), report


def actions_of(score: Score, piano: Piano) -> np.ndarray:
    """(steps, 2) int16, the actions of a score that the piano can play, such as `EncodeReport.score` or bars of it.

    Of a piano with velocities (steps, 3).

    Raises:
        KeyError, ValueError: for a duration and for a key that the piano does not have.
    """
    actions = np.array(list(_actions(score, piano)), np.int16).reshape(-1, 3)
    return actions[:, : len(piano.nvec)]


def velocities_of(scores: Iterable[Score], count: int) -> tuple[int, ...]:
    """Velocities for a `Piano`, so that each is the nearest of about as many notes of the scores: quantiles.

    They are the quantiles (k + 1/2) / count of the velocities of all notes, of which at most `count` differ.

    Args:
        scores: of which at least one has a note.
        count: of the velocities, 1 or more.

    Raises:
        ValueError: for another count, and for scores without notes.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    velocities = np.concatenate([np.empty(0, np.int64), *(score.notes["velocity"] for score in scores)])
    if not len(velocities):
        raise ValueError("there are no velocities: none of the scores has a note")
    quantiles = np.quantile(velocities, (np.arange(count) + 0.5) / count, method="inverted_cdf")
    return tuple(np.unique(quantiles).astype(int).tolist())


def _nearest_velocities(written: np.ndarray, velocities: tuple[int, ...]) -> np.ndarray:
    """(notes,) indices of the nearest of the ascending velocities, the lower of two."""
    return np.abs(written.astype(np.int64)[:, None] - np.array(velocities)).argmin(axis=1)


def _nearest_ticks(ticks: np.ndarray, ticks_per_beat: int, step: int) -> np.ndarray:
    """Ticks rounded to the multiples of `step` on the grid of 24 a beat, halves up."""
    scale = ticks_per_beat * step
    return (2 * TICKS_PER_BEAT * ticks.astype(np.int64) + scale) // (2 * scale) * step


def _quantised(score: Score, step: int) -> Score:
    """The score in one metre, at 24 ticks a beat, with onsets, durations and length on multiples of `step`."""
    signatures = score.time_signatures if len(score.time_signatures) == 1 else ()  # such as 6/8
    if score.ticks_per_beat == TICKS_PER_BEAT and step == 1:
        return replace(score, time_signatures=signatures)
    notes = score.notes.copy()
    for name in ("onset_tick", "duration_ticks"):
        notes[name] = _nearest_ticks(notes[name], score.ticks_per_beat, step)
    notes["duration_ticks"] = np.maximum(notes["duration_ticks"], step)
    end = int((notes["onset_tick"] + notes["duration_ticks"]).max(initial=0))
    length = -(-score.length_ticks * TICKS_PER_BEAT // (score.ticks_per_beat * step)) * step
    return Score(notes, TICKS_PER_BEAT, score.beats_per_bar, score.tempo_bpm, max(end, length), signatures)


def _report(score: Score, reduced: Score, step: int) -> EncodeReport:
    """The differences between `score` and `reduced`."""
    onsets = _nearest_ticks(score.notes["onset_tick"], score.ticks_per_beat, step).tolist()
    written: dict[tuple[int, int], tuple[int, int]] = {}  # grid onset, pitch -> duration, onset of the longest
    for on_grid, (onset, duration, pitch, _) in zip(onsets, score.notes.tolist(), strict=True):
        note = duration * TICKS_PER_BEAT, onset * TICKS_PER_BEAT  # in a unit that divides the ticks of both grids
        written[on_grid, pitch] = max(note, written.get((on_grid, pitch), note))
    shortened = lengthened = moved = 0
    for onset, duration, pitch, _ in reduced.notes.tolist():
        written_duration, written_onset = written[onset, pitch]
        shortened += duration * score.ticks_per_beat < written_duration
        lengthened += duration * score.ticks_per_beat > written_duration
        moved += onset * score.ticks_per_beat != written_onset
    return EncodeReport(len(score), len(score) - len(reduced), shortened, lengthened, moved, reduced)


def _actions(score: Score, piano: Piano) -> Iterator[tuple[int, int, int]]:
    """The actions of a score that the piano can play; their velocities are 0 if it has none."""
    value_index = {value: i for i, value in enumerate(piano.values)}
    notes = score.notes.tolist()
    velocities = _nearest_velocities(score.notes["velocity"], piano.velocities or (VELOCITY,)).tolist()
    clock = 0
    i = 0
    while i < len(notes):
        onset = notes[i][0]
        yield from _rests(onset - clock, piano.values)
        clock = onset
        end = i
        while end < len(notes) and notes[end][0] == onset:
            end += 1
        while i < end:
            size, what = _longest_chord(notes, velocities, i, end, piano)
            yield what, value_index[notes[i][1]], velocities[i]
            i += size
    yield from _rests(score.length_ticks - clock, piano.values)


def _longest_chord(notes: list, velocities: list[int], first: int, end: int, piano: Piano) -> tuple[int, int]:
    """The number of notes from `first` on that one action plays, as many as possible, and its `what`."""
    for size in (4, 3):
        last = first + size
        if (
            last <= end
            and all(note[1] == notes[first][1] for note in notes[first:last])
            and len(set(velocities[first:last])) == 1
        ):
            what = piano.chord_index.get(tuple(note[2] for note in notes[first:last]))
            if what is not None:
                return size, what
    return 1, piano.key_of(notes[first][2])


def _rests(gap: int, values: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """The rests that fill `gap` ticks, the longest first."""
    for i in range(len(values) - 1, -1, -1):
        for _ in range(gap // values[i]):
            yield 0, i, 0
        gap %= values[i]


def play(
    actions: np.ndarray,
    piano: Piano | None = None,
    *,
    beats_per_bar: float = 4,
    tempo_bpm: float = 120.0,
) -> Score:
    """Decode actions to the score that they make on `piano`; without velocities every note has velocity 80.

    Args:
        actions: (steps, 2) integers, `(what, value)`, or (steps, 3) of a piano with velocities; the piece ends with the
            last rest or the last note.
        piano: the instrument; by default `Piano()`.
        beats_per_bar: quarter notes in a bar of the score.
        tempo_bpm: quarter notes a minute.

    Raises:
        ValueError: at the first action that is out of range or not legal when it is played, naming it.
    """
    piano = piano or Piano()
    actions = np.asarray(actions)
    columns = len(piano.nvec)
    if actions.ndim != 2 or actions.shape[1] != columns or not np.issubdtype(actions.dtype, np.integer):
        raise ValueError(f"actions must be integers of shape (steps, {columns}), got {actions.dtype} {actions.shape}")
    bad = ((actions < 0) | (actions >= piano.nvec)).any(axis=1)
    if bad.any():
        raise ValueError(f"action {actions[bad][0].tolist()} is outside 0..{[size - 1 for size in piano.nvec]}")
    rests = np.array(piano.values)[actions[:, 1]] * (actions[:, 0] == 0)
    dynamics = Dynamics(1, piano, max_steps=1)
    dynamics.begin(
        [0],
        ticks_per_bar=Score(beats_per_bar=beats_per_bar).ticks_per_bar,
        end_tick=int(rests.sum()) + piano.values[-1],  # no note of a legal piece is cut
    )
    for i, action in enumerate(actions.astype(np.int64)):
        tick = int(dynamics.states["clock"][0])
        if not dynamics.step(action[None])[0]:
            raise ValueError(f"action {i}, {piano.describe(action)}, is not legal at tick {tick}")
    notes = dynamics.notes[0, : dynamics.states["notes"][0]]
    end = int((notes[:, ONSET] + notes[:, DURATION]).max(initial=0))
    return dynamics.score(0, max(end, int(rests.sum())), tempo_bpm)
