"""Realism: the reward of a discriminator of human-written against agent-written pieces.

It classifies windows of sixteen beats of what the agent wrote (`roll_windows.py`), frozen or trained along with the
agent. The reward is -log(1 - D), D being the probability of "human-written": that of generative adversarial imitation
learning (Ho & Ermon 2016, algorithm 1, whose D is the probability of the agent's, and whose cost is log D). It is
positive, which would favour long episodes if their length varied (Kostrikov et al. 2019, "Discriminator-Actor-Critic",
on reward bias); here it is fixed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.envs.pieces import Pieces
from toccata.errors import one_line
from toccata.music.score import Score
from toccata.reward_models.devices import full_precision
from toccata.reward_models.negatives.pools import random_negatives
from toccata.reward_models.realism.discriminator import Discriminator
from toccata.reward_models.realism.replay_buffer import ReplayBuffer
from toccata.reward_models.realism.roll_windows import Windows, covering_crops, random_windows
from toccata.weights import BROKEN, SUFFIX, WeightsError, load_weights, read_tensors, save_weights, sha256

SHIPPED = Path(__file__).parents[1] / "weights" / "realism"
WEIGHTS_NAME = "realism"
ANCHOR_NAME = "anchor"  # the network before training along, where it was trained
TRAINING_NAME = "training"  # optimizer state and replay buffer

LABEL_SMOOTHING = 0.1  # real is 0.9 and fake 0.1: log-odds beyond 2.2 raise the loss, so the reward is seldom flat
LEAST_LOGIT = -4.0  # below it the discriminator's scale means nothing
# The best log-odds of a real window under smoothed labels; few real pieces are above. More is no evidence
# of more realism, but what a search goes for
GREATEST_LOGIT = math.log((1 - LABEL_SMOOTHING) / LABEL_SMOOTHING)
ACCURACY_GATE = 0.9  # no training above this accuracy: a perfect discriminator gives the agent no gradient
BATCH = 64  # windows of each class in a training step; a step takes about 0.3 s on one core
LEARNING_RATE = 2e-4
BETAS = (0.5, 0.9)  # little momentum, as the target moves with the agent
WINDOWS_PER_PASS = 192  # in a forward pass without gradients: 64 pieces of 8 bars; 150 MB
WINDOWS_PER_LARGE_PASS = 2048  # the same on a GPU: 1.6 GB
ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


class Realism:
    """Reward model: the odds, by a discriminator, that a piece was written by a person.

    The score is -log(1 - D) = log(1 + exp(logit)), the logit being the mean of the discriminator's log-odds over the
    piece's windows, clipped to [-4, log 9]; so it is in [0.018, 2.303], and 0.693 at even odds.

    A discriminator that is trained along with an agent forgets what that agent does not write. Therefore a fitted one
    is kept as it was before its first training step, as the `anchor`, and the log-odds are the mean of both.

    Args:
        discriminator: the network; by default a randomly initialised one.
        fitted: whether the network is worth an anchor once it is trained.
        anchor: the network that it was before, if it was trained already.
    """

    name = "realism"
    score_range = (0.018, 2.303)  # log(1 + exp(logit)) at the limits of the logit, rounded outwards

    def __init__(
        self, discriminator: Discriminator | None = None, *, fitted: bool = False, anchor: Discriminator | None = None
    ) -> None:
        self.discriminator = (discriminator or Discriminator()).eval()
        self.fitted = fitted
        self.anchor = None if anchor is None else anchor.eval().requires_grad_(False)
        self.moments: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)  # Adam's state, by parameter
        self.replay = ReplayBuffer()
        self.device = torch.device("cpu")
        self.large_batches = False

    @cached_property
    def optimizer(self) -> torch.optim.Adam:
        """Made for the first training step: torch imports its compiler with it, which takes two seconds."""
        optimizer = torch.optim.Adam(self.discriminator.parameters(), LEARNING_RATE, BETAS)
        optimizer.state = self.moments
        return optimizer

    def to(self, device: torch.device | str, *, large_batches: bool | None = None) -> Realism:
        """Move network and optimizer state to a device, where windows are drawn too; returns the model itself.

        Args:
            device: a torch device.
            large_batches: many windows in a forward pass, which a GPU needs. Scores then differ from those of small
                ones in the last bits. By default on any device but the CPU.
        """
        self.device = torch.device(device)
        self.large_batches = self.device.type != "cpu" if large_batches is None else large_batches
        for network in self._networks():
            network.to(self.device)
        for moments in self.moments.values():
            moments.update(self._on_device(moments))
        return self

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [0.018, 2.303], higher is better."""
        return reward_of_logits(self.logits(pieces)).astype(np.float32)

    def logits(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, mean log-odds over each piece's windows, not clipped."""
        crops, size = covering_crops(pieces.own), WINDOWS_PER_LARGE_PASS if self.large_batches else WINDOWS_PER_PASS
        parts = [slice(start, start + size) for start in range(0, len(crops), size)]
        logits = [self._mean_logits(crops.draw(part, self.device)) for part in parts]
        all_logits = torch.cat([torch.empty(0, device=self.device), *logits]).cpu().numpy()
        count = np.bincount(crops.owner, minlength=len(pieces))
        total = np.bincount(crops.owner, all_logits, minlength=len(pieces))
        return (total / np.maximum(count, 1)).astype(np.float32)

    def _networks(self) -> list[Discriminator]:
        """The discriminator, and its anchor if there is one."""
        return [self.discriminator] if self.anchor is None else [self.discriminator, self.anchor]

    def _mean_logits(self, windows: Windows) -> Tensor:
        """(windows,) mean log-odds of the networks."""
        with full_precision():
            logits = [network(windows.rolls, windows.frames) for network in self._networks()]
        return torch.stack(logits).mean(0)

    def _window_logits(self, windows: Windows) -> Tensor:
        with full_precision():
            return self.discriminator(windows.rolls, windows.frames)

    # Training along with the agent

    def update(
        self, pieces: Pieces | Sequence[Score], real: Pieces | Sequence[Score], rng: np.random.Generator
    ) -> dict[str, float]:
        """Train on new pieces of the agent, unless the discriminator already classifies them too well.

        Each training step takes 64 random windows of `real` and 64 of others, all in random keys: a quarter are
        synthetic negatives, real pieces with a corruption and pieces made by rules, so that what the agent does not
        write is not forgotten; the rest are the agent's, half of them from the replay buffer. There is a step for every
        64 new pieces.

        Args:
            pieces: the agent's new pieces.
            real: human-written music as the instrument plays it (`encode(score)[1].score`), in the agent's metre and
                cut into pieces as long as the agent's, so that nothing but the music differs.
            rng: chooses windows, keys and replayed pieces.

        Returns:
            Of windows of new pieces before training: `accuracy_real` and `accuracy_fake` in [0, 1], `logit_real` and
            `logit_fake`, and the `loss` in nats; `updated` is 1 if it trained and 0 if the accuracy gate was closed.

        Raises:
            ValueError: without pieces of either class.
        """
        own, real = (each.own if isinstance(each, Pieces) else tuple(each) for each in (pieces, real))
        if not own or not len(real):
            raise ValueError(f"need pieces of both classes, got {len(own)} of the agent's and {len(real)} real ones")
        new_real, new_fake = self._random_windows(real, BATCH, rng), self._random_windows(own, BATCH, rng)
        real_logits, fake_logits = self._window_logits(new_real), self._window_logits(new_fake)
        metrics = {
            "loss": float(_loss(real_logits, fake_logits)),
            "accuracy_real": float((real_logits > 0).float().mean()),
            "accuracy_fake": float((fake_logits <= 0).float().mean()),
            "logit_real": float(real_logits.mean()),
            "logit_fake": float(fake_logits.mean()),
        }
        open_gate = (metrics["accuracy_real"] + metrics["accuracy_fake"]) / 2 <= ACCURACY_GATE
        if open_gate:
            self._keep_anchor()
            for _ in range(-(-len(own) // BATCH)):
                self._training_step(own, real, rng)
        self.replay.add(own, rng)
        return {**metrics, "updated": float(open_gate)}

    def _keep_anchor(self) -> None:
        """Keep a fitted discriminator as it is, before its first training step."""
        if self.fitted and self.anchor is None:
            self.anchor = deepcopy(self.discriminator).requires_grad_(False)

    def _training_step(self, own: Sequence[Score], real: Sequence[Score], rng: np.random.Generator) -> None:
        synthetic = random_negatives(real, BATCH // 4, rng)
        agents = BATCH - len(synthetic)
        replayed = agents // 2 if self.replay.scores else 0
        fakes = [self._random_windows(own, agents - replayed, rng)]
        if synthetic:
            fakes.append(self._random_windows(synthetic, len(synthetic), rng))
        if replayed:
            fakes.append(self._random_windows(self.replay.scores, replayed, rng))
        self.train_on_windows([self._random_windows(real, BATCH, rng)], fakes)

    def _random_windows(self, scores: Sequence[Score], count: int, rng: np.random.Generator) -> Windows:
        return random_windows(scores, count, rng, self.device)

    def train_on_windows(self, real: Sequence[Windows], fakes: Sequence[Windows]) -> Tensor:
        """One training step on windows of real pieces against others; returns their (windows,) logits before it."""
        batch = [*real, *fakes]
        self.discriminator.train()  # the power iteration of the spectral norm runs in training mode only
        logits = self.discriminator(
            torch.cat([windows.rolls for windows in batch]), torch.cat([windows.frames for windows in batch])
        )
        reals = sum(len(windows.frames) for windows in real)
        loss = _loss(logits[:reals], logits[reals:])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.discriminator.eval()
        return logits.detach()

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of the weights, that of realism.safetensors; see `toccata.weights`."""
        return sha256(self.discriminator.state_dict())

    def save(
        self, folder: str | PathLike[str], *, training: bool = True, notes: Mapping[str, Any] | None = None
    ) -> None:
        """Write into `folder` what `load` reads.

        Args:
            folder: created if it does not exist.
            training: write optimizer state and replay buffer too, so that training resumes exactly.
            notes: go into config.json under `fit`.
        """
        files = {WEIGHTS_NAME: self.discriminator.state_dict()}
        if self.anchor is not None:
            files[ANCHOR_NAME] = self.anchor.state_dict()
        if training:
            files[TRAINING_NAME] = self._training_state()
        config = {
            "width": self.discriminator.width,
            "fitted": self.fitted or not training,
            "fit": dict(notes or {}),
        }
        save_weights(folder, files, config)

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Realism:
        """Read what `save` wrote; by default the shipped weights, without a training state.

        Raises:
            WeightsError: when a file is missing, damaged or does not match its hash, naming it.
        """
        folder = Path(SHIPPED if folder is None else folder)

        def made(config: Mapping[str, Any]) -> Discriminator:
            return Discriminator(config["width"])

        discriminator, config = load_weights(folder, WEIGHTS_NAME, made)
        anchor = None
        if f"{ANCHOR_NAME}{SUFFIX}" in config["sha256"]:
            anchor, _ = load_weights(folder, ANCHOR_NAME, made)
        trained = f"{TRAINING_NAME}{SUFFIX}" in config["sha256"]
        realism = cls(discriminator, fitted=config.get("fitted", not trained) is True, anchor=anchor)
        if trained:
            try:
                realism._restore(read_tensors(folder, TRAINING_NAME))
            except WeightsError:
                raise
            except BROKEN as error:
                path = folder / f"{TRAINING_NAME}{SUFFIX}"
                raise WeightsError(f"{path}: not its training state: {one_line(error)}") from error
        return realism

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer state and replay buffer, where a function of a user's own made this model."""
        anchor = None if self.anchor is None else self.anchor.state_dict()
        return {
            WEIGHTS_NAME: self.discriminator.state_dict(),
            ANCHOR_NAME: anchor,
            TRAINING_NAME: self._training_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.discriminator.load_state_dict(state[WEIGHTS_NAME])
        if state.get(ANCHOR_NAME) is not None:
            self.anchor = Discriminator(self.discriminator.width).eval().requires_grad_(False).to(self.device)
            self.anchor.load_state_dict(state[ANCHOR_NAME])
        self._restore(state[TRAINING_NAME])

    def _training_state(self) -> dict[str, Tensor]:
        """Adam's moments and the replay buffer as tensors."""
        state = {f"replay.{name}": torch.from_numpy(array) for name, array in self.replay.arrays().items()}
        for name, parameter in self.discriminator.named_parameters():
            for key, tensor in self.moments.get(parameter, {}).items():
                state[f"adam.{name}.{key}"] = tensor
        return state

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `_training_state`."""
        replay = {name.removeprefix("replay."): state[name].numpy() for name in state if name.startswith("replay.")}
        self.replay = ReplayBuffer.from_arrays(replay)
        for name, parameter in self.discriminator.named_parameters():
            moments = {key: state[f"adam.{name}.{key}"] for key in ADAM_STATE if f"adam.{name}.{key}" in state}
            if moments:
                self.moments[parameter] = self._on_device(moments)

    def _on_device(self, moments: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Adam's state of a parameter on the device of the network; the number of steps stays on the CPU."""
        return {key: value if key == "step" else value.to(self.device) for key, value in moments.items()}


def reward_of_logits(logits: np.ndarray) -> np.ndarray:
    """-log(1 - D) of log-odds of any shape, in [0.018, 2.303]."""
    return np.logaddexp(0, np.clip(logits, LEAST_LOGIT, GREATEST_LOGIT))


def cross_entropy(logits: Tensor, is_real: bool, reduction: str = "mean") -> Tensor:
    """Cross-entropy of the (n,) logits of one class with smoothed labels: their mean, or with reduction "none" each."""
    label = 1 - LABEL_SMOOTHING if is_real else LABEL_SMOOTHING
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label), reduction=reduction)


def _loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Mean cross-entropy of both classes, equally weighted."""
    return (cross_entropy(real_logits, True) + cross_entropy(fake_logits, False)) / 2
