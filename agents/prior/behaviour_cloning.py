"""Behaviour cloning: fits a policy to real music by maximum likelihood, before PPO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.utils import obs_as_tensor

from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior.fitting.maximum_likelihood import fit_network
from toccata.envs.core import PianoCore
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Piece

EXCERPTS = 384  # sampled for each epoch: about 80,000 steps of chorales
BATCH_SIZE = 512
LENGTH_SAMPLES = 64  # excerpts that the mean length is estimated from
WEIGHT_DECAY = 0.1  # there are some 300 chorales: without it the policy overfits


@dataclass(frozen=True)
class Demonstrations:
    """Observations, actions and masks of an agent that plays given pieces: all first steps, then all second ones ..."""

    observations: dict[str, np.ndarray]  # (steps, ...) each
    actions: np.ndarray  # (steps, 2) int64, with velocities (steps, 3)
    masks: np.ndarray  # (steps, whats + values) bool


def record_demonstrations(pieces: Sequence[Piece], core: PianoCore) -> Demonstrations:
    """Play `pieces` in an environment, one in each of its first envs, and record every step.

    Args:
        pieces: with their actions; at most as many as `core` has envs.
        core: an environment of the same piano and at least the pieces' length.

    Raises:
        ValueError: when no piece has an action.
    """
    dimensions = len(core.piano.nvec)
    piece_actions = [np.empty((0, dimensions)) if piece.actions is None else piece.actions for piece in pieces]
    lengths = np.array([len(each) for each in piece_actions])
    actions = np.zeros((core.num_envs, int(lengths.max(initial=0)), dimensions), np.int64)
    for row, each in zip(actions, piece_actions, strict=False):
        row[: len(each)] = each
    core.reset(range(core.num_envs), [np.random.default_rng(0)] * core.num_envs)
    observations: dict[str, list[np.ndarray]] = {key: [] for key in core.observation_space}
    masks, recorded_actions = [], []
    for step in range(actions.shape[1]):
        rows = np.flatnonzero(lengths > step)
        for key, value in core.observe().items():
            observations[key].append(value[rows])
        masks.append(core.dynamics.masks[rows])
        recorded_actions.append(actions[rows, step])
        core.step(actions[:, step])
    if not masks:
        raise ValueError("there is nothing to demonstrate: no piece has an action")
    return Demonstrations(
        {key: np.concatenate(steps) for key, steps in observations.items()},
        np.concatenate(recorded_actions),
        np.concatenate(masks),
    )


def clone_sequences(
    policy: SequencePolicy,
    dataset: ExcerptDataset,
    *,
    epochs: int,
    rng: np.random.Generator,
    learning_rate: float = 1e-3,
    on_batch: Callable[[float, float], None] | None = None,
) -> list[float]:
    """Fit a sequence policy to whole excerpts by maximum likelihood; the critic is not trained.

    Args:
        policy: is changed in place.
        dataset: of the excerpts; each epoch samples new ones, in new keys.
        epochs: of about as many notes as `EXCERPTS` excerpts have.
        rng: random number generator.
        learning_rate: of AdamW, the highest.
        on_batch: called after every batch with the fraction done, in [0, 1], and the loss in nats an action.

    Returns:
        mean loss of each epoch, in nats an action.
    """
    notes = float(np.mean([len(piece.score) for piece in dataset.sample(LENGTH_SAMPLES, rng)]))
    return fit_network(
        policy.network,
        dataset,
        None,
        epochs=epochs,
        epoch_notes=round(notes * EXCERPTS),
        seed=int(rng.integers(2**63)),
        learning_rate=learning_rate,
        weight_decay=WEIGHT_DECAY,
        on_batch=None if on_batch is None else lambda done, loss, steps: on_batch(done, loss),
    ).train_losses


def clone_steps(
    policy: MaskableActorCriticPolicy,
    dataset: ExcerptDataset,
    *,
    environment: Mapping[str, Any],
    epochs: int,
    rng: np.random.Generator,
    learning_rate: float = 1e-3,
    on_batch: Callable[[float, float], None] | None = None,
) -> list[float]:
    """Fit a policy without a cache to shuffled steps of excerpts by maximum likelihood; the critic is not trained.

    Args:
        policy: is changed in place.
        dataset: of the excerpts; each epoch samples new ones, in new keys.
        environment: arguments of the `PianoCore` that the excerpts are replayed in.
        epochs: of `EXCERPTS` excerpts; the learning rate falls to zero along a cosine.
        rng: random number generator.
        learning_rate: of AdamW, at the start.
        on_batch: called after every batch with the fraction done, in [0, 1], and the loss in nats an action.

    Returns:
        mean loss of each epoch, in nats an action.
    """
    core = PianoCore(EXCERPTS, **environment)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    policy.set_training_mode(True)
    losses = []
    for epoch in range(epochs):
        steps = record_demonstrations(dataset.sample(EXCERPTS, rng), core)
        order = rng.permutation(len(steps.actions))
        batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
        epoch_losses = []
        for k, batch in enumerate(batches):
            done = (epoch + (k + 1) / len(batches)) / epochs
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + np.cos(np.pi * done))
            loss = -log_likelihood(policy, steps, batch).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            epoch_losses.append(loss.item())
            if on_batch is not None:
                on_batch(done, epoch_losses[-1])
        losses.append(float(np.mean(epoch_losses)))
    policy.set_training_mode(False)
    return losses


def log_likelihood(policy: MaskableActorCriticPolicy, steps: Demonstrations, batch: np.ndarray) -> torch.Tensor:
    """(k,) log-probabilities in nats of the demonstrated actions at the indices `batch` (k,)."""
    observations = obs_as_tensor({key: value[batch] for key, value in steps.observations.items()}, policy.device)
    distribution = policy.get_distribution(observations, steps.masks[batch])
    return distribution.log_prob(torch.as_tensor(steps.actions[batch], device=policy.device))
