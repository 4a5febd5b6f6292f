"""The rating: a frozen CNN that hears a piece and predicts how popular it would be.

Sound in, popularity out. The members of an ensemble, each fitted with another seed on other pieces, judge every window
of 5 s. The rating of a piece is the mean of the rewarding members less their standard deviation: where they disagree,
because nothing like it was ever rated, they are not believed. One member, the gold rater, is kept apart: no agent is
trained against it, so it shows whether an agent pleases or only fools the others.
The network is in `rating_network.py`; how it was fitted in `fit_rating.py`, `docs/rating.md` and the model card.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from toccata.envs.pieces import Pieces
from toccata.music.sound.spectrogram import N_MELS
from toccata.reward_models.rating.audio_windows import (
    WINDOW_FRAMES,
    ScoreWindow,
    mels_of_audio,
    mels_of_windows,
    windows_of,
)
from toccata.reward_models.rating.network import RatingConfig, RatingMember

SHIPPED = Path(__file__).parents[1] / "weights" / "rating"
WEIGHTS_FILE = "rating.safetensors"
CONFIG_FILE = "config.json"

RATING_LIMIT = 4.0  # standard deviations; the melodies of the shipped fit lie in -1.3..4.3, beyond it is extrapolation
BATCH = 8  # windows judged at once, always: then the last bits of a rating do not depend on what else is judged
RENDERED = 64  # windows whose sound is made at once: 21 MB
REMEMBERED = 100_000  # windows whose ratings are kept, about 20 MB; then the oldest are forgotten


class RatingError(ValueError):
    """A folder that holds no usable rating network; names the file and the reason."""


class RatingModel:
    """Reward: the popularity that a frozen ensemble predicts from the sound of a piece.

    The score is `mean - pessimism * std` of the rewarding members, in standard deviations of the p of the pieces they
    were fitted on (0 is their mean), clipped to [-4, 4]. Each member's judgement of a piece is its mean over windows
    of 5 s. The network is in eval mode, takes no gradient and is never changed. A window that was heard before, in this
    piece or in another, is not heard again: of a growing piece only the new bars cost anything.

    Args:
        members: the fitted members; they are frozen.
        config: their shape.
    """

    name = "rating"

    def __init__(self, members: nn.ModuleList, config: RatingConfig) -> None:
        self.network = members.eval().requires_grad_(False)
        self.config = config
        self._remembered: dict[range, OrderedDict[bytes, np.ndarray]] = {}  # by the members asked

    def members(self, pieces: Pieces) -> np.ndarray:
        """(n, rewarding members) float32, what each predicts, unclipped."""
        return self._judged(pieces, range(self.config.rewarding))

    def gold(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-4, 4], what the gold rater predicts: for evaluation, never to be trained against.

        Raises:
            RatingError: for an ensemble of less than three, which has none.
        """
        if self.config.rewarding == self.config.members:
            raise RatingError(f"a gold rater needs an ensemble of at least 3 members, got {self.config.members}")
        judged = self._judged(pieces, range(self.config.rewarding, self.config.members))
        return np.clip(judged.mean(1), -RATING_LIMIT, RATING_LIMIT)

    def terms(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """`mean` and `std` of the rewarding members, (n,) float32 each, before pessimism and clipping."""
        members = self.members(pieces)
        return {"mean": members.mean(1), "std": members.std(1)}

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-4, 4], higher is better."""
        return self.pessimistic(self.members(pieces))

    def score_audio(self, audio: np.ndarray) -> float:
        """The score of a recording, (samples,) in [-1, 1] at 16 kHz, in [-4, 4].

        Raises:
            ValueError: when it is not one-dimensional or not finite.
        """
        audio = np.asarray(audio, np.float32)
        if audio.ndim != 1:
            raise ValueError(f"audio must be (samples,), got shape {audio.shape}")
        judged = self.judge(*mels_of_audio(audio), range(self.config.rewarding))
        return float(self.pessimistic(judged.mean(0, keepdims=True))[0])

    def judge(self, log_mel: np.ndarray, valid: np.ndarray, which: Iterable[int] | None = None) -> np.ndarray:
        """What the members say of windows of sound, unclipped.

        Args:
            log_mel: (n, mels, frames) spectrograms.
            valid: (n,) frames of each before the padding, 1 to `WINDOW_FRAMES`.
            which: the members asked, by default all of them.

        Returns:
            (n, members asked) float32.

        Raises:
            ValueError: when the spectrograms have another number of mel bands than the network, or `valid` is out of
                range.
        """
        if log_mel.ndim != 3 or log_mel.shape[1] != self.config.mels:
            raise ValueError(f"log_mel must be (n, {self.config.mels}, frames), got {log_mel.shape}")
        if len(valid) and not 1 <= valid.min() <= valid.max() <= min(WINDOW_FRAMES, log_mel.shape[2]):
            raise ValueError(f"valid must be in 1..{min(WINDOW_FRAMES, log_mel.shape[2])}, got {valid}")
        members = list(self.network) if which is None else [self.network[index] for index in which]
        judged = np.empty((len(log_mel), len(members)), np.float32)
        batch = np.zeros((BATCH, *log_mel.shape[1:]), np.float32)
        frames = np.ones(BATCH, np.int64)
        with torch.no_grad():
            for start in range(0, len(log_mel), BATCH):
                here = slice(start, min(start + BATCH, len(log_mel)))
                count = here.stop - here.start
                batch[:count], frames[:count] = log_mel[here], valid[here]
                for column, member in enumerate(members):
                    judged[here, column] = member(torch.from_numpy(batch), torch.from_numpy(frames))[:count].numpy()
        return judged

    def _judged(self, pieces: Pieces, which: range) -> np.ndarray:
        """(n, members asked): the mean of each piece's windows, of which only those never heard are heard now."""
        memory = self._remembered.setdefault(which, OrderedDict())
        windows = [windows_of(score) for score in pieces.scores]
        keys = [[window.key for window in piece] for piece in windows]
        new: dict[bytes, ScoreWindow] = {
            key: window
            for piece_keys, piece in zip(keys, windows, strict=True)
            for key, window in zip(piece_keys, piece, strict=True)
            if key not in memory
        }
        todo = list(new.items())
        for start in range(0, len(todo), RENDERED):
            part = todo[start : start + RENDERED]
            judged = self.judge(*mels_of_windows([window for _, window in part]), which)
            memory.update(zip((key for key, _ in part), judged, strict=True))
        means = [np.mean([memory[key] for key in piece_keys], 0) for piece_keys in keys]
        while len(memory) > REMEMBERED:
            memory.popitem(last=False)
        return np.array(means, np.float32).reshape(len(pieces), len(which))

    def pessimistic(self, members: np.ndarray) -> np.ndarray:
        """(n,) float32 scores in [-4, 4] from (n, rewarding members) of what the members predict."""
        score = members.mean(1) - self.config.pessimism * members.std(1)
        return np.clip(score, -RATING_LIMIT, RATING_LIMIT)

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
        config = {"network": asdict(self.config), "weights_sha256": self.weights_hash(), "fit": dict(notes or {})}
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
            saved = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
            config, known_hash = RatingConfig(**saved["network"]), saved["weights_sha256"]
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise RatingError(f"{folder / CONFIG_FILE}: not the config of a rating network: {error}") from error
        if config.mels != N_MELS:
            raise RatingError(f"{folder / CONFIG_FILE}: hears {config.mels} mel bands, spectrograms here have {N_MELS}")
        network = nn.ModuleList(RatingMember(config) for _ in range(config.members))
        try:
            network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        except (RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:300]  # torch lists every tensor on a line of its own
            raise RatingError(f"{folder / WEIGHTS_FILE}: not the weights of this network: {reason}") from error
        if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
            raise RatingError(f"{folder / WEIGHTS_FILE}: holds weights that are not finite")
        model = cls(network, config)
        if model.weights_hash() != known_hash:
            raise RatingError(f"{folder / WEIGHTS_FILE}: not the weights whose hash is in {CONFIG_FILE}")
        return model
