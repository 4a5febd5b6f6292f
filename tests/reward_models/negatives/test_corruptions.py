import numpy as np
import pytest

from toccata.envs.codec import encode
from toccata.music.metrics import loop_rate, note_density, polyphony
from toccata.music.score import Score
from toccata.reward_models.negatives.corruptions import CORRUPTIONS, corrupt

DOTTED = [(48 * (i // 2) + 36 * (i % 2), 12 if i % 2 else 36) for i in range(32)]  # onset, duration
SCALE = Score([(*timing, 60 + i, 80) for i, timing in enumerate(DOTTED)])
CHORDS = Score([(*timing, 40 + i // 2 + step, 80) for i, timing in enumerate(DOTTED) for step in (0, 12, 16, 19)])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("score", [SCALE, CHORDS, Score([(700, 5, 108, 80)], length_ticks=768)])
def test_a_corrupted_piece_differs_has_the_same_length_and_can_be_played(name: str, score: Score) -> None:
    corrupted = CORRUPTIONS[name](score, np.random.default_rng(1))
    assert corrupted.length_ticks == score.length_ticks
    assert corrupted.beats_per_bar == score.beats_per_bar
    if len(score) > 1:
        assert corrupted != score
    (played,) = corrupt(name, [score, Score()], np.random.default_rng(1))
    assert played == encode(played)[1].score
    assert CORRUPTIONS[name](score, np.random.default_rng(1)) == corrupted


def test_each_corruption_changes_one_property() -> None:
    rng = np.random.default_rng(0)
    corrupted = {name: corruption(SCALE, rng) for name, corruption in CORRUPTIONS.items()}
    for name in ("shuffled_pitches", "wrong_notes", "transposed_upper_notes"):
        np.testing.assert_array_equal(corrupted[name].notes["onset_tick"], SCALE.notes["onset_tick"])
    for name in ("shuffled_pitches", "shuffled_bars"):
        assert sorted(corrupted[name].notes["pitch"]) == sorted(SCALE.notes["pitch"])
    assert loop_rate(corrupted["repeated_figure"]) > 0.7
    assert note_density(corrupted["deleted_notes"]) < 0.5 * note_density(SCALE)
    assert polyphony(corrupted["added_notes"]) > polyphony(SCALE)
    assert (corrupted["timing_jitter"].notes["onset_tick"] % 24).any()
