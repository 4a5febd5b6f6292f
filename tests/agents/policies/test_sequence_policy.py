"""The sequence policies as Stable-Baselines3's users call them, a step at a time and over whole sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from helpers.rounding import float32_rounding
from toccata.agents.policies.cache import Cache
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork, episode_starts_of, tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior.prior import Prior, PriorError, frozen
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.music.score import Score

SMALL = Piano(lowest=58, highest=62, chords=(), values=(6, 12))
SIZES = {
    "transformer": {"width": 16, "layers": 2, "heads": 2},
    "lstm": {"width": 16, "layers": 2},
    "wavenet": {"width": 16, "layers": 3},
}


def envs_of(count: int, **changes: Any) -> PianoVecEnv:
    settings = {"bars": 1, "beats_per_bar": 1, "piano": SMALL, "observation": "actions", **changes}
    env = PianoVecEnv(count, **settings)
    env.seed(0)
    return env


def policy_of(env: PianoVecEnv, backbone: str) -> SequencePolicy:
    torch.manual_seed(0)
    policy = SequencePolicy(
        env.observation_space,  # type: ignore[arg-type]
        env.action_space,  # type: ignore[arg-type]
        lambda _: 1e-3,
        piano=env.core.piano,
        backbone=backbone,
        network_config=SIZES[backbone],
    )
    with torch.no_grad():
        for parameter in policy.parameters():  # larger weights than the initial ones, so that mistakes show
            parameter += 0.3 * torch.randn_like(parameter)
    return policy


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
def backbone(request: pytest.FixtureRequest) -> str:
    return request.param


class Line:
    """An environment that is played on, and what was seen of it."""

    def __init__(self, rows: int, seed: int, bars: int = 2) -> None:
        self.env = envs_of(rows, bars=bars)
        self.rng = np.random.default_rng(seed)
        self.now: Any = self.env.reset()
        self.seen: list[Any] = []

    def play(self) -> None:
        """Go on by a random legal action."""
        self.seen.append(self.now)
        self.now = self.env.step(self.env.core.dynamics.random_legal_actions(self.rng))[0]

    def expected(self, policy: SequencePolicy) -> np.ndarray:
        """The likeliest actions now, from one pass over all that was seen."""
        history = [*self.seen, self.now]
        observations = {key: np.stack([each[key] for each in history], axis=1) for key in self.now}
        tensors = tensors_of(observations, policy.device, time=True)
        with torch.no_grad():
            logits, _ = policy.network(tensors, episode_starts_of(tensors))
        return policy.distribution(logits[:, -1], self.env.action_masks()).mode().numpy()


def test_predict_goes_on_with_a_state_and_without(backbone: str) -> None:
    line, policy = Line(3, 0), policy_of(envs_of(1), backbone)
    state = None
    for _ in range(40):
        masks = line.env.action_masks()
        expected = line.expected(policy)
        stateless, _ = policy.predict(line.now, deterministic=True, action_masks=masks)
        np.testing.assert_array_equal(stateless, expected)
        line.play()
    line, line_seen = Line(3, 1), 0
    for _ in range(40):
        actions, state = policy.predict(line.now, state, deterministic=True, action_masks=line.env.action_masks())
        np.testing.assert_array_equal(actions, line.expected(policy))
        line_seen += int(episode_starts_of(tensors_of(line.now, policy.device)).sum())
        line.play()
    assert line_seen > 3, "pieces ended on the way"


def test_lines_of_steps_do_not_disturb_each_other(backbone: str) -> None:
    """Two that hand their states on, of as many rows, and one that knows nothing of states, all in turn."""
    policy = policy_of(envs_of(1), backbone)
    lines = [Line(2, seed, bars=12) for seed in range(3)]
    states: list[Any] = [None, None]
    for step in range(160):
        for i, line in enumerate(lines):
            state = states[i] if i < 2 else None
            masks = line.env.action_masks()
            actions, after = policy.predict(line.now, state, deterministic=True, action_masks=masks)
            if i < 2:
                states[i] = after
            if step % 8 == 0:
                np.testing.assert_array_equal(actions, line.expected(policy))
            line.play()
    assert max(int(episode_starts_of(tensors_of(each, policy.device)).sum()) for each in lines[0].seen[1:]), (
        "pieces ended"
    )


def test_predict_takes_one_observation(backbone: str) -> None:
    line, policy = Line(1, 0), policy_of(envs_of(1), backbone)
    state = None
    for _ in range(20):
        one = {key: value[0] for key, value in line.now.items()}
        mask = line.env.action_masks()[0]
        action, state = policy.predict(one, state, deterministic=True, action_masks=mask)
        assert action.shape == (2,)
        np.testing.assert_array_equal(action, line.expected(policy)[0])
        line.play()


def test_predicted_actions_are_legal_and_drawn_by_torch(backbone: str) -> None:
    policy = policy_of(envs_of(1), backbone)
    played = []
    for _ in range(2):
        env = envs_of(8)
        observations: Any = env.reset()
        torch.manual_seed(3)
        for _ in range(30):
            actions, _ = policy.predict(observations, action_masks=env.action_masks())
            played.append(actions)
            observations = env.step(actions)[0]
            assert (env.core.dynamics.states["illegal_actions"] == 0).all()
    np.testing.assert_array_equal(played[:30], played[30:])


def test_a_state_of_other_rows_is_refused_and_forgotten_without_one(backbone: str) -> None:
    policy = policy_of(envs_of(1), backbone)
    three, two = Line(3, 0), Line(2, 0)
    _, state = policy.predict(three.now)
    with pytest.raises(ValueError, match="the state is of 3 environments, the observation of 2"):
        policy.predict(two.now, state)
    actions, _ = policy.predict(two.now, deterministic=True, action_masks=two.env.action_masks())
    np.testing.assert_array_equal(actions, two.expected(policy))


def test_steps_and_whole_sequences_agree(backbone: str) -> None:
    line, policy = Line(3, 2), policy_of(envs_of(1), backbone)
    cache, stepped, masks = None, [], []
    for _ in range(30):
        masks.append(line.env.action_masks())
        with torch.no_grad():
            actions, values, log_probs, logits, cache = policy(line.now, cache, action_masks=masks[-1])
        assert logits.shape == (3, JointDistribution(SMALL).proba_distribution_net(1).out_features)
        stepped.append((actions, values, log_probs))
        line.seen.append(line.now)
        line.now = line.env.step(actions.numpy())[0]
    observations = {key: np.stack([each[key] for each in line.seen], axis=1) for key in line.now}
    actions, values, log_probs = (torch.stack(list(each), dim=1) for each in zip(*stepped, strict=True))
    found = policy.evaluate_actions(observations, actions, None, np.stack(masks, axis=1))
    near = {"rtol": 0.0, "atol": float32_rounding(4 * 16, 8.0)}  # as `helpers.sequence_agents.NEAR`
    torch.testing.assert_close(found[0], values.flatten(), **near)
    torch.testing.assert_close(found[1], log_probs.flatten(), **near)
    assert found[2].entropy().shape == (90,)
    assert isinstance(cache, Cache)
    with torch.no_grad():
        value = policy.predict_values(line.now, cache)
        free = policy.get_distribution(line.now, cache)
    assert value.shape == (3,)
    assert (free.what_log_probs > -100).all(), "without masks everything may be played"


def test_a_piece_begins_before_anything_was_played() -> None:
    """Not when only its clock stands at 0, and as well behind a primer."""
    primer = Score([(0, 24, 60, 80)], beats_per_bar=1, length_ticks=24)
    for changes in ({}, {"primer": primer}):
        env = envs_of(2, bars=2, **changes)
        observations = tensors_of(env.reset(), torch.device("cpu"))
        assert episode_starts_of(observations).all()
        played = tensors_of(env.step(np.array([[1, 0], [0, 1]]))[0], torch.device("cpu"))
        assert not episode_starts_of(played).any()
        waited = tensors_of(env.step(np.array([[0, 1], [0, 1]]))[0], torch.device("cpu"))
        assert waited["place"][1, 0] == 0, "a bar line was reached"
        assert not episode_starts_of(waited).any()


def test_a_saved_policy_is_the_same(tmp_path: Path, backbone: str) -> None:
    line, policy = Line(3, 0), policy_of(envs_of(1), backbone)
    policy.save(str(tmp_path / "policy.pth"))
    again = SequencePolicy.load(str(tmp_path / "policy.pth"), device="cpu")
    assert (again.piano, again.network_config) == (policy.piano, policy.network_config)
    for _ in range(5):
        ours, _ = policy.predict(line.now, deterministic=True)
        theirs, _ = again.predict(line.now, deterministic=True)
        np.testing.assert_array_equal(ours, theirs)
        line.play()


def test_training_mode_is_set_on_the_network(backbone: str) -> None:
    policy = policy_of(envs_of(1), backbone)
    policy.set_training_mode(True)
    assert policy.network.training
    policy.predict(Line(1, 0).now)
    assert not policy.network.training


def test_it_starts_from_a_prior_of_its_own_piano_and_shape(backbone: str) -> None:
    policy = policy_of(envs_of(1), backbone)
    shape = NetworkConfig(backbone, **SIZES[backbone])
    prior = Prior(frozen(SequenceNetwork(SMALL, shape)), SMALL, {})
    prior.initialise(policy)
    ours, theirs = policy.network.state_dict(), prior.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with torch.no_grad():
        next(policy.parameters()).add_(1.0)
    assert not torch.equal(next(policy.parameters()), next(prior.network.parameters())), "they share nothing"
    assert all(parameter.requires_grad for parameter in policy.parameters())
    with pytest.raises(PriorError, match="another piano"):
        Prior(prior.network, Piano(), {}).initialise(policy)
    wide = NetworkConfig(backbone, **{**SIZES[backbone], "width": 32})
    with pytest.raises(PriorError, match="another network"):
        Prior(SequenceNetwork(SMALL, wide), SMALL, {}).initialise(policy)


def test_a_policy_refuses_what_it_cannot_play() -> None:
    env = envs_of(1)
    space: Any = env.observation_space
    action_space: Any = env.action_space
    with pytest.raises(ValueError, match="MultiDiscrete"):
        SequencePolicy(space, action_space, lambda _: 1e-3)  # of the usual piano
    with pytest.raises(ValueError, match="MultiDiscrete"):
        SequencePolicy(space, spaces.Discrete(4), lambda _: 1e-3, piano=SMALL)  # type: ignore[arg-type]
    full: Any = envs_of(1, observation="full").observation_space
    with pytest.raises(ValueError, match='observation="actions"'):
        SequencePolicy(full, action_space, lambda _: 1e-3, piano=SMALL)
    with pytest.raises(ValueError, match="backbone must be one of transformer, lstm, wavenet, got 'gru'"):
        SequencePolicy(space, action_space, lambda _: 1e-3, piano=SMALL, backbone="gru")
    with pytest.raises(ValueError, match="must be a whole number in 1"):
        SequencePolicy(space, action_space, lambda _: 1e-3, piano=SMALL, network_config={"width": 0})
    many: Any = envs_of(1, genre="0", genres=[str(i) for i in range(9)]).observation_space
    with pytest.raises(ValueError, match="has 6 genres, the environment has 9"):
        SequencePolicy(many, action_space, lambda _: 1e-3, piano=SMALL)
