"""The rating: a frozen CNN that hears a piece and predicts how popular it would be.

Sound in, popularity out. A convolutional `Listener` hears in the log-mel spectrogram which keys are struck and held;
`melody_line` turns every two bars or so of that into statistics of the melody; three `Taster`s, fitted on different
melodies, each read a popularity from them. The rating of a piece is their mean less their standard deviation: where
they disagree, because nothing like it was ever rated, they are not believed.
How it was fitted: `fit_rating.py`, `docs/rating.md` and the model card beside the weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from toccata.envs.rewards import Pieces
from toccata.reward_models.melody_line import KEYS, STATISTICS, statistics

SHIPPED = Path(__file__).parent / "weights" / "rating"
WEIGHTS_FILE = "rating.safetensors"
CONFIG_FILE = "config.json"

LOWEST = 21  # MIDI number of the first key
WINDOW_FRAMES = 160  # 5.1 s: two bars at 120 bpm and their ringing, which is what the network was fitted on
HOP_FRAMES = WINDOW_FRAMES  # between windows of longer pieces at most: they touch or overlap
RATING_LIMIT = 4.0  # standard deviations; the melodies of the shipped fit lie in -1.3..4.3, beyond it is extrapolation
BATCH = 64  # pieces heard at once: 64 of 16 s take 100 MB


class RatingError(ValueError):
    """A folder that holds no usable rating network; names the file and the reason."""


@dataclass(frozen=True)
class RatingConfig:
    """The shape of a rating network.

    Args:
        mels: mel bands of the spectrogram.
        bins: ramps into which each statistic is cut for the tasters.
        channels: width of the listener.
        hidden: width of the tasters.
        members: tasters in the ensemble.
        pessimism: how many standard deviations of the members are taken off their mean.
    """

    mels: int = 64
    bins: int = 8
    channels: int = 96
    hidden: int = 96
    members: int = 3
    pessimism: float = 1.0

    def __post_init__(self) -> None:
        for name in ("mels", "bins", "channels", "hidden", "members"):
            if not 1 <= getattr(self, name) <= 4096:
                raise ValueError(f"{name} must be in 1..4096, got {getattr(self, name)}")
        if not 0 <= self.pessimism <= 10:
            raise ValueError(f"pessimism must be in 0..10, got {self.pessimism}")


class Listener(nn.Module):
    """Hears which keys are struck and held in each frame, as probabilities.

    What lies behind the end of a piece is set to zero between the layers, as if the sound ended there, so padding
    changes nothing.
    """

    def __init__(self, config: RatingConfig) -> None:
        super().__init__()
        self.mel_mean: Tensor
        self.mel_scale: Tensor
        self.register_buffer("mel_mean", torch.zeros(config.mels, 1))
        self.register_buffer("mel_scale", torch.ones(config.mels, 1))
        self.hear = nn.Conv1d(config.mels, config.channels, 5, padding=2)
        self.keys = nn.Conv1d(config.channels, 2 * KEYS, 3, padding=1)

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """(n, mels, frames), (n,) frames before padding -> (n, 2 * 88, frames) logits, struck then held."""
        mask = frame_mask(log_mel, valid)
        sound = (log_mel - self.mel_mean) * self.mel_scale * mask
        return self.keys(torch.relu(self.hear(sound)) * mask)

    def describe(self, log_mel: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(windows, STATISTICS) of all windows of all pieces, and (windows,) the piece that each belongs to."""
        keys = torch.sigmoid(self(log_mel, valid)) * frame_mask(log_mel, valid)
        keys = functional.pad(keys, (0, WINDOW_FRAMES))
        windows, owner = [], []
        for piece, frames in enumerate(valid.tolist()):
            for start in window_starts(frames):
                windows.append(keys[piece, :, start : start + WINDOW_FRAMES])
                owner.append(piece)
        chunks = [statistics(torch.stack(windows[i : i + BATCH])) for i in range(0, len(windows), BATCH)]
        return torch.cat(chunks), torch.tensor(owner)


def frame_mask(log_mel: Tensor, valid: Tensor) -> Tensor:
    """(n, 1, frames): 1 up to the end of each piece, 0 in the padding."""
    return (torch.arange(log_mel.shape[-1]) < valid[:, None])[:, None].to(log_mel.dtype)


def window_starts(frames: int) -> list[int]:
    """First frames of the windows that cover a piece: evenly spread, at most `HOP_FRAMES` apart."""
    if frames <= WINDOW_FRAMES:
        return [0]
    count = -(-(frames - WINDOW_FRAMES) // HOP_FRAMES) + 1
    return [round(index * (frames - WINDOW_FRAMES) / (count - 1)) for index in range(count)]


def mean_by_owner(values: Tensor, owner: Tensor, pieces: int) -> Tensor:
    """(windows, k) to (pieces, k): the mean over each piece's windows."""
    total = values.new_zeros(pieces, values.shape[1]).index_add_(0, owner, values)
    return total / torch.bincount(owner, minlength=pieces)[:, None].clamp(min=1)


class Taster(nn.Module):
    """Reads a popularity from the statistics of a window.

    Each statistic enters cut into bins, each a ramp from 0 to 1 (piecewise-linear encoding, Gorishniy et al. 2022,
    "On Embeddings for Numerical Features"), because popularity has sharp edges in them. Beyond the outermost edges
    nothing changes any more: music unlike any melody of the fit is not extrapolated to.
    """

    def __init__(self, config: RatingConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.edges: Tensor
        self.register_buffer("edges", torch.zeros(STATISTICS, config.bins + 1))
        self.layers = nn.Sequential(
            nn.Linear(STATISTICS * config.bins, config.hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, 1),
        )

    def forward(self, windows: Tensor) -> Tensor:
        """(windows, STATISTICS) -> (windows, 1), in standard deviations of log-popularity."""
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)
        ramps = ((windows[..., None] - low) / width.clamp(min=1e-6)).clamp(0, 1)
        return self.layers(ramps.flatten(1) - 0.5)


class RatingNetwork(nn.Module):
    """The listener and the tasters: log-mel spectrograms in, each member's popularity out."""

    def __init__(self, config: RatingConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.listener = Listener(config)
        self.tasters = nn.ModuleList(Taster(config, dropout) for _ in range(config.members))

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """(n, mels, frames), (n,) -> (n, members) in standard deviations of log-popularity."""
        windows, owner = self.listener.describe(log_mel, valid)
        scores = torch.cat([taster(windows) for taster in self.tasters], 1)
        return mean_by_owner(scores, owner, len(log_mel))


class RatingModel:
    """Reward: the popularity that a frozen ensemble predicts from the sound of a piece.

    The score is `mean - pessimism * std` of the members, in standard deviations of the log-popularity of real
    melodies (0 is their mean), clipped to [-4, 4]. Longer pieces get the mean over windows of 5 s. The network is in
    eval mode, takes no gradient and is never changed.

    Args:
        network: the fitted network; it is frozen.
    """

    name = "rating"

    def __init__(self, network: RatingNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    @property
    def pessimism(self) -> float:
        """How many standard deviations of the members are taken off their mean."""
        return self.network.config.pessimism

    def members(self, pieces: Pieces) -> np.ndarray:
        """(n, members) float32, what each member predicts, unclipped."""
        return self.members_of_mel(pieces.log_mel, pieces.mel_frames) if len(pieces) else self._nothing()

    def members_of_mel(self, log_mel: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """As `members`, of (n, mels, frames) spectrograms and (n,) valid frames.

        Raises:
            ValueError: when the spectrograms have another number of mel bands than the network.
        """
        if log_mel.ndim != 3 or log_mel.shape[1] != self.network.config.mels:
            raise ValueError(f"log_mel must be (n, {self.network.config.mels}, frames), got {log_mel.shape}")
        scores = np.empty((len(log_mel), self.network.config.members), np.float32)
        frames = np.clip(frames, 1, log_mel.shape[2])
        by_length = np.argsort(frames, kind="stable")  # pieces of about one length together: little padding
        with torch.no_grad():
            for start in range(0, len(log_mel), BATCH):
                batch = by_length[start : start + BATCH]
                valid = torch.as_tensor(frames[batch])
                mel = torch.as_tensor(log_mel[batch, :, : int(valid.max())], dtype=torch.float32)
                scores[batch] = self.network(mel, valid).numpy()
        return scores

    def terms(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """`mean` and `std` of the members, (n,) float32 each, before pessimism and clipping."""
        members = self.members(pieces)
        return {"mean": members.mean(1), "std": members.std(1)}

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-4, 4], higher is better."""
        terms = self.terms(pieces)
        return np.clip(terms["mean"] - self.pessimism * terms["std"], -RATING_LIMIT, RATING_LIMIT)

    def _nothing(self) -> np.ndarray:
        return np.zeros((0, self.network.config.members), np.float32)

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of names, shapes and values of all weights, as 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, folder: str | PathLike[str], notes: Mapping[str, object] | None = None) -> None:
        """Write `rating.safetensors` and `config.json` into `folder`; `notes` go into the latter under `fit`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}
        (folder / WEIGHTS_FILE).write_bytes(save(tensors))
        config = {
            "network": asdict(self.network.config),
            "weights_sha256": self.weights_hash(),
            "fit": dict(notes or {}),
        }
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> RatingModel:
        """Read what `save` wrote; by default the weights that come with Toccata.

        Raises:
            RatingError: when a file is missing or broken, naming it.
        """
        folder = Path(folder) if folder is not None else SHIPPED
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise RatingError(f"{folder}: no rating network here, {name} is missing")
        try:
            config = RatingConfig(**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["network"])
        except (KeyError, TypeError, ValueError) as error:
            raise RatingError(f"{folder / CONFIG_FILE}: not the config of a rating network: {error}") from error
        network = RatingNetwork(config)
        try:
            network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except (RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:300]  # torch lists every tensor on a line of its own
            raise RatingError(f"{folder / WEIGHTS_FILE}: not the weights of this network: {reason}") from error
        if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
            raise RatingError(f"{folder / WEIGHTS_FILE}: holds weights that are not finite")
        return cls(network)
