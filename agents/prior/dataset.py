"""The dataset of a prior: passages of real music of every metre and genre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.core import GENRES
from toccata.envs.excerpts import EDGE_SHARE, TRANSPOSITION
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.score import TICKS_PER_BEAT, Score

USUAL_SHARE = 0.5  # of the passages have the length that is asked for; the others teach every length
SHORTEST_BARS, LONGEST_BARS = 4, 64  # of those others; their lengths are even on a logarithmic scale
GENRE_POWER = 0.5  # by notes alone classical would be nearly all there is, by genre a few dances would wear out
WORK_POWER = 0.75  # a long work has more to hear, but the short ones are the more different ones
WHOLE_PASSAGES = 4  # of a work that `whole` takes: the longest works would else decide what is measured


class PassageDataset:
    """Draws passages of the works of a corpus, encoded for a piano, each in its work's own metre and tempo.

    Args:
        corpus: its genres must be among `toccata.envs.core.GENRES`. Works without notes on the keyboard are left
            out, and those whose bar is no multiple of the piano's shortest value.
        bars: the usual length of a passage, in bars of its work.
        piano: the instrument.
        max_steps: passages that take more actions lose bars at their end, until they fit or have one bar.

    Raises:
        ValueError: for a genre that is not known, and when no work is left.
    """

    def __init__(self, corpus: Corpus, bars: int = 8, piano: Piano | None = None, *, max_steps: int = 512) -> None:
        if bars < 1 or max_steps < 1:
            raise ValueError(f"bars and max_steps must be at least 1, got {bars} and {max_steps}")
        unknown = next((work for work in corpus if work.genre not in GENRES), None)
        if unknown is not None:
            raise ValueError(f"{unknown.id}: its genre {unknown.genre!r} must be one of {', '.join(GENRES)}")
        self.bars = bars
        self.piano = piano or Piano()
        self.max_steps = max_steps
        shortest = self.piano.values[0]
        self.works = tuple(
            work
            for work in corpus
            if self._can_play(work.score) and work.score.beats_per_bar * TICKS_PER_BEAT % shortest == 0
        )
        if not self.works:
            raise ValueError(
                f"none of the {len(corpus)} works of corpus {corpus.name} has notes on the keyboard in a playable metre"
            )
        self._bars = tuple(_BarLines.of(work) for work in self.works)
        notes = np.array([len(work.score) for work in self.works], np.float64)
        self._chances = np.zeros(len(self.works))
        for genre in sorted({work.genre for work in self.works}):
            own = np.array([work.genre == genre for work in self.works])
            weights = np.where(own, notes**WORK_POWER, 0.0)
            self._chances += notes[own].sum() ** GENRE_POWER * weights / weights.sum()
        self._chances /= self._chances.sum()

    def _can_play(self, score: Score) -> bool:
        pitch = score.notes["pitch"]
        return bool(((pitch >= self.piano.lowest) & (pitch <= self.piano.highest)).any())

    def sample(self, count: int, rng: np.random.Generator, *, transpose: bool = True) -> list[Piece]:
        """`count` passages at random places and, if `transpose`, in random keys.

        A genre is drawn by the root of its notes, a work in it by its notes ** 0.75. About half of the passages
        have the usual length; a quarter each begin where their work does and end where it does.
        """
        drawn = rng.choice(len(self.works), count, p=self._chances)
        return [self._draw(int(index), rng, transpose) for index in drawn]

    def whole(self) -> list[Piece]:
        """The first passages of every work, as written, of the usual length and in order: always the same."""
        pieces = []
        for work, lines in zip(self.works, self._bars, strict=True):
            start = int(lines.starts[0])
            for _ in range(WHOLE_PASSAGES):
                if start >= lines.count:
                    break
                end = min(start + self.bars, lines.count)
                piece = self._encode(work, start, end, 0)
                if len(piece.score):
                    pieces.append(piece)
                start = end
        return pieces

    def _draw(self, index: int, rng: np.random.Generator, transpose: bool) -> Piece:
        """A passage of one work."""
        work, lines = self.works[index], self._bars[index]
        bars = self.bars
        if rng.random() >= USUAL_SHARE:
            bars = round(np.exp(rng.uniform(np.log(SHORTEST_BARS), np.log(LONGEST_BARS))))
        starts, count, steps = lines.starts, lines.count, lines.steps
        edge = rng.random()
        if edge < EDGE_SHARE:
            start = starts[0]
        elif edge < 2 * EDGE_SHARE:
            fitting = starts[(starts + bars >= count) & (steps[-1] - steps[starts] <= self.max_steps)]
            start = fitting[0] if len(fitting) else starts[-1]
        else:
            fitting = starts[starts + bars <= count]
            start = rng.choice(fitting) if len(fitting) else starts[0]
        fits = int(np.searchsorted(steps, steps[start] + self.max_steps, side="right")) - 1
        end = max(start + 1, min(start + bars, count, fits))
        low, high = self._keys_around(work, int(start), int(end)) if transpose else (0, 0)
        return self._encode(work, int(start), int(end), int(rng.integers(low, high + 1)))

    def _keys_around(self, work: Work, start: int, end: int) -> tuple[int, int]:
        """The lowest and highest transposition in semitones that leaves every note of some bars on the keyboard."""
        bar, notes = work.score.ticks_per_bar, work.score.notes
        first, last = np.searchsorted(notes["onset_tick"], [start * bar, end * bar])
        pitch = notes["pitch"][first:last]
        if not len(pitch):
            return 0, 0
        low = max(-TRANSPOSITION, self.piano.lowest - int(pitch.min()))
        high = min(TRANSPOSITION, self.piano.highest - int(pitch.max()))
        return (low, high) if low <= high else (0, 0)

    def _encode(self, work: Work, start: int, end: int, semitones: int) -> Piece:
        """The bars `start` to `end` of a work, or as many of them as `max_steps` actions hold."""
        bar = work.score.ticks_per_bar
        while True:
            excerpt = work.score.slice(start * bar, end * bar)
            actions, report = encode(excerpt.transpose(semitones) if semitones else excerpt, self.piano)
            if len(actions) <= self.max_steps or end == start + 1:
                return Piece(report.score, genre=work.genre, actions=actions)
            end = start + max(1, (end - start) * self.max_steps // len(actions))


@dataclass(frozen=True)
class _BarLines:
    """Where passages of a work can begin and end."""

    count: int  # bars of the work
    starts: np.ndarray  # rising bars at whose line something begins, so that no passage begins with silence
    steps: np.ndarray  # (count + 1,) about how many actions play what stands before each bar line

    @classmethod
    def of(cls, work: Work) -> _BarLines:
        """The bar lines of a work with notes."""
        onsets, bar, count = work.score.notes["onset_tick"], work.score.ticks_per_bar, work.score.bars
        struck = np.unique(onsets)
        starts = struck[struck % bar == 0] // bar
        if not len(starts):
            starts = struck[:1] // bar
        lines = np.arange(count + 1) * bar
        steps = np.searchsorted(onsets, lines) + np.searchsorted(struck, lines)  # a strike a note, a wait an onset
        return cls(count, starts, steps)
