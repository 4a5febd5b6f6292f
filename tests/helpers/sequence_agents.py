"""Small agents with sequence policies, toy rewards with known optima, and a recorder of rollouts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

import toccata  # noqa: F401  # registers the environments
from helpers.rounding import float32_rounding
from toccata.agents.policies.sequence_network import SequenceNetwork, episode_starts_of, tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.history import observations_by_env
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.prior import frozen
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces

SMALL = Piano(lowest=58, highest=62, chords=(), values=(6, 12))


MELODY = Piano(lowest=58, highest=62, chords=(), values=(6, 12), max_sounding=1)


SIZES = {
    "transformer": {"width": 16, "layers": 2, "heads": 2},
    "lstm": {"width": 16, "layers": 2},
    "wavenet": {"width": 16, "layers": 3},
}


# Sums over a width of 16 in each of two layers and two heads; values, log-probabilities and rewards are below 8.
# A step that is left out or repeated changes outputs by more than 1e-3 (see test_backbones.py).
NEAR = {"rtol": 0.0, "atol": float32_rounding(4 * 16, 8.0)}


class Notes:
    """A tenth for every note."""

    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(score) / 10 for score in pieces.scores], np.float32)


class OnlyC:
    """A quarter for every C and less a quarter for every other note: a bar of four C is 1, and nothing is more."""

    name = "only_c"

    def score(self, pieces: Pieces) -> np.ndarray:
        pitches = [score.notes["pitch"] for score in pieces.scores]
        return np.array([np.where(each == 60, 0.25, -0.25).sum() for each in pitches], np.float32)


class Rising:
    """A third for every note a semitone above the last.

    A melody of the bar's four places has at most three, so that the most is 1.
    """

    name = "rising"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([(np.diff(score.notes["pitch"].astype(int)) == 1).sum() / 3 for score in pieces.scores])


def make_envs(count: int, **changes: Any) -> PianoVecEnv:
    settings = {"bars": 1, "beats_per_bar": 1, "piano": SMALL, "observation": "actions", **changes}
    return PianoVecEnv(count, **settings)


def make_agent(env: Any, backbone: str = "transformer", noise: float = 0.3, **changes: Any) -> SequenceComposerPPO:
    """An agent whose initial weights have noise added, so that outputs differ by more than rounding."""
    piano = changes.pop("piano", SMALL)
    settings: dict[str, Any] = {"n_steps": 24, "batch_size": 48, "n_epochs": 1, "gamma": 0.97, "gae_lambda": 0.9}
    settings |= {"seed": 5, "device": "cpu"} | changes
    kwargs = {"piano": piano, "backbone": backbone, "network_config": SIZES[backbone]}
    model = SequenceComposerPPO(SequencePolicy, env, policy_kwargs=kwargs, **settings)
    disturb(model.policy, noise)
    return model


def disturb(module: torch.nn.Module, noise: float) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator).to(parameter.device)


class RolloutRecorder(BaseCallback):
    """Records the observations, the steps, and the buffer and logs of each rollout."""

    model: SequenceComposerPPO

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, np.ndarray]] = []  # (envs, steps, ...) each, of each rollout
        self.rollouts: list[dict[str, np.ndarray]] = []  # (envs, steps, ...) each
        self.logged: list[dict[str, float]] = []
        self.steps: list[tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]] = []

    def _on_step(self) -> bool:
        self.steps.append(tuple(copy.deepcopy(self.locals[name]) for name in ("rewards", "dones", "infos")))  # type: ignore[arg-type]
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        names = ("rewards", "returns", "advantages", "values", "log_probs", "episode_starts", "actions", "action_masks")
        self.rollouts.append({name: np.swapaxes(getattr(buffer, name), 0, 1).copy() for name in names})
        self.seen.append(observations_by_env(buffer))  # type: ignore[arg-type]
        self.logged.append(dict(self.logger.name_to_value))
        self.look()

    def look(self) -> None:
        """Called at the end of each rollout, while the weights are those that it was played with."""

    def history(self) -> dict[str, np.ndarray]:
        """(envs, all steps so far, ...) each."""
        return {key: np.concatenate([each[key] for each in self.seen], axis=1) for key in self.seen[0]}

    def forward_over_history(self, network: SequenceNetwork) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and values of the last rollout's steps (envs, steps, ...), in one pass over all that was seen."""
        observations = tensors_of(self.history(), torch.device("cpu"), time=True)
        with torch.no_grad():
            logits, values = network(observations, episode_starts_of(observations))
        steps = self.model.n_steps
        return logits[:, -steps:], values[:, -steps:]


def disturbed_copy(model: SequenceComposerPPO, noise: float = 0.2) -> SequenceNetwork:
    assert isinstance(model.policy, SequencePolicy)
    network = copy.deepcopy(model.policy.network)
    disturb(network, noise)
    return frozen(network)


def weights_of(model: SequenceComposerPPO) -> list[torch.Tensor]:
    return [each.detach().clone() for each in model.policy.state_dict().values()]


def assert_consistent(model: SequenceComposerPPO, rollouts: RolloutRecorder) -> None:
    """The last rollout is what one pass over `rollouts.seen` gives."""
    assert isinstance(model.policy, SequencePolicy)
    values = rollouts.forward_over_history(model.policy.network)[1]
    np.testing.assert_allclose(values.flatten(), rollouts.rollouts[-1]["values"].flatten(), **NEAR)
