"""The dataset that priors are fitted to: passages of real music of every metre and genre."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from hashlib import sha256
from shlex import quote

import numpy as np
from rich.console import Console
from rich.progress import track

from toccata.envs.codec import actions_of, encode
from toccata.envs.excerpts import EDGE_SHARE, TRANSPOSITION
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.corpus.cache import load_or_make
from toccata.music.reduction import shortened_to_values
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.settings.genres import GENRES

DEFAULT_LENGTH_SHARE = 0.5  # of the passages have `bars` bars; the lengths of the others vary
SHORTEST_BARS, LONGEST_BARS = 4, 128  # of the others, log-uniformly
GENRE_POWER = 0.5  # in proportion to notes nearly all would be classical; equal shares would overfit a few dances
WORK_POWER = 0.75  # below 1: the notes of a long work are more alike than those of several short ones
PLAYED_FORMAT = 2  # increase it when `encode` changes what is played
PASSAGES_PER_WORK = 4  # of `first_passages`, lest the longest works dominate what is measured


class PassageDataset:
    """Random passages of the works of a corpus, encoded for a piano, each in the metre and tempo of its work.

    Args:
        corpus: its genres must be among `genres`. Works without notes on the keyboard are left
            out, and those whose bar is no multiple of the piano's shortest value.
        bars: the default length of a passage, in bars of its work.
        piano: the instrument.
        max_steps: passages that take more actions are cut at a bar line, to one bar at least.
        genres: of the prior.
        played: works as the piano plays them, by id, of `as_played`; the others are reduced when they are needed.

    Raises:
        ValueError: for an unknown genre, and when no work is left.
    """

    def __init__(
        self,
        corpus: Corpus,
        bars: int = 8,
        piano: Piano | None = None,
        *,
        max_steps: int = 512,
        genres: Sequence[str] = GENRES,
        played: Mapping[str, Score] | None = None,
    ) -> None:
        if bars < 1 or max_steps < 1:
            raise ValueError(f"bars and max_steps must be at least 1, got {bars} and {max_steps}")
        unknown = next((work for work in corpus if work.genre not in genres), None)
        if unknown is not None:
            raise ValueError(
                f"{unknown.id}: its genre {unknown.genre!r} must be one of {', '.join(genres)}, "
                f"or be added: --genres {quote(unknown.genre)}"
            )
        self.genres = tuple(genres)
        self.bars = bars
        self.piano = piano or Piano()
        self.max_steps = max_steps
        shortest = self.piano.values[0]
        self.works = tuple(
            work
            for work in corpus
            if self._has_playable_notes(work.score) and work.score.beats_per_bar * TICKS_PER_BEAT % shortest == 0
        )
        if not self.works:
            raise ValueError(
                f"none of the {len(corpus)} works of corpus {corpus.name} has notes on the keyboard in a playable metre"
            )
        self._bounds = tuple(_PassageBounds.from_work(work) for work in self.works)
        self._as_played = dict(played or {})
        notes = np.array([len(work.score) for work in self.works], np.float64)
        self._probabilities = np.zeros(len(self.works))
        for genre in sorted({work.genre for work in self.works}):
            in_genre = np.array([work.genre == genre for work in self.works])
            weights = np.where(in_genre, notes**WORK_POWER, 0.0)
            self._probabilities += notes[in_genre].sum() ** GENRE_POWER * weights / weights.sum()
        self._probabilities /= self._probabilities.sum()

    def _has_playable_notes(self, score: Score) -> bool:
        pitch = score.notes["pitch"]
        return bool(((pitch >= self.piano.lowest) & (pitch <= self.piano.highest)).any())

    def sample(self, count: int, rng: np.random.Generator, *, transpose: bool = True) -> list[Piece]:
        """`count` passages at random places and, if `transpose`, in random keys.

        The probability of a genre is proportional to the square root of its notes, that of a work within its genre to
        its notes ** 0.75. About half of the passages have the default length. A quarter begin at the start of their
        work, and a quarter end at its end.
        """
        indices = rng.choice(len(self.works), count, p=self._probabilities)
        return [self._sample_passage(int(index), rng, transpose) for index in indices]

    def first_passages(self) -> list[Piece]:
        """The first passages of every work in order, untransposed and of the default length; deterministic."""
        pieces = []
        for index, bounds in enumerate(self._bounds):
            start = int(bounds.starts[0])
            for _ in range(PASSAGES_PER_WORK):
                if start >= bounds.bars:
                    break
                end = min(start + self.bars, bounds.bars)
                piece = self._encode(index, start, end, 0)
                if len(piece.score):
                    pieces.append(piece)
                start = end
        return pieces

    def _sample_passage(self, index: int, rng: np.random.Generator, transpose: bool) -> Piece:
        """A random passage of the work at `index`."""
        work, bounds = self.works[index], self._bounds[index]
        bars = self.bars
        if rng.random() >= DEFAULT_LENGTH_SHARE:
            bars = round(np.exp(rng.uniform(np.log(SHORTEST_BARS), np.log(LONGEST_BARS))))
        starts, steps = bounds.starts, bounds.steps
        edge = rng.random()
        if edge < EDGE_SHARE:
            start = starts[0]
        elif edge < 2 * EDGE_SHARE:
            candidates = starts[(starts + bars >= bounds.bars) & (steps[-1] - steps[starts] <= self.max_steps)]
            start = candidates[0] if len(candidates) else starts[-1]
        else:
            candidates = starts[starts + bars <= bounds.bars]
            start = rng.choice(candidates) if len(candidates) else starts[0]
        last_end = int(np.searchsorted(steps, steps[start] + self.max_steps, side="right")) - 1
        end = max(start + 1, min(start + bars, bounds.bars, last_end))
        low, high = self._transpositions(work, int(start), int(end)) if transpose else (0, 0)
        return self._encode(index, int(start), int(end), int(rng.integers(low, high + 1)))

    def _transpositions(self, work: Work, start: int, end: int) -> tuple[int, int]:
        """Lowest and highest transposition, in semitones, that keeps the bars `start` to `end` on the keyboard."""
        bar, notes = work.score.ticks_per_bar, work.score.notes
        first, last = np.searchsorted(notes["onset_tick"], [start * bar, end * bar])
        pitch = notes["pitch"][first:last]
        if not len(pitch):
            return 0, 0
        low = max(-TRANSPOSITION, self.piano.lowest - int(pitch.min()))
        high = min(TRANSPOSITION, self.piano.highest - int(pitch.max()))
        return (low, high) if low <= high else (0, 0)

    def _encode(self, index: int, start: int, end: int, semitones: int) -> Piece:
        """The bars `start` to `end` of the work at `index`, or as many of them as `max_steps` actions hold."""
        score = self._played(index)
        bar = score.ticks_per_bar
        while True:
            passage = shortened_to_values(score.slice(start * bar, end * bar), self.piano.values)
            if semitones:
                passage = passage.transpose(semitones)
            actions = actions_of(passage, self.piano)
            if len(actions) <= self.max_steps or end == start + 1:
                return Piece(passage, genre=self.works[index].genre, actions=actions)
            end = start + max(1, (end - start) * self.max_steps // len(actions))

    def _played(self, index: int) -> Score:
        """The whole work at `index` as the piano plays it; computed once, when a passage of it is first taken."""
        work = self.works[index]
        if work.id not in self._as_played:
            self._as_played[work.id] = encode(work.score, self.piano)[1].score
        return self._as_played[work.id]


def as_played(
    corpus: Corpus, piano: Piano | None = None, on_progress: Callable[[float], object] | None = None
) -> dict[str, Score]:
    """The works of a corpus as the piano plays them, by id; computed once, then read from the cache folder.

    Args:
        corpus: of works that a `PassageDataset` takes.
        piano: the instrument; by default `Piano()`.
        on_progress: is told the share that is encoded; None: a progress bar of its own shows it.

    Warns:
        CorpusWarning: when they cannot be written there.
    """
    piano = piano or Piano()
    digest = sha256(f"{PLAYED_FORMAT} {astuple(piano)}".encode())
    for work in corpus:
        score = work.score
        about = work.id, score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks
        digest.update(repr(about).encode())
        digest.update(score.notes.tobytes())
    key = digest.hexdigest()

    def encode_all() -> Corpus:
        works: Iterable[Work] = corpus.works
        if on_progress is None:
            works = track(corpus.works, "Encoding", transient=True, console=Console(stderr=True))
        played = []
        for work in works:
            played.append(replace(work, score=encode(work.score, piano)[1].score))
            if on_progress is not None:
                on_progress(len(played) / len(corpus))
        return replace(corpus, works=tuple(played))

    return {work.id: work.score for work in load_or_make(f"played-{key[:12]}", key, encode_all)}


@dataclass(frozen=True)
class _PassageBounds:
    """Bar lines at which passages of a work can begin and end."""

    bars: int  # of the work
    starts: np.ndarray  # ascending bars whose line has an onset, so that no passage begins with silence
    steps: np.ndarray  # (bars + 1,) about how many actions precede each bar line

    @classmethod
    def from_work(cls, work: Work) -> _PassageBounds:
        """The bounds of a work with notes."""
        onsets, bar = work.score.notes["onset_tick"], work.score.ticks_per_bar
        bars = -(-work.score.length_ticks // bar)  # of one metre, as the work is played
        distinct_onsets = np.unique(onsets)
        starts = distinct_onsets[distinct_onsets % bar == 0] // bar
        if not len(starts):
            starts = distinct_onsets[:1] // bar
        lines = np.arange(bars + 1) * bar
        # about one action a note, and one rest an onset
        steps = np.searchsorted(onsets, lines) + np.searchsorted(distinct_onsets, lines)
        return cls(bars, starts, steps)
