"""Behaviour cloning: a policy is fitted to real music before PPO, so that it does not start randomly initialised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.utils import obs_as_tensor

from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior.maximum_likelihood import fit_network
from toccata.envs.core import PianoCore
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Piece

EXCERPTS = 384  # encoded anew for every epoch, in new keys: about 80,000 steps of chorales
BATCH_SIZE = 512
LENGTH_SAMPLES = 64  # excerpts that the mean length is estimated from
WEIGHT_DECAY = 0.1  # there are some 300 chorales: without it they are memorised


@dataclass(frozen=True)
class Demonstrations:
    """What an agent that played given pieces would have seen and done, step by step, the pieces mixed."""

    observations: dict[str, np.ndarray]  # (steps, ...) each
    actions: np.ndarray  # (steps, 2) int64
    masks: np.ndarray  # (steps, whats + values) bool


def demonstrate(pieces: Sequence[Piece], core: PianoCore) -> Demonstrations:
    """Play `pieces` in an environment, one in each of its first envs, and note what an agent would see.

    Args:
        pieces: with their actions; at most as many as `core` has envs.
        core: an environment of the same piano and at least the pieces' length.
    """
    count = len(pieces)
    played_in = [np.empty((0, 2)) if piece.actions is None else piece.actions for piece in pieces]
    lengths = np.array([len(own) for own in played_in])
    actions = np.zeros((core.num_envs, int(lengths.max(initial=0)), 2), np.int64)
    for row, own in zip(actions, played_in, strict=False):
        row[: len(own)] = own
    core.reset(range(core.num_envs), [np.random.default_rng(0)] * core.num_envs)
    seen: dict[str, list[np.ndarray]] = {key: [] for key in core.observation_space}
    masks, played = [], []
    for step in range(actions.shape[1]):
        rows = np.flatnonzero(lengths > step)
        for key, value in core.observe().items():
            seen[key].append(value[rows])
        masks.append(core.dynamics.masks[rows])
        played.append(actions[rows, step])
        core.step(actions[:, step])
    if not count or not masks:
        raise ValueError("there is nothing to demonstrate: no piece has an action")
    return Demonstrations(
        {key: np.concatenate(parts) for key, parts in seen.items()}, np.concatenate(played), np.concatenate(masks)
    )


def clone_sequences(
    policy: SequencePolicy,
    music: ExcerptDataset,
    *,
    epochs: int,
    rng: np.random.Generator,
    learning_rate: float = 1e-3,
    on_batch: Callable[[float, float], None] | None = None,
) -> list[float]:
    """Fit a sequence policy to whole excerpts by maximum likelihood; the critic is left alone.

    Args:
        policy: is changed in place.
        music: where excerpts come from; each epoch draws new ones, in new keys.
        epochs: of about as many notes as `EXCERPTS` excerpts have.
        rng: random number generator.
        learning_rate: of AdamW, at its highest.
        on_batch: called after every batch with the fraction done, in [0, 1], and the loss in nats an action.

    Returns:
        the mean loss of each epoch, in nats an action.
    """
    notes = float(np.mean([len(piece.score) for piece in music.sample(LENGTH_SAMPLES, rng)]))
    return fit_network(
        policy.network,
        music,
        None,
        epochs=epochs,
        epoch_notes=round(notes * EXCERPTS),
        rng=rng,
        learning_rate=learning_rate,
        weight_decay=WEIGHT_DECAY,
        on_batch=on_batch,
    ).train


def clone_steps(
    policy: FeedforwardPolicy,
    music: ExcerptDataset,
    *,
    environment: Mapping[str, Any],
    epochs: int,
    rng: np.random.Generator,
    learning_rate: float = 1e-3,
    on_batch: Callable[[float, float], None] | None = None,
) -> list[float]:
    """Fit a feed-forward policy to shuffled steps of excerpts by maximum likelihood; the critic is left alone.

    Args:
        policy: is changed in place.
        music: where excerpts come from; each epoch draws new ones, in new keys.
        environment: arguments of the `PianoCore` that the excerpts are replayed in.
        epochs: passes over `EXCERPTS` new excerpts; the learning rate falls to zero along a cosine.
        rng: random number generator.
        learning_rate: of AdamW, at the start.
        on_batch: called after every batch with the fraction done, in [0, 1], and the loss in nats an action.

    Returns:
        the mean loss of each epoch, in nats an action.
    """
    core = PianoCore(EXCERPTS, **environment)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    policy.set_training_mode(True)
    losses = []
    for epoch in range(epochs):
        steps = demonstrate(music.sample(EXCERPTS, rng), core)
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


def log_likelihood(policy: FeedforwardPolicy, steps: Demonstrations, batch: np.ndarray) -> torch.Tensor:
    """(batch,) log-probability that the policy gives to the demonstrated actions, in nats."""
    observations = obs_as_tensor({key: value[batch] for key, value in steps.observations.items()}, policy.device)
    distribution = policy.get_distribution(observations, steps.masks[batch])
    return distribution.log_prob(torch.as_tensor(steps.actions[batch], device=policy.device))
