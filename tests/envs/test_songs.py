"""Environments with words: the registered ids keep their promises, alone and batched."""

from __future__ import annotations

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Piano, PianoVectorEnv, random_legal_actions
from toccata.music.lyrics import Lyrics, LyricsError, underlay
from toccata.music.score import Score

WORDS = "Tyger Tyger, burning bright,\nIn the forests of the night;"
TEXTS = (WORDS, "Gloria")
IDS = ["toccata/Piano-v0", "toccata/PianoDiscrete-v0", "toccata/PianoVelocity-v0", "toccata/MOPiano-v0"]


@pytest.mark.parametrize("id_", IDS)
def test_every_id_sings_the_words(id_: str, play_episode, assert_same) -> None:
    env = gym.make(id_, lyrics=WORDS, observation="actions")
    episode = play_episode(env, seed=3)
    *_, terminated, truncated, info = episode[-1]
    assert terminated
    assert not truncated
    piece = info["piece"]
    assert piece.lyrics == Lyrics.parse(WORDS)
    assert piece.underlay == underlay(piece.score, piece.lyrics)
    assert info["illegal_actions"] == 0
    assert_same(play_episode(env, seed=3), episode)
    assert all(env.observation_space.contains(step[0]) for step in episode)


@pytest.mark.filterwarnings("ignore:.*Box action space.*", "ignore:.*not within.*")
@pytest.mark.parametrize("id_", IDS[:3])
def test_gymnasiums_checker(id_: str) -> None:
    check_env(gym.make(id_, lyrics=WORDS).unwrapped, skip_render_check=True)


def test_the_observation_shows_the_words() -> None:
    env = gym.make("toccata/Piano-v0", lyrics="Glo_ria\nday", observation="actions")
    observation, _ = env.reset(seed=0)
    rows = observation["syllables"]
    assert rows[:5, 0].tolist() == [1] * 5  # Glo, its second note, ri, a, day
    assert not rows[5:].any()
    assert rows[:5, 1].tolist() == [1, 1, 1, 0, 1]
    assert rows[:5, 2].tolist() == [0, 1, 0, 0, 0]
    assert rows[:5, 3].tolist() == [0, 0, 0, 1, 1]
    assert (rows[:5, 4] <= rows[:5, 5]).all()
    np.testing.assert_allclose(observation["voice"], [0, 0, 1, 4 / 64, 2 / 64])
    env.step((Piano().key_of(48), 12))
    observation, *_ = env.step((Piano().key_of(72), 8))
    np.testing.assert_allclose(observation["voice"], [52 / 88, 1 / 16, 4 / 5, 3 / 64, 2 / 64], rtol=1e-6)
    assert observation["syllables"][:4, 2].tolist() == [1, 0, 0, 0]


def test_unknown_stress_is_observed() -> None:
    observation, _ = gym.make("toccata/Piano-v0", lyrics="The slithy immortal").reset(seed=0)
    assert observation["syllables"][:6, 1].tolist() == [0, -1, -1, 0.5, 1, 0]


def test_without_words_nothing_changes() -> None:
    env = gym.make("toccata/Piano-v0")
    assert set(env.observation_space) == {"held", "recent", "clock", "last", "genre"}
    _, info = env.reset(seed=0)
    assert env.unwrapped.piece.lyrics is None
    assert env.unwrapped.piece.underlay is None
    assert env.unwrapped.core.bars == 8
    assert info["action_mask"][:353].all()


def test_bars_follow_from_the_text_unless_given() -> None:
    assert gym.make("toccata/Piano-v0", lyrics=WORDS).unwrapped.core.bars == 4
    assert gym.make("toccata/Piano-v0", lyrics=WORDS, bars=6).unwrapped.core.bars == 6
    assert gym.make("toccata/Piano-v0", lyrics=WORDS, beats_per_bar=3).unwrapped.core.bars == 6
    with pytest.raises(LyricsError, match="bars must be at least 2 for lyrics of 2 lines and 14 notes, got 1"):
        gym.make("toccata/Piano-v0", lyrics=WORDS, bars=1)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_batched_songs_equal_single_ones(mode: str, assert_same) -> None:
    """Several texts, of other lengths: each piece draws one, and equal seeds give equal songs."""
    n, steps = 3, 250
    batch = PianoVectorEnv(n, lyrics=TEXTS, observation="actions", genre=None, autoreset_mode=mode)
    singles = gym.vector.SyncVectorEnv(
        [lambda: gym.make("toccata/Piano-v0", lyrics=TEXTS, observation="actions", genre=None)] * n,
        autoreset_mode=gym.vector.AutoresetMode(mode),
    )
    rng = np.random.default_rng(0)
    observations, _ = batch.reset(seed=5)
    expected, _ = singles.reset(seed=5)
    assert_same(observations, expected)
    sung = set()
    for _ in range(steps):
        masks = batch.action_masks()
        np.testing.assert_array_equal(masks, np.stack(singles.call("action_masks")))
        actions = random_legal_actions(masks, 353, rng)
        observations, _, terminated, truncated, infos = batch.step(actions)
        expected, _, expected_terminated, _, _ = singles.step(actions)
        assert_same(observations, expected)
        np.testing.assert_array_equal(terminated, expected_terminated)
        for found in (infos, infos.get("final_info", {})):
            sung |= {str(piece.lyrics) for piece in found.get("piece", []) if piece is not None}
        if mode == "Disabled" and terminated.any():
            options = {"reset_mask": terminated | truncated}
            batch.reset(options=options)
            singles.reset(options=options)
    assert sung == set(TEXTS)


def test_the_fewest_bars_are_enough_in_every_metre(play_episode) -> None:
    """The limit of the steps grows with the length of the bars, as the syllables that they hold do."""
    for beats, notes in ((2, 3), (4, 7), (12, 23), (32, 63)):
        env = gym.make("toccata/Piano-v0", lyrics="la " * notes, bars=1, beats_per_bar=beats)
        assert env.unwrapped.core.max_steps == 128 * max(1, beats // 4)
        piece = play_episode(env, seed=0)[-1][-1]["piece"]
        assert len(piece.underlay) == notes


def test_the_state_of_a_song_can_be_restored() -> None:
    def made(**changes: object) -> PianoVectorEnv:
        return PianoVectorEnv(3, **{"lyrics": TEXTS, "observation": "actions", **changes})

    env, rng = made(), np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(40):
        env.step(env.core.dynamics.random_legal_actions(rng))
    state = env.core.state()
    other = made()
    other.reset(seed=9)
    other.core.set_state(state)
    for _ in range(40):
        np.testing.assert_array_equal(other.core.action_masks(), env.core.action_masks())
        actions = env.core.dynamics.random_legal_actions(rng)
        env.core.step(actions)
        other.core.step(actions)
    for name, array in env.core.state().items():
        np.testing.assert_array_equal(array, other.core.state()[name])
    for changes in ({"lyrics": WORDS}, {"voice": "alto"}, {"bars": 9}):
        with pytest.raises(ValueError, match="the state is of other lyrics, another voice or other bars"):
            made(**changes).core.set_state(state)


def test_a_song_after_a_primer(play_episode) -> None:
    primer = Score([(0, 24, 60, 80), (24, 24, 79, 80), (48, 72, 67, 80)], beats_per_bar=3, tempo_bpm=90)
    env = gym.make("toccata/Piano-v0", lyrics=WORDS, primer=primer)
    piece = play_episode(env, seed=0)[-1][-1]["piece"]
    assert piece.start_tick == 144
    assert piece.score.bars == 2 + 6
    assert len(piece.underlay) == 14
    assert piece.underlay.onset_ticks[0] >= 144


def test_illegal_actions_are_counted_and_the_words_end(play_episode) -> None:
    env = gym.make("toccata/Piano-v0", lyrics=WORDS, illegal_penalty=0.5)
    episode = play_episode(env, 0, True)  # actions of the space
    *_, terminated, truncated, info = episode[-1]
    assert terminated
    assert not truncated
    assert len(info["piece"].underlay) == 14
    assert info["illegal_actions"] == -2 * sum(step[1] for step in episode)
    assert info["illegal_actions"] > 0


def test_actions_played_again_give_the_song(play_episode) -> None:
    from toccata.envs.codec import play

    piece = play_episode(gym.make("toccata/Piano-v0", lyrics=WORDS), 0, True)[-1][-1]["piece"]
    again = play(piece.actions, Piano())
    np.testing.assert_array_equal(again.notes, piece.score.notes)


def test_pieces_with_words_are_pickled_and_compared(play_episode) -> None:
    piece = play_episode(gym.make("toccata/Piano-v0", lyrics=WORDS), 0)[-1][-1]["piece"]
    again = pickle.loads(pickle.dumps(piece))
    assert again == piece
    again.lyrics = None
    assert again != piece


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lyrics": ""}, "lyrics: has no word to sing"),
        ({"lyrics": []}, "lyrics must be a text or a sequence of at least one, got none"),
        ({"lyrics": 3}, "lyrics must be text, got int"),
        ({"lyrics": [WORDS, 3]}, "lyrics must be text, got int"),
        ({"voice": "tenr"}, "unknown voice 'tenr'"),
        ({"lyrics": WORDS, "max_steps": 5}, r"max_steps must be at least \d+ for lyrics of 14 notes, got 5"),
        ({"lyrics": WORDS, "piano": Piano(highest=55)}, "the soprano sings 60..79"),
    ],
)
def test_bad_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(LyricsError, match=message):
        gym.make("toccata/Piano-v0", **arguments).reset(seed=0)
