"""The peers of the sequence policies: what a user of sb3-contrib would train on the same pianos.

RecurrentPPO has an LSTM and no masks. MaskablePPO has no cache, so its transformer reads a window of what came last.
Both read observations through the very embedding of ours, so that networks are of one size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnvWrapper

from toccata.agents.policies.sequence_network import OBSERVATION_KEYS, NetworkConfig, SequenceNetwork, episode_starts_of
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano

WIDTHS = {"place": 4, "top": 1, "last": 2, "genre": 1}  # numbers in each part of an observation
FIELDS = sum(WIDTHS.values())


class Window(VecEnvWrapper):
    """The last `steps` observations "actions" of each piano as one array, (steps, 8) float32, the newest last.

    What lies before a piece is 0, which `episode_starts_of` takes for the beginning of another piece.
    """

    def __init__(self, venv: PianoVecEnv, steps: int) -> None:
        super().__init__(venv, spaces.Box(0, np.inf, (steps, FIELDS), np.float32))
        self.seen = np.zeros((self.num_envs, steps, FIELDS), np.float32)

    def reset(self) -> np.ndarray:
        """Begin a piece in every env."""
        self.seen[:] = 0
        return self._after(self.venv.reset())

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play one action in every env."""
        observations, rewards, dones, infos = self.venv.step_wait()
        for i in np.flatnonzero(dones):
            last = _row({key: np.asarray(value)[None] for key, value in infos[i]["terminal_observation"].items()})
            infos[i]["terminal_observation"] = np.concatenate([self.seen[i, 1:], last])
        self.seen[dones] = 0
        return self._after(observations), rewards, dones, infos  # type: ignore[arg-type]  # a dict

    def _after(self, observations: Any) -> np.ndarray:
        self.seen[:, :-1] = self.seen[:, 1:].copy()
        self.seen[:, -1] = _row(observations)
        return self.seen.copy()


def _row(observations: dict[str, np.ndarray]) -> np.ndarray:
    """Observations (envs, ...) as (envs, 8)."""
    return np.concatenate([observations[key].reshape(-1, width) for key, width in WIDTHS.items()], axis=1)


class Reader(BaseFeaturesExtractor):
    """A sequence network without its heads: the embedding for an LSTM behind it, or a transformer's last output."""

    def __init__(self, observation_space: spaces.Box, network_config: NetworkConfig) -> None:
        super().__init__(observation_space, network_config.width)
        network = SequenceNetwork(Piano(), network_config)
        self.network = network
        self.reads_all = network_config.backbone == "transformer"
        network.actor = network.critic = torch.nn.Identity()  # type: ignore[assignment]  # the policy has its own
        if not self.reads_all:
            network.backbone = torch.nn.Identity()  # type: ignore[assignment]  # likewise

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """(rows, width) of windows (rows, steps, 8)."""
        parts = dict(zip(WIDTHS, windows.long().split(list(WIDTHS.values()), dim=-1), strict=True))
        observations = {key: parts[key] if WIDTHS[key] > 1 else parts[key].squeeze(-1) for key in OBSERVATION_KEYS}
        x, steps = self.network.embed(observations, episode_starts_of(observations))
        if self.reads_all:
            x = self.network.backbone(x, steps)
        return x[:, -1]


def recurrent(env: PianoVecEnv, config: NetworkConfig, **arguments: Any) -> RecurrentPPO:
    """RecurrentPPO with an LSTM of this size, shared by actor and critic, the leanest that it has."""
    policy = {
        "features_extractor_class": Reader,
        "features_extractor_kwargs": {"network_config": config},
        "net_arch": [],
        "lstm_hidden_size": config.width,
        "n_lstm_layers": config.layers,
        "shared_lstm": True,
        "enable_critic_lstm": False,
    }
    return RecurrentPPO("MlpLstmPolicy", Window(env, 1), policy_kwargs=policy, **arguments)


def windowed(env: PianoVecEnv, config: NetworkConfig, steps: int, **arguments: Any) -> MaskablePPO:
    """MaskablePPO with a transformer of this size over the last `steps` steps."""
    policy = {
        "features_extractor_class": Reader,
        "features_extractor_kwargs": {"network_config": config},
        "net_arch": [],
    }
    return MaskablePPO("MlpPolicy", Window(env, steps), policy_kwargs=policy, **arguments)
