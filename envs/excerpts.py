"""Excerpts of real music, encoded for the piano: the data of behaviour cloning and of the discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toccata.envs.codec import EncodeReport, encode
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

TRANSPOSITION = 6  # semitones up or down: every key of a mode is about equally frequent
EDGE_SHARE = 0.25  # of the excerpts are openings of works, and as many are endings


def usable_scores(scores: Sequence[Score], beats_per_bar: float) -> list[Score]:
    """The scores that excerpts with bars of that many beats can be taken from."""
    return [score for score in _in_metre(scores, beats_per_bar) if score.bars > 1]


def why_unusable(scores: Sequence[Score], beats_per_bar: float) -> str:
    """Why none of the scores is in `usable_scores`."""
    usable_metre = _in_metre(scores, beats_per_bar)
    if usable_metre:
        return f"none of the {len(usable_metre)} scores in a metre of {beats_per_bar:g} beats is longer than one bar"
    found = sorted({score.beats_per_bar for score in scores if len(score)})
    if not found:
        return f"none of the {len(scores)} scores has a note"
    metres = ", ".join(f"{beats:g}" for beats in found[:8]) + (", ..." if len(found) > 8 else "")
    return (
        f"none of the {len(scores)} scores has a metre that divides a bar of {beats_per_bar:g} beats; "
        f"their bars have {metres} beats"
    )


def _in_metre(scores: Sequence[Score], beats_per_bar: float) -> list[Score]:
    """The scores with notes that are in the metre."""
    return [score for score in scores if len(score) and in_metre(score, beats_per_bar)]


def in_metre(score: Score, beats_per_bar: float) -> bool:
    """Whether a whole number of the score's bars is as long as a bar of that many beats."""
    return beats_per_bar * score.ticks_per_beat % score.ticks_per_bar == 0


class ExcerptDataset:
    """Excerpts of real scores, encoded for a piano, at random positions and in random keys.

    Args:
        scores: whole works. Those in another metre are left out, and those of one bar; a bar of the environment may be
            several of theirs.
        bars: length of an excerpt in bars of the environment; shorter works are used whole.
        piano: the instrument; by default `Piano()`.
        beats_per_bar: quarter notes in a bar of the environment.
        tempo_bpm: the tempo of all excerpts. The pieces of an environment have one tempo, so a discriminator must not
            see others in real pieces.
        genre: of the scores; None if unknown.

    Raises:
        ValueError: when no score is left: none has a note, all are in other metres, or shorter than two bars.
    """

    def __init__(
        self,
        scores: Sequence[Score],
        bars: int,
        piano: Piano | None = None,
        *,
        beats_per_bar: float = 4,
        tempo_bpm: float = 120.0,
        genre: str | None = None,
    ) -> None:
        self.bars = bars
        self.piano = piano or Piano()
        self.beats_per_bar = beats_per_bar
        self.tempo_bpm = tempo_bpm
        self.genre = genre
        self.scores = usable_scores(scores, beats_per_bar)
        if not self.scores:
            raise ValueError(why_unusable(scores, beats_per_bar))

    def sample(self, count: int, rng: np.random.Generator, *, transpose: bool = True) -> list[Piece]:
        """`count` excerpts of works drawn uniformly, each with the actions that play it."""
        return [self._excerpt(self.scores[rng.integers(len(self.scores))], rng, transpose) for _ in range(count)]

    def _excerpt(self, score: Score, rng: np.random.Generator, transpose: bool) -> Piece:
        """A random excerpt of a work."""
        excerpt = random_excerpt(score, self.bars, self.beats_per_bar, rng)
        if transpose and len(excerpt):
            pitch = excerpt.notes["pitch"]
            low = max(-TRANSPOSITION, self.piano.lowest - int(pitch.min()))
            high = min(TRANSPOSITION, self.piano.highest - int(pitch.max()))
            if low <= high:
                excerpt = excerpt.transpose(int(rng.integers(low, high + 1)))
        return as_piece(excerpt, self.piano, self.beats_per_bar, self.tempo_bpm, self.genre)[0]


def as_piece(
    score: Score, piano: Piano, beats_per_bar: float, tempo_bpm: float, genre: str | None
) -> tuple[Piece, EncodeReport]:
    """A whole score as the piano plays it, with another metre and tempo, and what the piano changed."""
    actions, report = encode(
        Score(score.notes, score.ticks_per_beat, beats_per_bar, tempo_bpm, score.length_ticks), piano
    )
    return Piece(report.score, genre, actions=actions), report


def random_excerpt(score: Score, bars: int, beats_per_bar: float, rng: np.random.Generator) -> Score:
    """An excerpt of a score, which begins at a bar line with an onset; a shorter score from its first such line on.

    It is taken from a stretch in the score's metre without a change; if all are shorter, it is the longest rest of one.
    """
    bar = int(beats_per_bar * score.ticks_per_beat)
    length = bars * bar
    starts, ends = _excerpt_starts(score, bar)
    full_length_starts = starts[starts + length <= ends]
    edge = rng.random()
    if not len(full_length_starts):
        longest = int(np.argmax(ends - starts)) if len(starts) else 0
        start, end = (int(starts[longest]), int(ends[longest])) if len(starts) else (0, score.length_ticks)
        return score.slice(start, min(start + length, end))
    if edge < EDGE_SHARE:
        start = int(full_length_starts[0])
    elif edge < 2 * EDGE_SHARE:
        start = int(full_length_starts[-1])
    else:
        start = int(rng.choice(full_length_starts))
    return score.slice(start, start + length)


def _excerpt_starts(score: Score, bar: int) -> tuple[np.ndarray, np.ndarray]:
    """Where excerpts can begin, and where the stretch in the score's metre ends that each is in, both (n,) ticks.

    Args:
        score: the score.
        bar: ticks of a bar, a multiple of the score's; it is counted from the beginning of a stretch.
    """
    lines = score.main_bar_ticks
    breaks = np.flatnonzero(np.diff(lines) != score.ticks_per_bar) + 1
    stretches = np.split(lines, breaks) if len(lines) else []
    firsts = np.repeat([each[0] for each in stretches], [len(each) for each in stretches])
    lasts = np.repeat([each[-1] for each in stretches], [len(each) for each in stretches])
    # An excerpt begins without silence.
    usable = ((lines - firsts) % bar == 0) & np.isin(lines, score.notes["onset_tick"])
    return lines[usable], np.minimum(lasts[usable] + score.ticks_per_bar, score.length_ticks)
