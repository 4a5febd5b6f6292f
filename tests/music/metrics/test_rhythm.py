"""Metrics of rhythm."""

import numpy as np
import pytest

from toccata.music.metrics import empty_beat_rate, groove_similarity, note_density, silence_rate
from toccata.music.score import Score

BEAT = 24


def exactly(value: float):
    return pytest.approx(value, abs=1e-12)


def test_empty_beats_and_silence_count_to_the_end_of_the_piece(line):
    score = Score([(0, 12, 60, 80), (BEAT, BEAT + 1, 64, 80)], length_ticks=8 * BEAT)  # sounds in beats 0, 1, 2
    assert empty_beat_rate(score) == exactly(5 / 8)
    assert silence_rate(score) == exactly(1 - 37 / 192)
    full = line(60, 62, 64, 65)
    assert empty_beat_rate(full) == silence_rate(full) == 0
    last_beat_empty = line(60, 62, 64)
    assert empty_beat_rate(last_beat_empty) == silence_rate(last_beat_empty) == exactly(1 / 4)


def test_silence_of_a_short_note_during_a_long_one():
    score = Score([(0, 4 * BEAT, 48, 80), (0, 6, 60, 80), (BEAT, 6, 64, 80)])
    assert silence_rate(score) == empty_beat_rate(score) == 0


def test_note_density_is_per_beat(line):
    assert note_density(line(*range(60, 68), gap=BEAT // 2, duration=1)) == 2
    assert note_density(line(60, length_ticks=8 * BEAT)) == exactly(1 / 8)


def test_groove_similarity():
    same = [(bar * 96 + tick, 6, 60, 80) for bar in range(3) for tick in (0, 24, 36, 72)]
    assert groove_similarity(Score(same)) == 1
    assert groove_similarity(Score([*same, (12, 6, 67, 80)])) == exactly(1 - (2 / 3) / 96)
    opposite = [(tick, 1, 60, 80) for tick in range(96)]
    assert groove_similarity(Score(opposite, length_ticks=2 * 96)) == 0


def test_groove_similarity_equals_its_definition_over_pairs_of_bars():
    rng = np.random.default_rng(0)
    score = Score([(int(onset), 3, 60, 80) for onset in rng.integers(0, 6 * 96 - 3, 70)], length_ticks=6 * 96)
    grooves = np.zeros((6, 96), bool)
    grooves.reshape(-1)[score.notes["onset_tick"]] = True
    pairs = [1 - (grooves[a] ^ grooves[b]).mean() for a in range(6) for b in range(a)]
    assert groove_similarity(score) == exactly(np.mean(pairs))
