from pathlib import Path

import numpy as np
import pytest

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import checked
from toccata.music.score import Score
from toccata.reward_models import load_reward


def test_tension_rewards_an_arch_of_dissonance(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    model = load_reward("examples.tension:Tension")
    dissonance_in_the_middle = [
        (0, 96, (60, 67)),
        (96, 96, (60, 62)),
        (192, 96, (60, 62, 66)),
        (288, 96, (60, 62)),
        (384, 96, (60, 67)),
    ]
    arch = Score(
        [(onset, duration, pitch, 80) for onset, duration, pitches in dissonance_in_the_middle for pitch in pitches]
    )
    dissonance_at_the_ends = Score(
        [(0, 96, 60, 80), (0, 96, 62, 80), (96, 288, 60, 80), (384, 96, 60, 80), (384, 96, 62, 80)]
    )
    scores = checked(model, Pieces([arch, dissonance_at_the_ends, Score(), Score(length_ticks=96)]))
    assert scores[0] > 0.8
    assert scores[1] < -0.5
    assert np.array_equal(scores[2:], [0, 0])
