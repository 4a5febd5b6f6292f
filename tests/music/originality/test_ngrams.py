"""N-grams of scores."""

import numpy as np

from toccata.music.originality.ngrams import events_of, ngram_hashes
from toccata.music.score import Score

MELODY = (60, 62, 64, 65, 67, 69, 65, 62, 64)


def tune(*pitches: int, step: int = 12, start: int = 0, ticks_per_beat: int = 24, below: tuple[int, ...] = ()) -> Score:
    """Notes of `step` ticks, and with the first of them long notes below."""
    notes = [(start + i * step, step, pitch, 80) for i, pitch in enumerate(pitches)]
    held = [(start, step * len(pitches), pitch, 60) for pitch in below]
    return Score(notes + held, ticks_per_beat=ticks_per_beat)


def hashes(score: Score, voice: str = "melody") -> list[int]:
    return ngram_hashes(events_of(score, voice)).tolist()


def test_events_are_the_onsets() -> None:
    score = Score([(0, 24, 48, 80), (0, 24, 64, 80), (0, 24, 60, 80), (24, 24, 62, 80)])
    texture, melody = events_of(score, "texture"), events_of(score, "melody")
    assert texture.onset_ticks.tolist() == melody.onset_ticks.tolist() == [0, 24]
    assert texture.tops.tolist() == melody.tops.tolist() == [64, 62]
    assert texture.counts.tolist() == [3, 1]
    assert melody.counts.tolist() == [1, 1]


def test_an_ngram_is_eight_onsets() -> None:
    assert len(hashes(tune(*MELODY))) == 2
    assert len(hashes(tune(*MELODY[:8]))) == 1
    for few in (Score(), Score(length_ticks=96), tune(60), tune(*MELODY[:7])):
        for voice in ("melody", "texture"):
            assert ngram_hashes(events_of(few, voice)).dtype == np.uint64
            assert hashes(few, voice) == []
    assert hashes(Score([(0, 96, pitch, 80) for pitch in range(40, 60)]), "texture") == [], "one chord is one onset"


def test_ngrams_do_not_depend_on_key_place_note_values_and_grid() -> None:
    same = hashes(tune(*MELODY))
    assert hashes(tune(*MELODY).transpose(-7)) == same
    assert hashes(tune(*MELODY, start=36)) == same
    assert hashes(tune(*MELODY, step=24)) == same
    assert hashes(tune(*MELODY, step=240, ticks_per_beat=480)) == same


def test_ngrams_depend_on_intervals_and_rhythm() -> None:
    same = hashes(tune(*MELODY))
    assert not set(hashes(tune(*MELODY[::-1]))) & set(same)
    assert hashes(tune(*MELODY[:-1], 61))[0] == same[0], "the first eight notes are the same"
    assert hashes(tune(*MELODY[:-1], 61))[1] != same[1]
    dotted = Score([(12 * i + 6 * (i % 2), 6, pitch, 80) for i, pitch in enumerate(MELODY)])
    assert not set(hashes(dotted)) & set(same)


def test_texture_sees_all_notes_and_melody_the_skyline() -> None:
    alone, accompanied = tune(*MELODY), tune(*MELODY, below=(36, 43))
    assert hashes(alone, "melody") == hashes(accompanied, "melody")
    assert hashes(alone, "texture")[0] != hashes(accompanied, "texture")[0], "the first has another chord"
    assert hashes(alone, "texture")[1] == hashes(accompanied, "texture")[1]
    assert hashes(alone, "texture") == hashes(alone, "melody")
