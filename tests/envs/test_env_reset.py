"""Primers, genres and the options of reset."""

from pathlib import Path

import gymnasium as gym
import pytest

import toccata  # noqa: F401  # registers the ids
from toccata.envs import GENRES
from toccata.music import Score


def test_a_primer_is_continued_in_its_metre_and_tempo(play_episode, tmp_path: Path) -> None:
    primer = Score([(0, 24, 60, 64), (72, 24, 64, 30)], beats_per_bar=3, tempo_bpm=90)
    primer.to_midi(tmp_path / "primer.mid")
    for value in (primer, tmp_path / "primer.mid", str(tmp_path / "primer.mid")):
        env = gym.make("toccata/Piano-v0", bars=2, primer=value, genre="jazz")
        steps = play_episode(env, seed=0)
        score = env.unwrapped.score
        assert (score.bars, score.beats_per_bar, score.tempo_bpm) == (4, 3, 90)
        assert score.slice(0, 2 * 72).notes.tolist() == primer.notes.tolist()
        piece = steps[-1][4]["piece"]
        assert (piece.start_tick, piece.genre) == (2 * 72, "jazz")
        assert steps[0][0]["clock"][4] == 0
        assert steps[0][0]["recent"].any()


def test_a_primer_whose_metre_changes_ends_at_the_next_bar_of_its_main_metre() -> None:
    notes = [
        (48 * i, 48, 60 + i % 5, 80) for i in range(12)
    ]  # 576 ticks: one bar of 12/4 and eight of 3/8, or two of 12/4
    env = gym.make("toccata/Piano-v0", bars=1, primer=Score(notes, time_signatures=[(0, 12, 4), (288, 3, 8)]))
    env.reset(seed=0)
    assert env.unwrapped.score.length_ticks == 576 + 288


def test_a_primer_with_more_notes_than_the_initial_capacity(play_episode) -> None:
    primer = Score([(3 * t, 3, 60 + t % 2, 64) for t in range(1000)])
    env = gym.make("toccata/Piano-v0", bars=1, primer=primer)
    play_episode(env, seed=0)
    assert len(env.unwrapped.score) > 1000
    assert env.unwrapped.score.slice(0, 3000).notes.tolist() == primer.notes.tolist()


def test_reset_options_apply_to_one_piece() -> None:
    env = gym.make("toccata/Piano-v0", bars=1, observation="actions")
    primer = Score([(0, 24, 60, 64)], tempo_bpm=77)
    observation, _ = env.reset(options={"primer": primer, "genre": "rock", "tempo_bpm": 140})
    assert observation["genre"] == GENRES.index("rock")
    assert (env.unwrapped.score.tempo_bpm, env.unwrapped.score.bars) == (140, 2)
    env.reset(options={"primer": primer})
    assert env.unwrapped.score.tempo_bpm == 77
    observation, _ = env.reset()
    assert (env.unwrapped.score.tempo_bpm, env.unwrapped.score.bars, observation["genre"]) == (120, 1, 0)


def test_genre_none_draws_every_genre() -> None:
    env = gym.make("toccata/Piano-v0", genre=None, observation="actions")
    drawn = [int(env.reset(seed=seed)[0]["genre"]) for seed in range(60)]
    assert set(drawn) == set(range(len(GENRES)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tempo": 100}, "unknown reset option 'tempo'; there are primer, genre, tempo_bpm"),
        ({"genre": "jaz"}, "unknown genre 'jaz'.*did you mean 'jazz'"),
        ({"tempo_bpm": 0}, "tempo_bpm must be in 4..600, got 0"),
        ({"primer": Score()}, "a primer must have at least one bar"),
    ],
)
def test_bad_reset_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make("toccata/Piano-v0", bars=1).reset(options=options)
