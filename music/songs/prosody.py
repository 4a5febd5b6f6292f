"""How well words fit the notes that they are sung to, as figures in [0, 1].

Each function takes the words as they are sung, see `sung_syllables`; where there is nothing to compare, as of no
words, words without known stress or lines of one syllable, its value is 1/2, what notes that do not depend on the words
have on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from toccata.music.lyrics.underlay import Underlay
from toccata.music.metrics.pitch import MAJOR_PROFILE, MINOR_PROFILE, best_keys
from toccata.music.score import Score
from toccata.music.songs.metrical import STRONG, metrical_weight

UNKNOWN = -1  # in place of a stress
NOTHING = 0.5


@dataclass(frozen=True)
class SungSyllables:
    """The syllables that are sung, in order; arrays are (n,)."""

    onset_ticks: np.ndarray  # int64, of the first note
    end_ticks: np.ndarray  # int64, of the last note
    weights: np.ndarray  # float in [0, 1], metrical weight of the onset
    first_pitches: np.ndarray  # int64, MIDI number of the first note
    last_pitches: np.ndarray  # int64
    notes: np.ndarray  # int64, from 1
    stress: np.ndarray  # int64, 0, 1, 2 (secondary), or UNKNOWN
    word_begins: np.ndarray  # bool
    word_ends: np.ndarray  # bool
    line_ends: np.ndarray  # bool

    def __len__(self) -> int:
        """Number of syllables."""
        return len(self.onset_ticks)

    @property
    def ticks(self) -> np.ndarray:
        """(n,) int64, from the onset of the first note of each to the end of its last."""
        return self.end_ticks - self.onset_ticks

    @property
    def lines(self) -> list[slice]:
        """The syllables of each line, the last of which may be incomplete."""
        ends = np.flatnonzero(self.line_ends) + 1
        bounds = [0, *ends.tolist()]
        if bounds[-1] != len(self.onset_ticks):
            bounds.append(len(self.onset_ticks))
        return [slice(start, end) for start, end in pairwise(bounds)]


def sung_syllables(score: Score, underlay: Underlay) -> SungSyllables:
    """The syllables of an underlay with what their notes are.

    Args:
        score: whose bars count.
        underlay: which note is sung to which syllable.
    """
    numbers = np.asarray(underlay.syllables, np.int64)
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    last = np.append(first[1:], len(numbers))[: len(first)] - 1
    onsets, pitches = np.asarray(underlay.onset_ticks, np.int64), np.asarray(underlay.pitches, np.int64)
    ends = onsets + np.asarray(underlay.duration_ticks, np.int64)
    syllables = [underlay.lyrics.syllables[number] for number in numbers[first].tolist()]
    stress = [UNKNOWN if each.stress is None else each.stress for each in syllables]
    flags = np.array([(each.word_begin, each.word_end, each.line_end) for each in syllables], bool).reshape(-1, 3)
    return SungSyllables(
        onsets[first],
        ends[last],
        metrical_weight(score, onsets[first]),
        pitches[first],
        pitches[last],
        last - first + 1,
        np.array(stress, np.int64),
        *flags.T,
    )


def stress_on_beats(sung: SungSyllables) -> float:
    """Of neighbouring syllables of which one is stressed, the share whose stressed one is on the stronger beat.

    In [0, 1]; equal weights count half. Neighbours are of one line. Secondary stress counts as stress.
    Source: Palmer & Kelly 1992, "Linguistic prosody and musical meter in song", Journal of Memory and Language 31; with
    pairs as Nichols et al. 2009, "Relationships between lyrics and melody in popular music", ISMIR, section 4.
    """
    return _agreement(sung, sung.weights)


def stress_on_length(sung: SungSyllables) -> float:
    """Of neighbouring syllables of which one is stressed, the share whose stressed one is the longer.

    In [0, 1]; equal lengths count half. The last syllable of a line is left out, since line ends are long anyway.
    Source: as of `stress_on_beats`; both found stressed syllables on longer notes.
    """
    return _agreement(sung, np.where(sung.line_ends, -1, sung.ticks))


def stressed_on_strong(sung: SungSyllables, stressed: bool = True) -> float:
    """Share of the stressed syllables that begin on a strong beat, in [0, 1]; or of the unstressed ones.

    Strong beats are the beginnings of bars and the middle of those of four beats. Secondary stress counts as stress.
    """
    chosen = sung.stress > 0 if stressed else sung.stress == 0
    return float((sung.weights[chosen] >= STRONG).mean()) if chosen.any() else NOTHING


def line_end_degree(sung: SungSyllables, score: Score) -> float:
    """Mean stability of the last notes of the lines in the key of the piece, in [0, 1].

    1 for the tonic, 0 for the degree that fits least; linear in the ratings of Krumhansl & Kessler 1982. Of keys that
    fit equally well the one with the greater value counts.

    Args:
        sung: syllables.
        score: whose key counts, with accompaniment.
    """
    ends = sung.last_pitches[sung.line_ends]
    keys = best_keys(score)
    if not len(ends) or not keys:
        return NOTHING
    values = []
    for key in keys:
        ratings = np.array(MINOR_PROFILE if key >= 12 else MAJOR_PROFILE)
        values.append(float(((ratings[(ends - key) % 12] - ratings.min()) / np.ptp(ratings)).mean()))
    return max(values)


def line_end_length(sung: SungSyllables) -> float:
    """Mean over lines of how much longer the last syllable is than the mean of the others, in [0, 1].

    1 for twice as long or more, 1/2 for as long, 0 for half as long or less; linear in the logarithm. Lines of one
    syllable are left out.
    Source: longer values at the ends of groups, preference rule 2 of Lerdahl & Jackendoff 1983, ch. 3.
    """
    values = [
        (np.clip(np.log2(ticks[-1] / ticks[:-1].mean()), -1, 1) + 1) / 2
        for ticks in (sung.ticks[line] for line in _complete_lines(sung))
    ]
    return float(np.mean(values)) if values else NOTHING


def phrase_arch(sung: SungSyllables) -> float:
    """Mean over lines of how much of an arch their contour is, in [0, 1].

    1 for a line whose inner notes have a mean pitch above that of the first and of the last note, 1/2 above one of
    them, else 0; an equal pitch counts as half above. Lines of fewer than three syllables are left out.
    Source: Huron 1996, "The melodic arch in Western folksongs", Computing in Musicology 10: the contour of first note,
    mean of the inner notes and last note, of which the convex one was the commonest.
    """
    values = []
    for line in _complete_lines(sung):
        pitches = sung.first_pitches[line]
        if len(pitches) >= 3:
            inner = pitches[1:-1].mean()
            above = np.sign([inner - pitches[0], inner - sung.last_pitches[line][-1]])
            values.append(float((above + 1).mean() / 2))
    return float(np.mean(values)) if values else NOTHING


def _complete_lines(sung: SungSyllables) -> list[slice]:
    """Lines of two syllables or more that have ended."""
    return [line for line in sung.lines if line.stop - line.start > 1 and sung.line_ends[line.stop - 1]]


def _agreement(sung: SungSyllables, values: np.ndarray) -> float:
    """Of neighbours in a line, one stressed and one not, the share whose stressed one has the greater value, ties half.

    Args:
        sung: syllables.
        values: (n,), negative of syllables that are left out.
    """
    known = (sung.stress != UNKNOWN) & (values >= 0)
    stressed = sung.stress > 0
    pairs = known[:-1] & known[1:] & (stressed[:-1] != stressed[1:]) & ~sung.line_ends[:-1]
    signs = np.sign(values[1:] - values[:-1]) * np.where(stressed[1:], 1, -1)
    return float((signs[pairs] + 1).mean() / 2) if pairs.any() else NOTHING
