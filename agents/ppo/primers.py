"""Primers as context of a sequence policy: steps before its own, with actions that it did not choose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import OBSERVATION_KEYS, SequenceNetwork, tensors_of
from toccata.agents.prior.primer import PreparedPrimer
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

BARS_FINISHED = 2  # column of the observation "place"


@dataclass(frozen=True)
class PrimerSteps:
    """The steps of a primer's context, as an agent that composes it observes them.

    Attributes:
        observations: (steps, ...) int32 each, of `OBSERVATION_KEYS`.
        bars: of the context; they are counted as finished in the agent's own observations.
        last: (what, value) of the last of its actions, which the agent's first observation shows.
    """

    observations: dict[str, np.ndarray]
    bars: int
    last: np.ndarray

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.observations["genre"])


@lru_cache(maxsize=256)
def primer_steps(primer: Score, piano: Piano, bars: int, genre: int) -> PrimerSteps | None:
    """The steps of a primer that `bars` bars of the genre follow; None for a primer without actions.

    As in `sample_pieces`: the last bars of the primer only, and bars are counted from the first of them.
    """
    if not len(primer):
        return None
    prepared = PreparedPrimer.from_score(primer, piano, primer.beats_per_bar, primer.tempo_bpm)
    context = prepared.context
    if not len(prepared.actions):
        return None
    end_tick = context.length_ticks + bars * context.ticks_per_bar
    piece = Piece(replace(context, length_ticks=end_tick), actions=prepared.actions)
    recorded = record_trajectories([piece], piano).observations
    observations = {key: recorded[key][0].astype(np.int32) for key in OBSERVATION_KEYS}
    observations["genre"][:] = genre
    return PrimerSteps(observations, context.bars, prepared.actions[-1])


def primers_of_envs(
    envs: VecEnv, observations: dict[str, np.ndarray], starts: np.ndarray, piano: Piano
) -> dict[int, PrimerSteps]:
    """The primers of the environments `starts` whose piece begins with these observations, by environment."""
    try:
        scores = envs.get_attr("primer", starts.tolist())
    except AttributeError:
        return {}  # another environment than a piano's
    primers = {}
    for env, score in zip(starts.tolist(), scores, strict=True):
        bars = int(observations["place"][env][-1])
        genre = int(observations["genre"][env])
        steps = None if score is None else primer_steps(score, piano, bars, genre)
        if steps is not None:
            primers[env] = steps
    return primers


def prefill_primers(network: SequenceNetwork, primers: list[PrimerSteps], device: torch.device) -> Cache:
    """The cache of `network` after each of the primers, one a row; what is there several times is computed once."""
    numbers: dict[int, int] = {}  # by the identity of a primer: equal ones of `primer_steps` are the same object
    rows = torch.tensor([numbers.setdefault(id(steps), len(numbers)) for steps in primers], device=device)
    primers = list({id(steps): steps for steps in primers}.values())
    longest = max(map(len, primers))
    observations = {
        key: np.zeros((len(primers), longest, *primers[0].observations[key].shape[1:]), np.int32)
        for key in OBSERVATION_KEYS
    }
    for row, steps in enumerate(primers):
        for key, values in steps.observations.items():
            observations[key][row, : len(steps)] = values
    lengths = torch.tensor([len(steps) for steps in primers], device=device)
    with torch.no_grad():
        return network.prefill(tensors_of(observations, device, time=True), lengths)[rows]


def with_primers(
    observations: dict[str, np.ndarray], primers: list[dict[int, PrimerSteps]]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The steps of a rollout with those of the primers between them, for one causal pass.

    Args:
        observations: (envs, steps, ...) each.
        primers: of each step, those of the envs whose piece begins with it, by env; those after the last step are
            of the next rollout.

    Returns:
        (envs, longest, ...) each, padded at the end; and (envs, steps) int64, where the agent's own steps are among
        them, or None if there is no primer, so that they are all.
    """
    envs, count = observations["genre"].shape
    primers = primers[:count]
    if not any(primers):
        return observations, None
    inserted = np.zeros((envs, count), np.int64)
    for step, of_envs in enumerate(primers):
        for env, steps in of_envs.items():
            inserted[env, step] = len(steps)
    positions = np.arange(count) + inserted.cumsum(axis=1)
    longer = {}
    for key, values in observations.items():
        longer[key] = np.zeros((envs, int(positions.max()) + 1, *values.shape[2:]), values.dtype)
        if key == "place":
            longer[key][..., BARS_FINISHED] = 1  # no padding is taken for the start of an episode
        longer[key][np.arange(envs)[:, None], positions] = values
        for step, of_envs in enumerate(primers):
            for env, steps in of_envs.items():
                end = positions[env, step]
                longer[key][env, end - len(steps) : end] = steps.observations[key]
    return longer, positions
