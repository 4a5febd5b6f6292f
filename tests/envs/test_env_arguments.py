"""Errors for invalid arguments and actions."""

import numpy as np
import pytest

from toccata.envs import Piano, PianoDiscreteEnv, PianoEnv, Pieces
from toccata.music import Score


class NoteCount:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bars": 0}, "bars must be a positive integer, got 0"),
        ({"bars": 2.5}, "bars must be a positive integer, got 2.5"),
        ({"bars": 10_001}, "at most 10000 bars"),
        ({"beats_per_bar": 2000}, "at most 32768 ticks"),
        ({"genre": "clasical"}, "did you mean 'classical'"),
        ({"observation": "all"}, "unknown observation 'all': it must be one of full, actions"),
        ({"reward_at": "beat"}, "unknown reward_at 'beat'"),
        ({"illegal_penalty": -1}, "illegal_penalty must be finite and not negative, got -1"),
        ({"illegal_penalty": float("nan")}, "illegal_penalty must be finite"),
        ({"max_steps": 0}, "max_steps must be a positive integer"),
        ({"tempo_bpm": float("nan")}, "tempo_bpm must be in"),
        ({"piano": Piano(values=(9, 18))}, "a bar of 96 ticks is no multiple of the piano's shortest value, 9"),
        ({"primer": Score()}, "a primer must have at least one bar, got an empty score"),
        ({"render_mode": "video"}, "render_mode must be one of rgb_array, human, ansi, got 'video'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PianoEnv(**arguments)


def test_arguments_of_the_wrong_type_are_named() -> None:
    with pytest.raises(TypeError, match="reward must be a reward model, with a name and a score"):
        PianoEnv(reward=lambda pieces: 0)
    with pytest.raises(TypeError, match=r"reward must be a reward model, .* got <class"):
        PianoEnv(reward=NoteCount)
    with pytest.raises(TypeError, match="piano must be a Piano, got 88"):
        PianoEnv(piano=88)
    with pytest.raises(TypeError, match="a primer must be a Score or the path of a MIDI file, got 3"):
        PianoEnv(primer=3)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([353, 0]), r"action \[353, 0\] is outside the action space"),
        (np.array([0, -1]), r"action \[0, -1\] is outside"),
        (np.array([0.0, 1.0]), "must be integers"),
        (3, "an action must be .what, value."),
    ],
)
def test_bad_actions_are_named(action: object, message: str) -> None:
    env = PianoEnv(bars=1)
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(action)
    flat = PianoDiscreteEnv(bars=1)
    flat.reset()
    with pytest.raises(ValueError, match=r"action 4589 is outside the action space Discrete\(4589\)"):
        flat.step(4589)
