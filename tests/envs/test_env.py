"""The promises that every registered environment keeps."""

import copy
import inspect
import pickle
import re
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics, TimeLimit, TransformReward

import toccata  # noqa: F401  # registers the ids
from toccata.envs import GENRES, Piano, PianoCore, PianoDiscreteEnv, PianoEnv, Piece, Pieces, RewardModelError
from toccata.music import Score

IDS = ("toccata/Piano-v0", "toccata/PianoDiscrete-v0")
BAR = 96


class NoteCount:
    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) for score in pieces.scores], np.float32)


class TwoTerms:
    name = "two"

    def contributions(self, pieces: Pieces) -> dict[str, np.ndarray]:
        return {"notes": NoteCount().score(pieces), "bars": -np.array([score.bars for score in pieces.scores])}

    def score(self, pieces: Pieces) -> np.ndarray:
        return sum(self.contributions(pieces).values())


VARIANTS = [
    {},
    {"observation": "actions", "reward": NoteCount(), "genre": None},
    {"reward": TwoTerms(), "reward_at": "bar", "illegal_penalty": 0.25, "beats_per_bar": 3},
]


def legal(env: gym.Env, rng: np.random.Generator) -> np.ndarray | int:
    mask = env.unwrapped.action_masks()
    if isinstance(env.unwrapped, PianoDiscreteEnv):
        return int(rng.choice(np.flatnonzero(mask)))
    whats = env.unwrapped.core.dynamics.whats
    return np.array([rng.choice(np.flatnonzero(part)) for part in (mask[:whats], mask[whats:])])


def episode(env: gym.Env, seed: int, sample: bool = False, options: dict | None = None) -> list[tuple]:
    """(observation, reward, terminated, truncated, info) of each step; with `sample`, illegal actions too."""
    rng = np.random.default_rng(seed)
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed, options=options)
    steps = [(observation, 0.0, False, False, info)]
    while not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(env.action_space.sample() if sample else legal(env, rng)))
    return steps


def assert_same(a: object, b: object) -> None:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, Piece):
        assert isinstance(b, Piece)
        assert (a.score, a.genre, a.start_tick) == (b.score, b.genre, b.start_tick)
        np.testing.assert_array_equal(a.actions, b.actions)
    elif isinstance(a, (tuple, list)):
        assert isinstance(b, (tuple, list))
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.fixture(params=IDS)
def id_(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("arguments", VARIANTS, ids=["full", "actions", "bars"])
def test_gymnasium_and_sb3_have_nothing_to_say(id_: str, arguments: dict) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(id_, bars=2, **arguments)
        check_env(env.unwrapped)
        sb3_check_env(env.unwrapped)


@pytest.mark.parametrize("arguments", VARIANTS, ids=["full", "actions", "bars"])
def test_same_seed_same_episode(id_: str, arguments: dict) -> None:
    first, second = (episode(gym.make(id_, bars=2, **arguments), seed=3, sample=True) for _ in range(2))
    assert_same(first, second)


def test_random_play_stays_in_the_spaces_and_has_the_asked_length(id_: str) -> None:
    for arguments in VARIANTS:
        env = gym.make(id_, bars=2, **arguments)
        for seed in range(4):
            steps = episode(env, seed, sample=seed % 2 == 0)
            for observation, reward, _, _, info in steps:
                assert env.observation_space.contains(observation)
                assert isinstance(reward, float)
                assert info["action_mask"].dtype == np.bool_
            assert steps[-1][2]
            assert not steps[-1][3]
            assert env.unwrapped.score.bars == 2
            assert (steps[-1][4]["illegal_actions"] > 0) == (seed % 2 == 0)


def test_the_mask_in_info_is_that_of_action_masks(id_: str) -> None:
    env = gym.make(id_, bars=1)
    mask = env.reset(seed=0)[1]["action_mask"]
    for _ in range(20):
        np.testing.assert_array_equal(mask, env.unwrapped.action_masks())
        mask = env.step(legal(env, np.random.default_rng(0)))[4]["action_mask"]


def test_the_flat_piano_is_the_same_piano() -> None:
    pair, flat = (gym.make(id_, bars=2, reward=NoteCount()) for id_ in IDS)
    assert flat.action_space == spaces.Discrete(353 * 13)
    pair.reset(seed=0)
    flat.reset(seed=0)
    rng, done = np.random.default_rng(0), False
    while not done:
        what, value = legal(pair, rng)
        mask = pair.unwrapped.action_masks()
        np.testing.assert_array_equal(np.outer(mask[:353], mask[353:]).ravel(), flat.unwrapped.action_masks())
        one, other = pair.step(np.array([what, value])), flat.step(what * 13 + value)
        assert_same(one[:4], other[:4])
        done = one[2]


def test_observations_are_fresh_arrays() -> None:
    env = gym.make(IDS[0], bars=2)
    seen, _ = env.reset(seed=0)
    copies = []
    for seed in range(30):
        copies.append((seen, copy.deepcopy(seen)))
        seen = env.step(legal(env, np.random.default_rng(seed)))[0]
    for given, copied in copies:
        assert_same(given, copied)


def test_pickled_and_copied_envs_play_on_alike(id_: str) -> None:
    env = gym.make(id_, bars=2, reward=NoteCount(), reward_at="bar").unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(15):
        env.step(legal(env, rng))
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        action = legal(env, np.random.default_rng(1))
        assert_same(other.step(action), copy.deepcopy(env).step(action))
        assert_same(other.reset(), copy.deepcopy(env).reset())


# Rewards


def test_without_a_reward_model_nothing_is_paid_but_the_piece_is_told() -> None:
    steps = episode(gym.make(IDS[0], bars=2), seed=0)
    assert [step[1] for step in steps] == [0.0] * len(steps)
    assert ["piece" in step[4] for step in steps] == [False] * (len(steps) - 1) + [True]
    piece = steps[-1][4]["piece"]
    assert piece.genre == "classical"
    assert piece.actions.shape == (len(steps) - 1, 2)
    assert piece.score.bars == 2


@pytest.mark.parametrize("model", [NoteCount(), TwoTerms()], ids=["one", "two terms"])
def test_paid_bar_by_bar_adds_up_to_the_piece(model: NoteCount | TwoTerms) -> None:
    whole = episode(gym.make(IDS[0], bars=4, reward=model), seed=1)
    bars = episode(gym.make(IDS[0], bars=4, reward=model, reward_at="bar"), seed=1)
    assert [step[1] for step in whole[:-1]] == [0.0] * (len(whole) - 1)
    worth = float(model.score(Pieces([whole[-1][4]["piece"]]))[0])
    assert whole[-1][1] == worth
    assert sum(step[1] for step in bars) == pytest.approx(worth)
    assert 2 <= sum("piece" in step[4] for step in bars) <= 4
    lengths = [step[4]["piece"].score.bars for step in bars if "piece" in step[4]]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 4


def test_terms_add_up_to_the_reward() -> None:
    env = gym.make(IDS[0], bars=2, reward=TwoTerms(), reward_at="bar", illegal_penalty=0.5)
    names = set()
    for _, reward, _, _, info in episode(env, seed=0, sample=True):
        assert sum(info["reward_terms"].values()) == pytest.approx(reward)
        names |= info["reward_terms"].keys()
    assert names == {"notes", "bars", "illegal"}


def test_an_illegal_action_is_a_wait_that_is_counted_and_charged() -> None:
    env = gym.make(IDS[0], bars=2, illegal_penalty=0.5)
    env.reset(seed=0)
    c4 = np.array([Piano().key_of(60), 8])
    assert env.step(c4)[1] == 0
    _, reward, _, _, info = env.step(c4)
    assert (reward, info["illegal_actions"], info["reward_terms"]) == (-0.5, 1, {"illegal": -0.5})
    assert env.unwrapped.core.dynamics.states["clock"][0] == 24
    assert len(env.unwrapped.score) == 1
    assert env.reset()[1]["illegal_actions"] == 0


def test_truncated_at_max_steps_and_paid() -> None:
    steps = episode(gym.make(IDS[0], bars=8, max_steps=5, reward=NoteCount()), seed=0)
    assert len(steps) == 6
    assert steps[-1][2:4] == (False, True)
    assert steps[-1][1] == len(steps[-1][4]["piece"].score) > 0


# Starting


def test_a_primer_is_continued_in_its_own_metre_and_tempo(tmp_path: Path) -> None:
    primer = Score([(0, 24, 60, 64), (72, 24, 64, 30)], beats_per_bar=3, tempo_bpm=90)
    primer.to_midi(tmp_path / "primer.mid")
    for given in (primer, tmp_path / "primer.mid", str(tmp_path / "primer.mid")):
        env = gym.make(IDS[0], bars=2, primer=given, genre="jazz")
        steps = episode(env, seed=0)
        score = env.unwrapped.score
        assert (score.bars, score.beats_per_bar, score.tempo_bpm) == (4, 3, 90)
        assert score.slice(0, 2 * 72).notes.tolist() == primer.notes.tolist()
        piece = steps[-1][4]["piece"]
        assert (piece.start_tick, piece.genre) == (2 * 72, "jazz")
        assert steps[0][0]["clock"][4] == 0
        assert steps[0][0]["recent"].any()


def test_a_primer_longer_than_the_room_for_notes() -> None:
    primer = Score([(3 * t, 3, 60 + t % 2, 64) for t in range(1000)])
    env = gym.make(IDS[0], bars=1, primer=primer)
    episode(env, seed=0)
    assert len(env.unwrapped.score) > 1000
    assert env.unwrapped.score.slice(0, 3000).notes.tolist() == primer.notes.tolist()


def test_reset_options_hold_for_one_piece() -> None:
    env = gym.make(IDS[0], bars=1, observation="actions")
    primer = Score([(0, 24, 60, 64)], tempo_bpm=77)
    observation, _ = env.reset(options={"primer": primer, "genre": "rock", "tempo_bpm": 140})
    assert observation["genre"] == GENRES.index("rock")
    assert (env.unwrapped.score.tempo_bpm, env.unwrapped.score.bars) == (140, 2)
    env.reset(options={"primer": primer})
    assert env.unwrapped.score.tempo_bpm == 77
    observation, _ = env.reset()
    assert (env.unwrapped.score.tempo_bpm, env.unwrapped.score.bars, observation["genre"]) == (120, 1, 0)


def test_genres_are_drawn_where_none_is_asked_for() -> None:
    env = gym.make(IDS[0], genre=None, observation="actions")
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
        gym.make(IDS[0], bars=1).reset(options=options)


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


def test_things_of_the_wrong_kind_are_named() -> None:
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


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda pieces: 1 / 0, "'guilty' raised ZeroDivisionError"),
        (lambda pieces: [float("nan")], "'guilty' must return finite scores, got nan"),
        (lambda pieces: np.zeros((1, 1)), r"'guilty' must return shape \(1,\)"),
        (lambda pieces: "much", "'guilty' must return 1 numbers, got str"),
    ],
)
def test_a_failing_reward_model_is_named(answer: object, message: str) -> None:
    class Guilty:
        name = "guilty"
        score = staticmethod(answer)

    env = gym.make(IDS[0], bars=1, max_steps=1, reward=Guilty())
    env.reset()
    with pytest.raises(RewardModelError, match=message):
        env.step(np.array([0, 0]))


# Wrappers


def test_wrappers_of_gymnasium() -> None:
    env = gym.make(IDS[0], bars=4, reward=NoteCount(), max_episode_steps=7)
    env = FlattenObservation(TransformReward(RecordEpisodeStatistics(env), lambda reward: 2 * reward))
    steps = episode(env, seed=0)
    assert isinstance(env.env.env.env, TimeLimit)
    assert steps[-1][2:4] == (False, True)
    assert steps[-1][4]["episode"]["l"] == 7
    assert env.observation_space.contains(steps[-1][0])
    whole = RecordEpisodeStatistics(gym.make(IDS[0], bars=2, reward=NoteCount()))
    steps = episode(whole, seed=0)
    assert steps[-1][4]["episode"]["r"] == steps[-1][1] == len(steps[-1][4]["piece"].score)


# The data sheet


def table(text: str, header: str) -> list[dict[str, str]]:
    """The Markdown table whose header begins so."""
    lines = inspect.cleandoc(text).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(header))
    names = [cell.strip() for cell in lines[first].strip("|").split("|")]
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, (cell.strip() for cell in line.strip("|").split("|")), strict=True)))
    return rows


def bounds(space: spaces.Space) -> tuple[str, str]:
    """Lowest and highest value as the tables write them."""
    if isinstance(space, spaces.Discrete):
        return "0", str(space.n - 1)
    sides = (0, space.nvec - 1) if isinstance(space, spaces.MultiDiscrete) else (space.low, space.high)
    low, high = (f"{np.min(side):g}" if np.ptp(side) == 0 else str(side.tolist()) for side in sides)
    return low, high


@pytest.mark.parametrize("observation", ["full", "actions"])
def test_the_observation_tables_are_true(observation: str) -> None:
    text = PianoEnv.__doc__
    full = {row["Key"]: row for row in table(text, "| Key")}
    rows = full
    if observation == "actions":
        reduced = table(text[text.index('With `observation="actions"`') :], "| Key")
        rows = {row["Key"]: row for row in reduced} | {key: full[key] for key in ("last", "genre")}
    space = PianoEnv(observation=observation).observation_space
    assert rows.keys() == space.keys()
    for key, part in space.items():
        row = rows[key]
        assert row["Space"] == type(part).__name__
        assert row["Shape"] == str(part.shape)
        assert row["Dtype"] == str(part.dtype)
        assert (row["Min"], row["Max"]) == bounds(part)


def test_the_action_table_is_true() -> None:
    space = PianoEnv().action_space
    assert f"`MultiDiscrete({space.nvec.tolist()})`" in PianoEnv.__doc__
    rows = table(PianoEnv.__doc__, "| Num")
    assert [(row["Min"], row["Max"]) for row in rows] == [("0", str(size - 1)) for size in space.nvec]
    assert " ".join(map(str, Piano().values)) in rows[1]["Action"]
    assert f"({space.nvec.sum()},) bool" in PianoEnv.__doc__
    assert f"`{PianoDiscreteEnv().action_space!r}`" in PianoDiscreteEnv.__doc__


def test_the_argument_table_is_true() -> None:
    defaults = {name: p.default for name, p in inspect.signature(PianoCore.__init__).parameters.items()}
    defaults |= {"render_mode": inspect.signature(PianoEnv.__init__).parameters["render_mode"].default}
    for name in ("self", "num_envs"):
        del defaults[name]
    rows = table(PianoEnv.__doc__, "| Argument")
    written = {row["Argument"]: row["Default"] for row in rows}
    assert written == {
        name: "GENRES" if name == "genres" else f'"{value}"' if isinstance(value, str) else str(value)
        for name, value in defaults.items()
    }
    genres = next(row for row in table(PianoEnv.__doc__, "| Key") if row["Key"] == "genre")
    assert ", ".join(GENRES) in genres["Meaning"]


@pytest.mark.parametrize("env", [PianoEnv, PianoDiscreteEnv])
def test_the_data_sheet_has_gymnasiums_sections(env: type) -> None:
    assert re.findall(r"## (.*)", env.__doc__) == [
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Version History",
    ]


def test_rewards_every_second_bar_add_up_to_the_same() -> None:
    env = gym.make(IDS[0], bars=5, reward=NoteCount(), reward_at="bar", bars_per_reward=2)
    _, info = env.reset(seed=3)
    rng, paid, ended = np.random.default_rng(3), [], False
    while not ended:
        mask = info["action_mask"]
        action = [rng.choice(np.flatnonzero(mask[:353])), rng.choice(np.flatnonzero(mask[353:]))]
        _, reward, ended, _, info = env.step(np.array(action))
        if "piece" in info:
            paid.append(float(reward))
            assert info["piece"].score.bars in (2, 4, 5)
    assert len(paid) == 3
    assert sum(paid) == pytest.approx(len(info["piece"].score))
