"""The render modes."""

import gymnasium as gym
import numpy as np
import pytest

import toccata  # noqa: F401  # registers the ids
from toccata.envs import PianoEnv
from toccata.envs.rendering import TEXT_COLUMNS, text
from toccata.music import Score


def test_pictures_keep_their_shape_through_an_episode() -> None:
    env = gym.make("toccata/Piano-v0", bars=2, render_mode="rgb_array")
    env.reset(seed=0)
    rng, done, shapes, pictures = np.random.default_rng(0), False, set(), []
    while not done:
        picture = env.render()
        pictures.append(picture)
        shapes.add(picture.shape)
        done = env.step(env.unwrapped.core.dynamics.random_legal_actions(rng)[0])[2]
    assert len(shapes) == 1
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert (pictures[0] != pictures[-1]).any()


def test_text_shows_onsets_held_notes_bars_and_the_clock() -> None:
    score = Score([(0, 24, 60, 64), (12, 6, 64, 64), (84, 12, 61, 64)], length_ticks=192)
    assert text(score, 18) == "\n".join(
        [
            "bar 1, beat 1.75",
            "    |..v............|...............",
            "  E4  O                             ",
            " C#4              O-                ",
            "  C4O---                            ",
        ]
    )


def test_text_of_a_long_piece_shows_its_end() -> None:
    score = Score([(t, 24, 60, 64) for t in range(0, 96 * 20, 24)])
    lines = text(score, 96 * 20).splitlines()
    assert lines[0] == "bar 21, beat 1.00"
    assert all(len(line) <= 4 + TEXT_COLUMNS for line in lines[1:])
    assert "O---" in lines[2]
    assert text(Score(), 0) == "bar 1, beat 1.00\n    "


def test_ansi_and_human_without_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    env = gym.make("toccata/Piano-v0", bars=1, render_mode="ansi")
    env.reset(seed=0)
    assert env.render().startswith("bar 1, beat 1.00")
    human = gym.make("toccata/Piano-v0", bars=1, render_mode="human")
    human.reset(seed=0)
    human.step(np.array([40, 8]))
    human.step(np.array([0, 8]))
    human.close()
    shown = capsys.readouterr().out
    assert shown.count("bar 1") == 3
    assert "bar 1, beat 2.00" in shown
    assert "C4O---" in shown


def test_render_without_a_mode_warns() -> None:
    env = PianoEnv(bars=1)
    env.reset()
    with pytest.warns(UserWarning, match="render.. needs a render_mode"):
        assert env.render() is None
