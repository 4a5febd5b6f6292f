from __future__ import annotations

import numpy as np
import pytest

from toccata.music.lyrics import Lyrics, LyricsError, Underlay, underlay
from toccata.music.lyrics.underlay import is_sung
from toccata.music.lyrics.voices import VOICES, checked_voice, voice_range
from toccata.music.score import Score

# C5 over E4 and C3; in the rest G3; then D5, whose E4 below is struck while it sounds; then F4 below nothing.
NOTES = [
    (0, 24, 48, 80),
    (0, 24, 64, 80),
    (0, 24, 72, 80),
    (24, 12, 55, 80),
    (36, 24, 74, 80),
    (48, 24, 64, 80),
    (72, 24, 65, 80),
]
SUNG = [False, False, True, False, True, False, True]


def test_sung_notes_are_the_highest_from_the_lowest_pitch_of_the_voice_on() -> None:
    score = Score(NOTES)
    assert is_sung(score).tolist() == SUNG
    assert is_sung(score, "bass").tolist() == [False, False, True, True, True, False, True]  # G3, too
    assert is_sung(score, start_tick=36).tolist() == [False] * 4 + SUNG[4:]


def test_the_notes_carry_the_syllables_in_order() -> None:
    lyrics = Lyrics.parse("ah_ me")
    found = underlay(Score(NOTES), lyrics)
    assert found.onset_ticks.tolist() == [0, 36, 72]
    assert found.duration_ticks.tolist() == [24, 24, 24]
    assert found.pitches.tolist() == [72, 74, 65]
    assert found.syllables.tolist() == [0, 0, 1]
    assert len(found) == 3
    again = Underlay(lyrics, [0, 36, 72], [24, 24, 24], [72, 74, 65], [0, 0, 1])
    assert found == again
    assert hash(found) == hash(again)
    with pytest.raises(ValueError, match="read-only"):
        found.pitches[0] = 1


def test_notes_that_do_not_fit_the_words() -> None:
    score = Score(NOTES)
    with pytest.raises(LyricsError, match="the lyrics are sung on 4 notes, the soprano of the score has 3"):
        underlay(score, Lyrics.parse("oh dear dear me"))
    assert len(underlay(score, Lyrics.parse("oh dear dear me"), partial=True)) == 3
    with pytest.raises(LyricsError, match="the lyrics are sung on 2 notes, the soprano of the score has 3"):
        underlay(score, Lyrics.parse("oh dear"), partial=True)
    with pytest.raises(LyricsError, match=r"the underlay has 1 notes, pitches has the shape \(2,\)"):
        Underlay(Lyrics.parse("oh"), np.array([0]), np.array([24]), np.array([60, 62]), np.array([0]))


def test_voices() -> None:
    assert voice_range("alto") == (55, 74)
    assert all(each.highest - each.lowest >= 12 for each in VOICES.values())
    with pytest.raises(LyricsError, match=r"unknown voice 'tenr': .* bass; did you mean 'tenor'\?"):
        checked_voice("tenr")
    with pytest.raises(LyricsError, match="unknown voice None"):
        checked_voice(None)  # type: ignore[arg-type]  # what a user may give
