"""What is measured of songs: how words and notes fit, the melody, and what it shares with training works."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from toccata.music.lyrics.underlay import Underlay
from toccata.music.metrics import measure
from toccata.music.originality import OriginalityIndex, metric_values, originality
from toccata.music.score import Score
from toccata.music.songs import prosody
from toccata.music.songs.corpus import sung_line
from toccata.music.songs.prosody import SungSyllables, sung_syllables
from toccata.reward_models.lyrics.reward import AGREEMENT, LyricsReward

MELODY = "melody/"  # before the names of metrics of the sung line
BREATH_TICKS = 12  # of a rest: an eighth

WORDS: Mapping[str, Callable[[SungSyllables, Score], float]] = {
    "stressed_on_strong": lambda sung, _: prosody.stressed_on_strong(sung),
    "unstressed_on_strong": lambda sung, _: prosody.stressed_on_strong(sung, stressed=False),
    "stress_on_beats": lambda sung, _: prosody.stress_on_beats(sung),
    "stress_on_length": lambda sung, _: prosody.stress_on_length(sung),
    "breaths": lambda sung, _: breaths(sung),
    "line_end_degree": prosody.line_end_degree,
    "line_end_length": lambda sung, _: prosody.line_end_length(sung),
    "phrase_arch": lambda sung, _: prosody.phrase_arch(sung),
    "range": lambda sung, _: float(np.ptp(sung.first_pitches)),
    "largest_leap": lambda sung, _: float(np.abs(np.diff(sung.first_pitches)).max(initial=0)),
}


def breaths(sung: SungSyllables) -> float:
    """Share of the line ends but the last after which the voice rests for an eighth or more, in [0, 1]; 1 of none."""
    inner = sung.line_ends[:-1]
    rests = sung.onset_ticks[1:] - sung.end_ticks[:-1]
    return float((rests[inner] >= BREATH_TICKS).mean()) if inner.any() else 1.0


def values_of(
    score: Score, underlay: Underlay, reward: LyricsReward, index: OriginalityIndex | None
) -> dict[str, float]:
    """The figures of one song by name.

    Args:
        score: all notes.
        underlay: which of them are sung, and to what.
        reward: of words.
        index: of the works that it may have copied; None: that is not measured.
    """
    sung = sung_syllables(score, underlay)
    terms = reward.terms(sung, score)
    found = {name: figure(sung, score) for name, figure in WORDS.items()}
    found |= {AGREEMENT: terms[AGREEMENT], reward.name: reward.total(terms)}
    found |= {f"{MELODY}{name}": value for name, value in measure(sung_line(score, underlay)).items()}
    shared = {} if index is None else metric_values(originality([score], index))
    return found | {name: float(values[0]) for name, values in shared.items()}
