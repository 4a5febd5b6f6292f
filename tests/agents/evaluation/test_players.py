"""Policy functions and models of Stable-Baselines3 are evaluated as runs are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.torch_layers import CombinedExtractor

from toccata.agents import PianoVecEnv, load_model
from toccata.agents.evaluation.evaluate import read_rewards
from toccata.agents.evaluation.players import EvaluationError, name_of, player_of, random_player
from toccata.agents.generation.rollouts import generate_pieces
from toccata.agents.runs.builders import environment_arguments, excerpt_dataset
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.rewards_file import with_corpus_limits
from toccata.agents.runs.run_folder import Run
from toccata.envs import Piano
from toccata.envs.core import PianoCore
from toccata.files import FileError
from toccata.reward_models import Silence, parse_rewards

Evaluate = Callable[..., dict[str, Any]]
ENVIRONMENT = {"bars": 1, "genre": "folk"}
SMALL = {"net_arch": [8]}


class Extractor(CombinedExtractor):
    """With a size that torch's LSTM takes: an int."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space)
        self._features_dim = int(self._features_dim)


RECURRENT = {"lstm_hidden_size": 8, "features_extractor_class": Extractor}


def always_a_middle_c(observation: dict[str, np.ndarray], action_mask: np.ndarray) -> tuple[int, int]:
    """Legal once in a tick."""
    return 40, 6


def first_legal(observation: dict[str, np.ndarray], action_mask: np.ndarray) -> tuple[int, int]:
    whats = int(Piano().nvec[0])
    return int(np.flatnonzero(action_mask[:whats])[-1]), int(np.flatnonzero(action_mask[whats:])[0])


def test_a_policy_function_has_the_report_of_a_run(
    quickly: Evaluate, evaluated: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    summary = quickly(always_a_middle_c, reference=first_legal)
    folder = tmp_path / "evaluations/always_a_middle_c-1"
    of_run = evaluated[1]
    assert {*summary, "model_sha256"} == of_run.keys()
    assert summary["differences"].keys() == of_run["differences"].keys()
    assert list(summary["composers"]) == list(of_run["composers"])
    assert {*summary["composers"]["agent"], "sibling_rating"} == set(of_run["composers"]["agent"])
    assert json.loads((folder / "metrics.json").read_text()) == summary
    files = {path.name for path in folder.iterdir()}
    assert files == {path.name for path in (evaluated[0] / "evaluation").iterdir() if "001" not in path.name}
    page = (folder / "report.html").read_text()
    assert "<h1>always_a_middle_c</h1>" in page
    assert "1 bars of 4 beats at 120 a minute, classical; rewards: 1 silence" in page
    assert "<i>reference</i> is first_legal, which the agent is compared with" in page
    counts = summary["counts"]
    assert counts["illegal_actions"] == counts["actions"] / 2  # every second one becomes a rest
    assert f"of {counts['actions']} (50.0 %)" in page
    quickly(always_a_middle_c)
    assert (tmp_path / "evaluations/always_a_middle_c-2/report.html").is_file()


def test_a_function_hears_one_piece_after_the_other_from_its_seed() -> None:
    seen: list[float] = []

    def random_rests(observation: dict[str, np.ndarray], action_mask: np.ndarray) -> np.ndarray:
        seen.append(float(observation["clock"][4]))
        assert action_mask.shape == (366,)
        return np.array([0, np.random.randint(6, 10)])  # noqa: NPY002  # as old code does

    play = player_of(random_rests, ENVIRONMENT)
    first, again = (play(2, 5).pieces for _ in range(2))
    assert all(np.array_equal(one.actions, other.actions) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0].actions, first[1].actions)
    assert seen.count(0.0) == 4
    assert sorted(seen[: seen.index(0.0, 1)]) == seen[: seen.index(0.0, 1)]


def test_a_function_of_flat_actions_and_histories() -> None:
    def rest(observation: dict[str, np.ndarray], action_mask: np.ndarray) -> np.ndarray:
        assert observation.keys() == {"place", "top", "last", "genre"}
        return np.flatnonzero(action_mask)[0]

    played = player_of(rest, ENVIRONMENT, "actions", discrete=True)(1, 0)
    assert played.counts == {"actions": 96, "illegal_actions": 0}
    assert not len(played.pieces[0].score)


@pytest.mark.parametrize("action", [7.0, (1, 2, 3), (353, 0), (-1, 0), None, "c4"])
def test_what_is_no_action_is_named(action: Any) -> None:
    with pytest.raises(EvaluationError, match="policy: returned"):
        player_of(lambda *_: action, ENVIRONMENT)(1, 0)


def test_models_play_with_their_spaces_and_masks() -> None:
    full, flat = PianoVecEnv(2, **ENVIRONMENT), PianoVecEnv(2, flat=True, observation="actions", **ENVIRONMENT)
    ppo = PPO("MultiInputPolicy", full, n_steps=32, batch_size=64, n_epochs=1, policy_kwargs=SMALL, device="cpu")
    ppo.learn(64)
    models = {
        ppo: False,
        A2C("MultiInputPolicy", full, policy_kwargs=SMALL, device="cpu"): False,
        DQN("MultiInputPolicy", flat, buffer_size=10, policy_kwargs=SMALL, device="cpu"): False,
        MaskablePPO("MultiInputPolicy", flat, n_steps=8, batch_size=16, policy_kwargs=SMALL, device="cpu"): True,
        RecurrentPPO(
            "MultiInputLstmPolicy", full, n_steps=8, batch_size=16, policy_kwargs=RECURRENT, device="cpu"
        ): False,
    }
    for model, masked in models.items():
        play = player_of(model, ENVIRONMENT)
        played, again = play(2, 3), play(2, 3)
        assert [piece.score for piece in played.pieces] == [piece.score for piece in again.pieces], name_of(model)
        assert [piece.score.bars for piece in played.pieces] == [1, 1]
        assert {piece.genre for piece in played.pieces} == {"folk"}
        assert played.counts["actions"] == sum(len(piece.actions) for piece in played.pieces)
        assert (played.counts["illegal_actions"] == 0) == masked, name_of(model)


@pytest.mark.skipif(
    "observation_mask" not in signature(PianoCore.__init__).parameters, reason="no masks in observations"
)
def test_a_model_that_observes_its_mask() -> None:
    env = PianoVecEnv(2, observation_mask=True, **ENVIRONMENT)
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=16, policy_kwargs=SMALL, device="cpu")
    assert len(player_of(model, ENVIRONMENT)(2, 0).pieces) == 2


def test_a_model_without_masks_is_evaluated(quickly: Evaluate, tmp_path: Path) -> None:
    env = PianoVecEnv(1, bars=1, observation="actions")
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, policy_kwargs=SMALL, device="cpu")
    summary = quickly(model, out=tmp_path / "mine")
    assert summary["counts"]["illegal_actions"] > 0
    assert list(summary["composers"]) == ["agent", "random", "real"]
    page = (tmp_path / "mine/report.html").read_text()
    assert "<h1>PPO</h1>" in page
    assert "reference policy" not in page
    assert '<th scope="col">reference</th>' not in page
    assert not (tmp_path / "mine/reference.mid").exists()
    with pytest.raises(FileError, match="mine: exists already; choose another folder"):
        quickly(model, out=tmp_path / "mine")


def test_rewards_are_those_of_training(corpus_folder: Path) -> None:
    """Named rules have limits of the corpus, unless they are given; models that were made stay as they are."""
    config = TrainConfig(policy="mlp", bars=1, corpus=(str(corpus_folder),))
    music, made = excerpt_dataset(config, "train"), Silence(0.03)
    specs = ["density", ("silence(limit=0.5)", 2.0), {"model": "density", "weight": 0.5}, (made, 1.0)]
    models = read_rewards(specs, config, 0)
    density = with_corpus_limits(music, parse_rewards([("density", 1.0)]), replace(config, rewards=(("density", 1.0),)))
    assert list(models.models.values()) == [*density.models.values(), Silence(0.5), *density.models.values(), made]
    assert list(models.weights.values()) == [1.0, 2.0, 0.5, 1.0]
    assert models.models["silence-2"] is made
    assert list(read_rewards("silence", config, 0).models) == ["silence"]


def test_a_model_of_a_run_plays_as_the_run_does(toy_run: Path) -> None:
    arguments = environment_arguments(Run.open(toy_run).config)
    model = load_model(toy_run / "model.zip", "cpu")
    played = player_of(model, {**arguments, "observation": "actions"})(3, 7)
    assert [each.score for each in played.pieces] == [each.score for each in generate_pieces(model, 3, 7, arguments)]
    assert played.counts["illegal_actions"] == 0


def test_random_pieces_are_complete_and_repeatable() -> None:
    play = random_player({"bars": 1})
    first, again, other = (play(3, seed).pieces for seed in (4, 4, 5))
    assert [piece.score for piece in first] == [piece.score for piece in again]
    assert all(piece.score.bars == 1 for piece in first)
    assert [piece.score for piece in other] != [piece.score for piece in first]


def test_what_cannot_be_evaluated_is_named(quickly: Evaluate) -> None:
    for agent in (5, None, PPO, {"a": 1}):
        with pytest.raises(EvaluationError, match="cannot evaluate"):
            quickly(agent)
    other = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(EvaluationError, match=r"PPO: its action_space is Discrete.* not that of a piano"):
        quickly(other)
    assert name_of(lambda: 0) == "policy"
