"""The observations of every piece under way and of its primer, from which the current weights compute caches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import OBSERVATION_KEYS, SequenceNetwork, tensors_of
from toccata.agents.ppo.primers import PrimerSteps


@dataclass
class History:
    """What the policy has observed of each environment's piece so far, and that piece's KL from the reference policy.

    Attributes:
        observations: (envs, capacity, ...) int32 each.
        lengths: (envs,) int64, how many of them are of the piece under way.
        kl: (envs,) nats of the piece under way.
        primer_bars: (envs,) int64, bars of the primer that are counted as finished in the observations.
    """

    observations: dict[str, np.ndarray]
    lengths: np.ndarray
    kl: np.ndarray
    primer_bars: np.ndarray

    @classmethod
    def empty(cls, envs: int) -> History:
        """The history before the first step of every piece."""
        shapes = {"place": (envs, 0, 4), "last": (envs, 0, 2), "top": (envs, 0), "genre": (envs, 0)}
        observations = {key: np.zeros(shapes[key], np.int32) for key in OBSERVATION_KEYS}
        return cls(observations, np.zeros(envs, np.int64), np.zeros(envs), np.zeros(envs, np.int64))

    def extend(
        self,
        observations: dict[str, np.ndarray],
        episode_starts: np.ndarray,
        done: np.ndarray,
        primers: list[dict[int, PrimerSteps]],
    ) -> None:
        """Append the observations of a rollout, and drop those of pieces that ended in it.

        Args:
            observations: (envs, steps, ...) each.
            episode_starts: (envs, steps) bool, the steps with which a piece begins.
            done: (envs,) bool, whose piece ended with the last step.
            primers: of each step, those of the envs whose piece begins with it, by env.
        """
        steps = episode_starts.shape[1]
        last = np.where(episode_starts.any(axis=1), steps - 1 - episode_starts[:, ::-1].argmax(axis=1), -1)
        starts = np.where(last < 0, 0, last)
        before = np.where(last < 0, self.lengths, 0)
        preceding = [primers[step].get(i) if step >= 0 else None for i, step in enumerate(last.tolist())]
        before += [0 if primer is None else len(primer) for primer in preceding]
        lengths = np.where(done, 0, before + steps - starts)
        for key, new in observations.items():
            longer = np.zeros((len(new), int(lengths.max(initial=0)), *new.shape[2:]), np.int32)
            for i in np.flatnonzero(lengths):
                primer = preceding[i]
                earlier = self.observations[key][i] if primer is None else primer.observations[key]
                longer[i, : before[i]] = earlier[: before[i]]
                longer[i, before[i] : lengths[i]] = new[i, starts[i] :]
            self.observations[key] = longer
        self.lengths = lengths

    def prefill(self, network: SequenceNetwork, device: torch.device) -> Cache:
        """The cache of `network` after the observations so far."""
        with torch.no_grad():
            observations = tensors_of(self.observations, device, time=True)
            return network.prefill(observations, torch.as_tensor(self.lengths, device=device))


def observations_by_env(buffer: MaskableDictRolloutBuffer) -> dict[str, np.ndarray]:
    """The observations of a full rollout buffer, (envs, steps, ...) int32 each."""
    observations = {}
    for key in OBSERVATION_KEYS:
        values = np.swapaxes(buffer.observations[key], 0, 1).astype(np.int32)
        observations[key] = values if key in ("place", "last") else values.reshape(values.shape[:2])
    return observations
