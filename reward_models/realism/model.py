"""Realism: reward model and discriminator training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.realism.discriminator import Critic
from toccata.reward_models.realism.replay_buffer import Replay
from toccata.reward_models.realism.roll_windows import Windows, random_windows, windows_of

SHIPPED = Path(__file__).parents[1] / "weights" / "realism"
WEIGHTS_FILE = "realism.safetensors"
TRAINING_FILE = "training.safetensors"
CONFIG_FILE = "config.json"

REALISM_CLIP = 4.0  # log-odds; beyond 98 % certainty the discriminator's scale means nothing
LABEL_SMOOTHING = 0.1  # real is 0.9 and fake 0.1: log-odds beyond 2.2 are not asked for, so the reward keeps a slope
ACCURACY_GATE = 0.9  # no training while it is right more often than this: a perfect critic teaches nothing
BATCH = 64  # windows of each side in a training step; a step takes about 0.3 s on one core
LEARNING_RATE = 2e-4
BETAS = (0.5, 0.9)  # little momentum, as the target moves with the agent
HEARD_AT_ONCE = 192  # windows judged in one pass: 64 pieces of 8 bars; 150 MB


class RealismError(ValueError):
    """A folder that holds no usable discriminator; names the file and the reason."""


class Realism:
    """Reward: could a person have written what the agent wrote?

    The score is -log(1 - D) = log(1 + exp(logit)), the logit being the mean of the critic's log-odds over the piece's
    windows, clipped to [-4, 4]; so it is in [0.018, 4.018], and 0.693 where the critic cannot tell.

    Args:
        critic: the network; by default a new one that knows nothing.
    """

    name = "realism"

    def __init__(self, critic: Critic | None = None) -> None:
        self.critic = (critic or Critic()).eval()
        self.optimizer = torch.optim.Adam(self.critic.parameters(), LEARNING_RATE, BETAS)
        self.replay = Replay()

    def logits(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32, mean log-odds over each piece's windows, not clipped."""
        windows = windows_of(pieces.own)
        logits = [np.empty(0, np.float32)]
        with torch.no_grad():
            for start in range(0, len(windows.owner), HEARD_AT_ONCE):
                some = slice(start, start + HEARD_AT_ONCE)
                rolls, frames = torch.from_numpy(windows.rolls[some]), torch.from_numpy(windows.frames[some])
                logits.append(self.critic(rolls, frames).numpy())
        count = np.bincount(windows.owner, minlength=len(pieces))
        total = np.bincount(windows.owner, np.concatenate(logits), minlength=len(pieces))
        return (total / np.maximum(count, 1)).astype(np.float32)

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [0.018, 4.018], higher is better."""
        logits = np.clip(self.logits(pieces), -REALISM_CLIP, REALISM_CLIP)
        return np.logaddexp(0, logits).astype(np.float32)

    # Training along with the agent

    def update(
        self, fakes: Pieces | Sequence[Score], real: Sequence[Score], rng: np.random.Generator
    ) -> dict[str, float]:
        """Learn from new pieces of the agent, unless they are told from real ones too easily already.

        Each training step sees 64 random windows of `real` and 64 of the agent's, half of them from past pieces, all
        in random keys; there is a step for every 64 new pieces.

        Args:
            fakes: the agent's new pieces.
            real: what people wrote, as the instrument plays it (`encode(score)[1].score`), so that nothing but the
                music differs, in the agent's metre and cut into pieces as long as the agent's.
            rng: chooses windows, keys and past pieces.

        Returns:
            Of windows of new pieces before learning, `accuracy_real` and `accuracy_fake` in [0, 1], `logit_real` and
            `logit_fake`, and the `loss` in nats; `updated` is 1 if it learned and 0 if the gate was closed.
        """
        own = fakes.own if isinstance(fakes, Pieces) else tuple(fakes)
        if not own or not len(real):
            raise ValueError(f"need pieces of both sides, got {len(own)} of the agent's and {len(real)} real ones")
        said_real = self._said(random_windows(real, BATCH, rng))
        said_fake = self._said(random_windows(own, BATCH, rng))
        figures = {
            "loss": float(_loss(said_real, said_fake)),
            "accuracy_real": float((said_real > 0).float().mean()),
            "accuracy_fake": float((said_fake <= 0).float().mean()),
            "logit_real": float(said_real.mean()),
            "logit_fake": float(said_fake.mean()),
        }
        open_gate = (figures["accuracy_real"] + figures["accuracy_fake"]) / 2 <= ACCURACY_GATE
        if open_gate:
            for _ in range(-(-len(own) // BATCH)):
                self._learn(own, real, rng)
        self.replay.add(own, rng)
        return {**figures, "updated": float(open_gate)}

    def _said(self, windows: Windows) -> Tensor:
        with torch.no_grad():
            return self.critic(torch.from_numpy(windows.rolls), torch.from_numpy(windows.frames))

    def _learn(self, own: Sequence[Score], real: Sequence[Score], rng: np.random.Generator) -> None:
        """One training step."""
        past = BATCH // 2 if self.replay.scores else 0
        fakes = [random_windows(own, BATCH - past, rng)]
        if past:
            fakes.append(random_windows(self.replay.scores, past, rng))
        self.learn_windows([random_windows(real, BATCH, rng)], fakes)

    def learn_windows(self, real: Sequence[Windows], fakes: Sequence[Windows]) -> float:
        """One training step on windows of real pieces against others; gives the loss before it, in nats."""
        batch = [*real, *fakes]
        self.critic.train()  # the spectral norms are followed
        logits = self.critic(
            torch.from_numpy(np.concatenate([windows.rolls for windows in batch])),
            torch.from_numpy(np.concatenate([windows.frames for windows in batch])),
        )
        reals = sum(len(windows.frames) for windows in real)
        loss = _loss(logits[:reals], logits[reals:])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.critic.eval()
        return float(loss.detach())

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of names, shapes and values of all weights, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.critic.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(
        self, folder: str | PathLike[str], *, training: bool = True, notes: Mapping[str, object] | None = None
    ) -> None:
        """Write into `folder` what `load` reads.

        Args:
            folder: is made if it is not there.
            training: write the optimizer's state and the past pieces too, so that training goes on as if it had not
                been interrupted.
            notes: go into config.json under `fit`.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(_contiguous(self.critic.state_dict()), folder / WEIGHTS_FILE)
        (folder / TRAINING_FILE).unlink(missing_ok=True)
        if training:
            save_file(_contiguous(self._training_state()), folder / TRAINING_FILE)
        config = {"width": self.critic.width, "weights_sha256": self.weights_hash(), "fit": dict(notes or {})}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Realism:
        """Read what `save` wrote; by default the weights that come with Toccata, without a training state.

        Raises:
            RealismError: when a file is missing or broken, naming it.
        """
        folder = Path(folder) if folder is not None else SHIPPED
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise RealismError(f"{folder}: no discriminator here, {name} is missing")
        try:
            config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            realism = cls(Critic(config["width"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RealismError(f"{folder / CONFIG_FILE}: not a discriminator's: {_one_line(error)}") from error
        try:
            realism.critic.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except (RuntimeError, SafetensorError) as error:
            raise RealismError(f"{folder / WEIGHTS_FILE}: not its weights: {_one_line(error)}") from error
        if not all(torch.isfinite(tensor).all() for tensor in realism.critic.state_dict().values()):
            raise RealismError(f"{folder / WEIGHTS_FILE}: holds weights that are not finite")
        if (folder / TRAINING_FILE).is_file():
            try:
                realism._restore(load_file(folder / TRAINING_FILE))
            except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
                raise RealismError(f"{folder / TRAINING_FILE}: not its training state: {_one_line(error)}") from error
        return realism

    def _training_state(self) -> dict[str, Tensor]:
        """The optimizer's moments and the past pieces as tensors."""
        state = {f"replay.{name}": torch.from_numpy(array) for name, array in self.replay.arrays().items()}
        for name, parameter in self.critic.named_parameters():
            for key, tensor in self.optimizer.state.get(parameter, {}).items():
                state[f"adam.{name}.{key}"] = tensor
        return state

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `_training_state` gave."""
        self.replay = Replay.from_arrays(
            {
                name.removeprefix("replay."): tensor.numpy()
                for name, tensor in state.items()
                if name.startswith("replay.")
            }
        )
        for name, parameter in self.critic.named_parameters():
            moments = {
                key: state[f"adam.{name}.{key}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"adam.{name}.{key}" in state
            }
            if moments:
                self.optimizer.state[parameter] = moments


def _loss(said_real: Tensor, said_fake: Tensor) -> Tensor:
    """Mean cross-entropy of both sides, each counting as much, with smoothed labels."""

    def entropy(logits: Tensor, label: float) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    return (entropy(said_real, 1 - LABEL_SMOOTHING) + entropy(said_fake, LABEL_SMOOTHING)) / 2


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
