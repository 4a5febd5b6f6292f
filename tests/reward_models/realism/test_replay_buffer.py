from collections.abc import Callable

import numpy as np

from toccata.music.score import Score
from toccata.reward_models.realism.replay_buffer import ReplayBuffer


def test_scores_are_sampled_uniformly() -> None:
    rng = np.random.default_rng(0)
    scores = [Score([(0, 24, pitch, 80)]) for pitch in range(20)]
    kept = np.zeros(20)
    for _ in range(400):
        replay = ReplayBuffer(capacity=5)
        replay.add(scores, rng)
        assert len(replay.scores) == 5
        for score in replay.scores:
            kept[score.notes["pitch"][0]] += 1
    np.testing.assert_allclose(kept / 400, 0.25, atol=0.09)  # four standard deviations


def test_from_arrays_is_the_inverse_of_arrays(random_piece: Callable[..., Score]) -> None:
    replay = ReplayBuffer(capacity=7)
    odd = Score([(3, 5, 60, 1)], ticks_per_beat=10, beats_per_bar=3.5, tempo_bpm=61.37, length_ticks=100)
    replay.add([odd, Score(), random_piece(np.random.default_rng(0))], np.random.default_rng(0))
    restored = ReplayBuffer.from_arrays(replay.arrays())
    assert (restored.scores, restored.seen, restored.capacity) == (replay.scores, replay.seen, replay.capacity)
    assert ReplayBuffer.from_arrays(ReplayBuffer().arrays()).scores == []
