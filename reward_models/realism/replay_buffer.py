"""Replay buffer of the agent's past pieces: a uniform sample of all that were added."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from toccata.music.score import NOTE_DTYPE, Score

CAPACITY = 1024  # pieces; of 8 bars, 2 MB


class ReplayBuffer:
    """At most `capacity` scores, sampled uniformly from all that were added.

    Source: Vitter 1985, "Random sampling with a reservoir", algorithm R.

    Attributes:
        scores: the sample.
        seen: how many were added.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.scores: list[Score] = []
        self.seen = 0

    def add(self, scores: Iterable[Score], rng: np.random.Generator) -> None:
        """Add scores; in a full buffer each replaces a random one with probability capacity / seen, else is dropped."""
        for score in scores:
            self.seen += 1
            if len(self.scores) < self.capacity:
                self.scores.append(score)
            elif (index := int(rng.integers(self.seen))) < self.capacity:
                self.scores[index] = score

    def arrays(self) -> dict[str, np.ndarray]:
        """The state as plain arrays; `from_arrays` is the inverse."""
        names = NOTE_DTYPE.names or ()
        notes = np.concatenate([np.empty(0, NOTE_DTYPE), *(score.notes for score in self.scores)])
        shapes = [(len(score), score.ticks_per_beat, score.ticks_per_bar, score.length_ticks) for score in self.scores]
        return {
            "notes": np.stack([notes[name].astype(np.int32) for name in names], axis=1),
            "shapes": np.array(shapes, np.int64).reshape(-1, 4),
            "tempos_bpm": np.array([score.tempo_bpm for score in self.scores], np.float64),
            "seen": np.array([self.seen, self.capacity], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> ReplayBuffer:
        """The buffer whose `arrays` these are.

        Raises:
            ValueError, KeyError: when these are not such arrays.
        """
        seen, capacity = (int(number) for number in arrays["seen"])
        replay = cls(capacity)
        replay.seen = seen
        ends = np.cumsum(arrays["shapes"][:, 0]).tolist()
        for shape, tempo_bpm, end in zip(arrays["shapes"].tolist(), arrays["tempos_bpm"].tolist(), ends, strict=True):
            count, ticks_per_beat, ticks_per_bar, length_ticks = shape
            notes = np.empty(count, NOTE_DTYPE)
            for name, column in zip(notes.dtype.names or (), arrays["notes"][end - count : end].T, strict=True):
                notes[name] = column
            replay.scores.append(Score(notes, ticks_per_beat, ticks_per_bar / ticks_per_beat, tempo_bpm, length_ticks))
        return replay
