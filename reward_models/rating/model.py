"""The rating: a frozen ensemble of CNNs that predicts how popular a piece is from its sound.

Each member is fitted with another seed on other pieces and rates every window of 5 s. The score of a piece is the mean
of the reward members minus their standard deviation, so that pieces unlike any that were rated, where the members
disagree, score low. One member, the sibling member, is held out of the reward: no agent is trained against it, so it
shows whether an agent over-optimises the others (Gao et al. 2022, "Scaling laws for reward model overoptimization").
A network that was fitted to melodies takes the popularity of a score from its skyline. Where a window does not sound
like music, a member with `Support` abstains: its rating falls towards that of noise. No member abstains from
a piece of two bars: two notes in turn are a melody that people like for so long, and no music when they go on.
The network is in `network.py`, its fit in `fitting/`; `docs/rating.md` and the model card describe both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModelError
from toccata.music.skyline import skyline
from toccata.music.sound.bank import RING_SECONDS
from toccata.music.sound.spectrogram import N_MELS, SAMPLE_RATE
from toccata.reward_models.devices import full_precision
from toccata.reward_models.rating.audio_windows import (
    WINDOW_FRAMES,
    ScoreWindows,
    audio_window_mels,
    score_window_mels,
    windows_of_scores,
)
from toccata.reward_models.rating.device_mels import device_window_mels
from toccata.reward_models.rating.network import NOISE_RATING, RatingConfig, RatingMember
from toccata.weights import load_weights, save_weights, sha256

SHIPPED = Path(__file__).parents[1] / "weights" / "rating"
WEIGHTS_NAME = "rating"
INPUT = "log-mel spectrograms at equal loudness"  # in config.json; earlier networks heard how loud a piece was

RATING_LIMIT = 4.0  # standard deviations; the melodies of the shipped fit lie in -1.3..4.3, beyond it is extrapolation
BATCH = 8  # windows in every forward pass: then the last bits of a rating do not depend on the rest of the batch
WINDOWS_RENDERED_AT_ONCE = 64  # 21 MB of sound
LARGE_BATCH = 512  # windows in a forward pass on a GPU, from their notes to their ratings: 4 GB,
LARGE_BATCH_NOTES = 2**16  # as long as they have at most so many notes
# From pieces of two bars, at 120 bpm or somewhat slower, no member abstains; it does so in full from about four bars on
NEVER_ABSTAINED, ALWAYS_ABSTAINED = 5.0, 8.0  # seconds
CACHED_WINDOWS = 100_000  # windows whose ratings are kept, about 20 MB; then the oldest are dropped


class RatingModel:
    """Reward model: the popularity that a frozen ensemble predicts from the sound of a piece.

    The score is `mean - pessimism * std` of the reward members, in standard deviations of the popularity of the pieces
    that they were fitted to (0 is their mean), clipped to [-4, 4]. A member's rating of a piece is the mean over its
    windows of 5 s; see `abstaining` for windows that do not sound like music. The network is in eval mode, takes no
    gradient and is never changed. What it says of windows is cached: of a piece that grows bar by bar only the new
    windows are computed.

    Args:
        members: the fitted members; they are frozen.
        config: their sizes.
    """

    name = "rating"
    score_range = (-RATING_LIMIT, RATING_LIMIT)

    def __init__(self, members: nn.ModuleList, config: RatingConfig) -> None:
        self.network = members.eval().requires_grad_(False)
        self.config = config
        self._cache: dict[range, OrderedDict[bytes, np.ndarray]] = {}  # by members: outputs (members, 2) by window
        self.device = torch.device("cpu")
        self.large_batches = False

    def to(self, device: torch.device | str, *, large_batches: bool | None = None) -> RatingModel:
        """Move the network to a device, where sound and spectrograms are computed too; returns the model itself.

        Args:
            device: a torch device.
            large_batches: compute the windows of all pieces together, from their notes to their ratings, which a GPU
                needs. Ratings then differ from those of small batches in the last bits. By default on any device but
                the CPU.
        """
        self.device = torch.device(device)
        self.large_batches = self.device.type != "cpu" if large_batches is None else large_batches
        self.network.to(self.device)
        self._cache.clear()
        return self

    def score(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-4, 4], higher is better."""
        return self.pessimistic(self.member_ratings(pieces))

    def member_ratings(self, pieces: Pieces) -> np.ndarray:
        """(n, reward members) float32 rating by each of them, not clipped."""
        return self._piece_outputs(pieces, range(self.config.reward_members))[0]

    def diagnostics(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """`mean` and `std` of the reward members, (n,) float32 each, before pessimism and clipping.

        Of networks with it also the mean `support` in [0, 1].
        """
        ratings, supports = self._piece_outputs(pieces, range(self.config.reward_members))
        diagnostics = {"mean": ratings.mean(1), "std": ratings.std(1)}
        return {**diagnostics, "support": supports.mean(1)} if self.config.support else diagnostics

    def sibling(self, pieces: Pieces) -> np.ndarray:
        """(n,) float32 in [-4, 4] rating by the sibling member: for evaluation, never as a reward.

        It was fitted to the data of the reward members, so what it says is not independent of them.

        Raises:
            RewardModelError: for an ensemble of fewer than three members, which has none.
        """
        if self.config.reward_members == self.config.members:
            raise RewardModelError(
                f"a sibling member needs an ensemble of at least 3 members, got {self.config.members}"
            )
        ratings, _ = self._piece_outputs(pieces, range(self.config.reward_members, self.config.members))
        return np.clip(ratings.mean(1), -RATING_LIMIT, RATING_LIMIT)

    def score_audio(self, audio: np.ndarray) -> float:
        """The score of a recording, (samples,) in [-1, 1] at 16 kHz, in [-4, 4].

        Raises:
            ValueError: when it is not one-dimensional or not finite.
        """
        audio = np.asarray(audio, np.float32)
        if audio.ndim != 1:
            raise ValueError(f"audio must be (samples,), got shape {audio.shape}")
        outputs = self.window_outputs(*audio_window_mels(audio), range(self.config.reward_members))
        length = np.array([len(audio) / SAMPLE_RATE - RING_SECONDS])
        ratings = abstaining(outputs[..., 0], _supports(outputs, np.array([len(outputs)]), length))
        return float(self.pessimistic(ratings.mean(0, keepdims=True))[0])

    def pessimistic(self, ratings: np.ndarray) -> np.ndarray:
        """(n,) float32 scores in [-4, 4] of (n, reward members) ratings."""
        score = ratings.mean(1) - self.config.pessimism * ratings.std(1)
        return np.clip(score, -RATING_LIMIT, RATING_LIMIT)

    def rate_windows(self, log_mel: np.ndarray, valid: np.ndarray, members: Iterable[int] | None = None) -> np.ndarray:
        """The popularity of windows, of which nobody abstains; see `window_outputs` for the arguments and errors.

        Returns:
            (n, members) float32, not clipped.
        """
        return self.window_outputs(log_mel, valid, members)[..., 0]

    def window_outputs(
        self, log_mel: np.ndarray, valid: np.ndarray, members: Iterable[int] | None = None
    ) -> np.ndarray:
        """What members say of windows of sound.

        Args:
            log_mel: (n, mels, frames) spectrograms.
            valid: (n,) frames of each before the padding, 1 to `WINDOW_FRAMES`.
            members: indices of the members to compute, by default all of them.

        Returns:
            (n, members, 2) float32: popularity, not clipped, and support in [0, 1].

        Raises:
            ValueError: when the spectrograms have another number of mel bands than the network, or `valid` is out of
                range.
        """
        if log_mel.ndim != 3 or log_mel.shape[1] != self.config.mels:
            raise ValueError(f"log_mel must be (n, {self.config.mels}, frames), got {log_mel.shape}")
        if len(valid) and not 1 <= valid.min() <= valid.max() <= min(WINDOW_FRAMES, log_mel.shape[2]):
            raise ValueError(f"valid must be in 1..{min(WINDOW_FRAMES, log_mel.shape[2])}, got {valid}")
        networks = list(self.network) if members is None else [self.network[index] for index in members]
        if self.large_batches:
            return self._outputs_in_large_batches(log_mel, valid, networks)
        outputs = np.empty((len(log_mel), len(networks), 2), np.float32)
        batch = np.zeros((BATCH, *log_mel.shape[1:]), np.float32)
        frames = np.ones(BATCH, np.int64)
        with torch.no_grad():
            for start in range(0, len(log_mel), BATCH):
                rows = slice(start, min(start + BATCH, len(log_mel)))
                count = rows.stop - rows.start
                batch[:count], frames[:count] = log_mel[rows], valid[rows]
                for column, network in enumerate(networks):
                    outputs[rows, column] = network(torch.from_numpy(batch), torch.from_numpy(frames))[:count].numpy()
        return outputs

    def _outputs_in_large_batches(
        self, log_mel: np.ndarray, valid: np.ndarray, networks: list[nn.Module]
    ) -> np.ndarray:
        """(n, networks, 2) float32, of the arguments of `window_outputs`."""
        outputs = torch.empty(len(log_mel), len(networks), 2, device=self.device)
        with full_precision():
            for start in range(0, len(log_mel), LARGE_BATCH):
                rows = slice(start, start + LARGE_BATCH)
                mels = torch.from_numpy(np.asarray(log_mel[rows], np.float32)).to(self.device)
                frames = torch.from_numpy(np.asarray(valid[rows], np.int64)).to(self.device)
                outputs[rows] = torch.stack([network(mels, frames) for network in networks], 1)
        return outputs.cpu().numpy()

    def _piece_outputs(self, pieces: Pieces, members: range) -> tuple[np.ndarray, np.ndarray]:
        """Ratings and supports (n, members) float32: the means over each piece's windows."""
        whole = windows_of_scores(pieces.scores)
        outputs = self._cached_outputs(whole, members)
        lengths = np.array([score.length_seconds for score in pieces.scores])
        popularity, support = outputs[..., 0], _supports(outputs, whole.counts, lengths)
        if self.config.skyline:  # which is as long as the whole, so that it has as many windows
            lines = windows_of_scores([skyline(score) for score in pieces.scores])
            popularity = self._cached_outputs(lines, members)[..., 0]
        return _means(abstaining(popularity, support), whole.counts), _means(support, whole.counts)

    def _cached_outputs(self, windows: ScoreWindows, members: range) -> np.ndarray:
        """(windows, members, 2) float32; only windows that are not in the cache are computed."""
        cache = self._cache.setdefault(members, OrderedDict())
        keys = windows.keys()
        missing = {key: index for index, key in enumerate(keys) if key not in cache}
        index = np.array(list(missing.values()), np.int64)
        if self.large_batches:
            cache.update(zip(missing, self._score_window_outputs(windows, index, members), strict=True))
        else:
            for start in range(0, len(index), WINDOWS_RENDERED_AT_ONCE):
                part = slice(start, start + WINDOWS_RENDERED_AT_ONCE)
                mels = score_window_mels([windows[each] for each in index[part].tolist()])
                cache.update(zip(list(missing)[part], self.window_outputs(*mels, members), strict=True))
        outputs = np.array([cache[key] for key in keys], np.float32).reshape(len(keys), len(members), 2)
        while len(cache) > CACHED_WINDOWS:
            cache.popitem(last=False)
        return outputs

    def _score_window_outputs(self, windows: ScoreWindows, index: np.ndarray, members: range) -> np.ndarray:
        """(n, members, 2) float32 outputs for the windows `index` in large batches."""
        networks = [self.network[member] for member in members]
        outputs = [torch.empty(0, len(networks), 2, device=self.device)]
        with full_precision():
            for batch in _batches(index, np.diff(windows.first)[index]):
                mels, frames = device_window_mels(windows, batch, self.device)
                outputs.append(torch.stack([network(mels, frames) for network in networks], 1))
            return torch.cat(outputs).cpu().numpy()

    # Files

    def weights_hash(self) -> str:
        """SHA-256 of the weights, that of rating.safetensors; see `toccata.weights`."""
        return sha256(self.network.state_dict())

    def save(self, folder: str | PathLike[str], notes: Mapping[str, Any] | None = None) -> None:
        """Write `rating.safetensors` and `config.json` into `folder`; `notes` go into the latter under `fit`."""
        config = {"input": INPUT, "network": asdict(self.config), "fit": dict(notes or {})}
        save_weights(folder, {WEIGHTS_NAME: self.network.state_dict()}, config)

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None, *, pessimism: float | None = None) -> RatingModel:
        """Read what `save` wrote; by default the weights that come with Toccata.

        Args:
            folder: of the weights.
            pessimism: standard deviations that are subtracted, in [0, 10]; by default as saved.

        Raises:
            WeightsError: naming the file, when it is missing, damaged or does not match its SHA-256.
            ValueError: for a pessimism out of range.
        """
        network, config = load_weights(SHIPPED if folder is None else folder, WEIGHTS_NAME, _members)
        sizes = RatingConfig(**config["network"])
        return cls(network, sizes if pessimism is None else replace(sizes, pessimism=pessimism))


def abstaining(popularity: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Ratings of windows: their popularity where support is 1, `NOISE_RATING` at most where it is 0."""
    return popularity - (1 - support) * np.maximum(popularity - NOISE_RATING, 0)


def _supports(outputs: np.ndarray, counts: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """(windows, members) support of windows, nearer to 1 in short pieces.

    Args:
        outputs: (windows, members, 2) of all pieces.
        counts: (pieces,) windows of each.
        seconds: (pieces,) length of each, without the release of the last notes.
    """
    strength = np.clip((seconds - NEVER_ABSTAINED) / (ALWAYS_ABSTAINED - NEVER_ABSTAINED), 0, 1).astype(np.float32)
    return 1 - np.repeat(strength, counts)[:, None] * (1 - outputs[..., 1])


def _batches(index: np.ndarray, notes: np.ndarray) -> Iterator[np.ndarray]:
    """Windows `index` in batches of at most `LARGE_BATCH`, and `LARGE_BATCH_NOTES` unless one window has more notes."""
    ends, start = np.cumsum(notes), 0
    while start < len(index):
        before = ends[start - 1] if start else 0
        enough = int(np.searchsorted(ends, before + LARGE_BATCH_NOTES, "right"))
        stop = min(start + LARGE_BATCH, max(enough, start + 1))
        yield index[start:stop]
        start = stop


def _means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(len(counts), members): the mean of the first counts[0] rows of `values`, of the next counts[1], and so on."""
    means, first = np.empty((len(counts), values.shape[1]), np.float32), np.cumsum(counts) - counts
    for count in set(counts.tolist()):
        rows = counts == count
        means[rows] = values[first[rows, None] + np.arange(count)].mean(1)
    return means


def _members(config: Mapping[str, Any]) -> nn.ModuleList:
    """The members that a config.json describes, not yet fitted."""
    if config.get("input") != INPUT:
        raise ValueError(f"it was fitted to another input than {INPUT}; fit it again with `toccata fit-rating`")
    sizes = RatingConfig(**config["network"])
    if sizes.mels != N_MELS:
        raise ValueError(f"it takes {sizes.mels} mel bands, spectrograms here have {N_MELS}")
    return nn.ModuleList(RatingMember(sizes) for _ in range(sizes.members))
