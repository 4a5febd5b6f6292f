"""The accompaniment of a melody from chords."""

import numpy as np
import pytest

from toccata.music.accompaniment import HAND_SPAN, RHYTHMS, comp
from toccata.music.chord_estimation import ChordSpan
from toccata.music.chord_symbols import parse_chord
from toccata.music.reduction import reduce_to_two_hands
from toccata.music.score import Score

BAR = 96
CHANGES = ("D-7", "G7", "Cj7", "A7b9", "Fm7b5", "Bb-7/Ab", "Eb69", "Bsus7", "C", "F#-", "Go", "E+7")


def line(bars: int, low: int = 72) -> Score:
    return Score([(tick, 12, low + tick // 12 % 7, 80) for tick in range(0, bars * BAR, 12)])


def spans(symbols=CHANGES) -> list[ChordSpan]:
    return [ChordSpan(bar * BAR, parse_chord(symbol)) for bar, symbol in enumerate(symbols)]


def below(score: Score, melody: Score) -> np.ndarray:
    """The notes that are not of the melody."""
    return score.notes[~np.isin(score.notes, melody.notes)]


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_chords_are_their_guide_tones_under_the_melody(rhythm):
    melody = line(len(CHANGES))
    score = comp(melody, spans(), rhythm)
    notes = below(score, melody)
    assert len(notes) == 3 * len(RHYTHMS[rhythm]) * len(CHANGES)
    for span in spans():
        struck = notes[(notes["onset_tick"] >= span.onset_tick) & (notes["onset_tick"] < span.onset_tick + BAR)]
        chord = struck[struck["onset_tick"] == span.onset_tick]["pitch"]
        assert chord[0] % 12 == span.chord.bass
        assert {int(pitch) % 12 for pitch in chord} <= span.chord.pitch_classes
        assert (span.chord.root + span.chord.third) % 12 in {int(pitch) % 12 for pitch in chord}
        assert chord[-1] - chord[0] <= HAND_SPAN
        assert chord[-1] < melody.notes["pitch"].min()


def test_melody_is_kept_and_two_hands_can_play_it():
    melody = line(len(CHANGES), low=76)
    score = comp(melody, spans())
    assert np.isin(melody.notes, score.notes).all()
    assert score.length_ticks == melody.length_ticks
    reduced, report = reduce_to_two_hands(score)
    assert report.dropped == 0
    assert len(reduced) == len(score)


def test_voices_move_little():
    melody = line(8)
    score = comp(melody, spans(("D-7", "G7", "Cj7", "Cj7", "F-7", "Bb7", "Ebj7", "Ebj7")), "whole")
    chords = below(score, melody)["pitch"].reshape(8, 3)
    assert np.abs(np.diff(chords[:, 1:], axis=0)).mean() <= 6  # half an octave, which the choice of the bass decides


def test_a_low_melody_leaves_room_for_less():
    low = Score([(0, BAR, 45, 80)])
    notes = below(comp(low, spans(("C7",)), "whole"), low)
    assert len(notes) >= 1
    assert (notes["pitch"] < 45).all()
    lowest = Score([(0, BAR, 21, 80)])
    assert comp(lowest, spans(("C7",)), "whole") == lowest


def test_no_chord_is_silence_and_rhythms_fit_short_bars():
    melody = line(2)
    silent = [ChordSpan(0, None), ChordSpan(BAR, parse_chord("C7"))]
    assert below(comp(melody, silent), melody)["onset_tick"].min() == BAR
    waltz = Score([(tick, 24, 72, 80) for tick in range(0, 144, 24)], beats_per_bar=3)
    notes = below(comp(waltz, spans(("C7",)), "halves"), waltz)
    assert sorted(set(notes["onset_tick"].tolist())) == [0, 48, 72, 120]
    assert set(notes["duration_ticks"].tolist()) == {48, 24}


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="unknown rhythm 'bossa'; there are whole, halves"):
        comp(line(1), spans(("C",)), "bossa")
    with pytest.raises(ValueError, match="must ascend"):
        comp(line(1), [ChordSpan(48, None), ChordSpan(48, None)])
    assert comp(line(1), []) == line(1)


def test_a_chord_that_does_not_fit_below_the_melody_leaves_no_note_of_the_chord_before():
    melody = Score([(0, BAR, 80, 80), (BAR, BAR, 46, 80)])  # the lowest bass of B is B2, 47
    assert (below(comp(melody, spans(("F", "B")), "whole"), melody)["onset_tick"] == 0).all()
