"""The batched environments against single ones."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import toccata  # noqa: F401  # registers the ids
from toccata.envs import Piano, PianoDiscreteEnv, PianoDiscreteVectorEnv, PianoEnv, PianoVectorEnv, Piece, Pieces
from toccata.music import Score

N = 3
SMALL = Piano(lowest=48, highest=72, values=(6, 12, 24, 48))


class Bars:
    name = "bars"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([score.bars + len(score) / 100 for score in pieces.scores], np.float32)


VARIANTS = [
    {"bars": 1, "genre": None},
    {"bars": 1, "observation": "actions", "reward": Bars(), "illegal_penalty": 0.5, "max_steps": 25},
    {"bars": 2, "reward": Bars(), "reward_at": "bar", "genre": None, "piano": SMALL, "beats_per_bar": 3},
    {"bars": 1, "primer": Score([(0, 24, 60, 64), (80, 16, 64, 30)], tempo_bpm=70), "reward": Bars()},
]


def assert_same(a: object, b: object, rows: np.ndarray | None = None) -> None:
    """Equal; of arrays only the `rows`, which for infos are those of their masks."""
    rows = np.ones(N, bool) if rows is None else rows
    if isinstance(a, dict):
        assert isinstance(b, dict)
        keys = {key for key in {**a, **b} if not key.startswith("_")}
        for key in keys:
            present = [infos.get(f"_{key}", rows) & rows & (key in infos) for infos in (a, b)]
            np.testing.assert_array_equal(*present, err_msg=key)
            if key in a and key in b:
                assert_same(a[key], b[key], present[0])
    elif isinstance(a, np.ndarray) and a.dtype == object:
        for x, y in zip(a[rows], b[rows], strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray) and len(a) == N:
        np.testing.assert_array_equal(a[rows], b[rows])
    elif isinstance(a, Piece):
        assert (a.score, a.genre, a.start_tick) == (b.score, b.genre, b.start_tick)
        np.testing.assert_array_equal(a.actions, b.actions)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("flat", [False, True], ids=["pairs", "flat"])
@pytest.mark.parametrize("arguments", VARIANTS, ids=["silent", "actions", "bars", "primer"])
def test_a_batch_equals_a_sync_vector_env(arguments: dict, flat: bool, mode: AutoresetMode) -> None:
    single, batch = (PianoDiscreteEnv, PianoDiscreteVectorEnv) if flat else (PianoEnv, PianoVectorEnv)
    ours = batch(N, autoreset_mode=mode, **arguments)
    theirs = SyncVectorEnv([lambda: single(**arguments)] * N, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
    (our_observation, our_infos), (their_observation, their_infos) = ours.reset(seed=5), theirs.reset(seed=5)
    assert_same(our_observation, their_observation)
    assert_same(our_infos, their_infos)
    rng = np.random.default_rng(0)
    ends = 0
    for k in range(90):
        if k % 7 == 0:
            actions = rng.integers(ours.single_action_space.n, size=N) if flat else rng.integers((353, 13), size=(N, 2))
            actions %= np.array(4 if flat else ours.single_action_space.nvec)
        else:
            actions = ours.core.dynamics.random_legal_actions(rng)
            actions = actions @ [ours.core.piano.nvec[1], 1] if flat else actions
        our, their = ours.step(actions), theirs.step(actions)
        for x, y in zip(our[:4], their[:4], strict=True):
            assert_same(x, y)
        assert_same(our[4], their[4])
        assert ours.observation_space.contains(our[0])
        done = our[2] | our[3]
        ends += done.sum()
        if mode is AutoresetMode.DISABLED and done.any():
            (our_observation, our_infos), (their_observation, their_infos) = (
                envs.reset(options={"reset_mask": done, "genre": "jazz"}) for envs in (ours, theirs)
            )
            assert_same(our_observation, their_observation)
            assert_same(our_infos, their_infos)
    assert ends > 3


def test_the_autoreset_mode_is_of_the_instance() -> None:
    one, other = (
        gym.make_vec("toccata/Piano-v0", num_envs=2, bars=1, autoreset_mode=m) for m in ("NextStep", "SameStep")
    )
    assert one.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert other.metadata["autoreset_mode"] is PianoVectorEnv.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    with pytest.raises(ValueError, match="autoreset_mode must be one of NextStep, SameStep, Disabled, got 'never'"):
        PianoVectorEnv(2, autoreset_mode="never")


@pytest.mark.parametrize("flat", [False, True], ids=["pairs", "flat"])
def test_an_action_that_is_ignored_can_be_anything(flat: bool) -> None:
    single, batch = (PianoDiscreteEnv, PianoDiscreteVectorEnv) if flat else (PianoEnv, PianoVectorEnv)
    envs = [
        batch(2, bars=1, autoreset_mode=AutoresetMode.NEXT_STEP),
        SyncVectorEnv([lambda: single(bars=1)] * 2, autoreset_mode=AutoresetMode.NEXT_STEP),
    ]
    whole, no_action = (12, -1) if flat else ([0, 12], [-1, 0])
    for each in envs:
        each.reset(seed=0)
        assert each.step(np.array([whole, [0, 0]] if not flat else [whole, 0]))[2].tolist() == [True, False]
    ignored = np.array([no_action, 0 if flat else [0, 0]])
    results = [each.step(ignored) for each in envs]
    assert ignored[0].tolist() == no_action
    for ours, theirs in zip(results[0][:4], results[1][:4], strict=True):
        np.testing.assert_equal(ours, theirs)
    with pytest.raises(ValueError, match="is outside the action space"):
        envs[0].step(ignored)


def test_disabled_autoreset_refuses_to_play_on() -> None:
    envs = PianoVectorEnv(2, bars=1, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0)
    assert envs.step(np.array([[0, 12], [0, 0]]))[2].tolist() == [True, False]
    with pytest.raises(gym.error.ResetNeeded, match=r"the pieces of the envs \[0\] have ended"):
        envs.step(np.array([[0, 0], [0, 0]]))
    envs.reset(options={"reset_mask": np.array([True, False])})
    assert envs.core.dynamics.states["steps"].tolist() == [0, 1]
    envs.step(np.array([[0, 0], [0, 0]]))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_gymnasiums_vector_observation_wrappers(mode: AutoresetMode) -> None:
    def make() -> gym.vector.VectorEnv:
        return gym.make_vec("toccata/Piano-v0", num_envs=2, bars=1, autoreset_mode=mode)

    space = make().single_observation_space
    flat = vector_wrappers.FlattenObservation(make())
    clock = vector_wrappers.TransformObservation(
        vector_wrappers.FilterObservation(make(), ["clock"]),
        lambda observation: observation["clock"],
        observation_space=spaces.Box(-1, 1, (2, 6), np.float32),
        single_observation_space=space["clock"],
    )
    rescaled = vector_wrappers.RescaleObservation(clock, np.float32(0), np.float32(2))
    wrapped = [flat, rescaled]
    if mode is AutoresetMode.NEXT_STEP:
        wrapped.append(vector_wrappers.NormalizeObservation(clock))
    for envs in map(RecordEpisodeStatistics, wrapped):
        envs.reset(seed=0)
        for _ in range(3):
            observations, _, terminated, _, infos = envs.step(np.array([[0, 12], [0, 3]]))
            assert observations.shape == envs.observation_space.shape
            if terminated.any():
                assert infos["episode"]["l"].tolist() == [1, 0]
                if mode is AutoresetMode.DISABLED:
                    envs.reset(options={"reset_mask": terminated})
    plain = make()
    observations, _ = plain.reset(seed=0)
    expected = [spaces.flatten(space, {key: value[i] for key, value in observations.items()}) for i in range(2)]
    np.testing.assert_array_equal(flat.reset(seed=0)[0], expected)


def test_infos_as_lists_and_reward_wrappers() -> None:
    for mode in AutoresetMode:
        made = gym.make_vec("toccata/Piano-v0", num_envs=2, bars=1, reward=Bars(), autoreset_mode=mode)
        envs = vector_wrappers.DictInfoToList(vector_wrappers.NormalizeReward(made, gamma=1.0))
        envs.reset(seed=0)
        _, _, terminated, _, infos = envs.step(np.array([[0, 12], [0, 3]]))
        assert terminated.tolist() == [True, False]
        last = infos[0]["final_info"] if mode is AutoresetMode.SAME_STEP else infos[0]
        assert isinstance(last["piece"], Piece)
        assert "piece" not in infos[1]
        assert infos[1]["action_mask"].shape == (366,)


def test_seeds_and_partial_resets() -> None:
    env = PianoVectorEnv(N, bars=1, genre=None, observation="actions")
    first = env.reset(seed=[4, 5, 6])[0]
    assert_same(first, env.reset(seed=4)[0])
    for _ in range(3):
        env.step(env.core.dynamics.random_legal_actions(np.random.default_rng(0)))
    steps = env.core.dynamics.states["steps"].tolist()
    _, infos = env.reset(seed=[4, None, None], options={"reset_mask": np.array([True, False, False])})
    assert steps == [3, 3, 3]
    assert env.core.dynamics.states["steps"].tolist() == [0, 3, 3]
    assert infos["_action_mask"].tolist() == [True, False, False]
    with pytest.raises(ValueError, match="need a seed for each of 3 envs, got 2"):
        env.reset(seed=[1, 2])
    with pytest.raises(ValueError, match=r"reset_mask must be bool of shape \(3,\), got int64 \(2,\)"):
        env.reset(options={"reset_mask": np.array([0, 1])})


def test_returned_arrays_do_not_change() -> None:
    env = PianoVectorEnv(N, bars=1)
    results = [env.reset(seed=0)]
    rng = np.random.default_rng(0)
    copies = [pickle.loads(pickle.dumps(results[0]))]
    for _ in range(60):
        observation, _, _, _, infos = env.step(env.core.dynamics.random_legal_actions(rng))
        results.append((observation, {"action_mask": infos["action_mask"]}))
        copies.append(pickle.loads(pickle.dumps(results[-1])))
    env.reset(options={"reset_mask": np.array([True, False, True])})
    for returned, expected in zip(results, copies, strict=True):
        assert_same(returned[0], expected[0])
        assert_same(returned[1], expected[1])


@pytest.mark.parametrize(("id_", "cls"), [("Piano", PianoVectorEnv), ("PianoDiscrete", PianoDiscreteVectorEnv)])
def test_make_vec_and_gymnasiums_loop(id_: str, cls: type) -> None:
    envs = gym.make_vec(f"toccata/{id_}-v0", num_envs=N, bars=1, reward=Bars())
    assert isinstance(envs, cls)
    sync = gym.make_vec(f"toccata/{id_}-v0", num_envs=2, vectorization_mode="sync", bars=1)
    assert sync.single_action_space == envs.single_action_space
    envs = RecordEpisodeStatistics(envs)
    observations, _ = envs.reset(seed=0)
    envs.action_space.seed(0)
    while envs.episode_count < 5:
        observations, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
        done = terminations | truncations
        if done.any():
            np.testing.assert_array_equal(infos["episode"]["r"][done], rewards[done])
            assert all(infos["final_obs"][i] is not None for i in np.flatnonzero(done))
            assert all(isinstance(piece, Piece) for piece in infos["final_info"]["piece"][done])
    assert envs.observation_space.contains(observations)
    envs.close()


def test_render_shows_every_env() -> None:
    envs = PianoVectorEnv(2, bars=1, render_mode="rgb_array")
    envs.reset(seed=0)
    pictures = envs.render()
    assert len(pictures) == 2
    assert pictures[0].dtype == np.uint8
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array' for a vector environment"):
        PianoVectorEnv(2, render_mode="human")


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 2), int), r"shape \(3, 2\), got int64 \(2, 2\)"),
        (np.zeros(6, int), r"shape \(3, 2\)"),
        (np.zeros((3, 2)), "must be integers"),
        (np.array([[0, 0], [0, 13], [0, 0]]), r"action \[0, 13\] is outside"),
    ],
)
def test_bad_actions_are_named(actions: np.ndarray, message: str) -> None:
    env = PianoVectorEnv(N, bars=1)
    env.reset()
    with pytest.raises(ValueError, match=message):
        env.step(actions)
    flat = PianoDiscreteVectorEnv(N, bars=1)
    flat.reset()
    with pytest.raises(ValueError, match="action -1 is outside the action space"):
        flat.step(np.array([0, -1, 0]))
    with pytest.raises(ValueError, match="flat actions must be integers"):
        flat.step(actions)
