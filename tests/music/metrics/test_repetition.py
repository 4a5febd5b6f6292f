"""Metrics of repetition."""

import pytest

from toccata.music.metrics import loop_rate, repeated_note_rate

BEAT = 24


@pytest.mark.parametrize(
    ("onsets", "gap", "repeated", "looped"),
    [
        ([60] * 9, BEAT, 1, 1),
        ([(60, 64, 67)] * 9, BEAT, 1, 1),
        ([60, 62] * 4, BEAT, 0, 5 / 7),
        ([48, 55, 52, 55] * 4, BEAT, 0, 9 / 15),
        ([60, 62, 64, 65, 67, 69, 71, 72], BEAT, 0, 0),
        ([60, 60, 62, 62, 64], BEAT, 2 / 4, 2 / 4),
        ([(60, 64), (60, 67), (60, 64, 67)], BEAT, 0, 0),  # one voice repeats, the chord does not
        ([60, 60], 8 * BEAT, 1, 1),  # silence between them makes no difference
        ([60, 62, 64, 65, 67] * 4, BEAT, 0, 0),  # a figure longer than LONGEST_LOOP
    ],
    ids=["note", "chord", "trill", "Alberti", "scale", "pairs", "pedal", "silence", "five notes"],
)
def test_repetition_of_known_figures(line, onsets, gap, repeated, looped):
    score = line(*onsets, gap=gap)
    assert repeated_note_rate(score) == pytest.approx(repeated, abs=1e-12)
    assert loop_rate(score) == pytest.approx(looped, abs=1e-12)
