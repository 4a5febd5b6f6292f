"""The network behind the rating: a CNN on windows of log-mel spectrograms, in several independent members.

Each member hears for itself: a convolutional `Transcriber` tells which keys are struck and held, `statistics` describe the
melody they make, a second convolutional branch, `AudioEncoder`, describes how everything sounds, and a `PopularityHead` reads
a popularity from both. What lies behind the end of a piece is masked in every layer and in the pooling over frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from toccata.music.sound.spectrogram import N_MELS
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES
from toccata.reward_models.rating.melody_statistics import KEYS, STATISTICS, statistics

COARSE = 4  # frames that the sound encoder takes together, 128 ms
NARROWEST = 1e-3  # bin of a statistic; narrower ones would turn rounding into ratings


@dataclass(frozen=True)
class RatingConfig:
    """The shape of a rating network.

    Args:
        mels: mel bands of the spectrogram.
        bins: ramps into which each statistic of the melody is cut.
        channels: width of the transcribers.
        sound_channels: width of the sound encoders.
        hidden: width of the heads.
        members: how many there are; of three or more the last is the gold rater, which rewards nobody.
        pessimism: how many standard deviations of the reward_members members are taken off their mean.
    """

    mels: int = N_MELS
    bins: int = 8
    channels: int = 144
    sound_channels: int = 32
    hidden: int = 96
    members: int = 3
    pessimism: float = 1.0

    def __post_init__(self) -> None:
        for name in ("mels", "bins", "channels", "sound_channels", "hidden", "members"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 4096:
                raise ValueError(f"{name} must be a whole number in 1..4096, got {value!r}")
        if not 0 <= self.pessimism <= 10:
            raise ValueError(f"pessimism must be in 0..10, got {self.pessimism}")

    @property
    def reward_members(self) -> int:
        """How many members make up the reward: all but the gold rater."""
        return self.members - 1 if self.members >= 3 else self.members


def frame_mask(frames: int, valid: Tensor) -> Tensor:
    """(n, 1, frames) float32: 1 up to the (n,) `valid` frames of each window, 0 in the padding."""
    return (torch.arange(frames, device=valid.device) < valid[:, None])[:, None].float()


class Transcriber(nn.Module):
    """Hears which keys are struck and held in each frame."""

    def __init__(self, config: RatingConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(config.mels, config.channels, 5, padding=2)
        self.second = nn.Conv1d(config.channels, config.channels, 3, padding=1)
        self.keys = nn.Conv1d(config.channels, 2 * KEYS, 3, padding=1)
        nn.init.constant_(self.keys.bias, -4.0)  # type: ignore[arg-type]  # it has one; keys begin silent

    def forward(self, sound: Tensor, mask: Tensor) -> Tensor:
        """(n, mels, frames) standardised, (n, 1, frames) -> (n, 2 * 88, frames) logits, struck then held."""
        heard = functional.silu(self.first(sound)) * mask
        heard = heard + functional.silu(self.second(heard)) * mask
        return self.keys(heard)


class AudioEncoder(nn.Module):
    """Describes how a window sounds: two convolutions over eighths of a second, then mean and maximum over time."""

    def __init__(self, config: RatingConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(config.mels, config.sound_channels, 5, padding=2)
        self.second = nn.Conv1d(config.sound_channels, config.sound_channels, 5, stride=2, padding=2)

    def forward(self, coarse: Tensor, mask: Tensor) -> Tensor:
        """(n, mels, steps) means over 4 frames, (n, 1, steps) -> (n, 2 * sound_channels)."""
        heard = torch.relu(self.first(coarse)) * mask
        heard = torch.relu(self.second(heard)) * mask[:, :, ::2]
        return torch.cat([heard.sum(2) / mask[:, :, ::2].sum(2), heard.amax(2)], 1)


class PopularityHead(nn.Module):
    """Reads a popularity from the statistics of the melody and the description of the sound.

    Each statistic enters cut into bins, each a ramp from 0 to 1 (piecewise-linear encoding, Gorishniy et al. 2022,
    "On Embeddings for Numerical Features"), because popularity has sharp edges in them. Beyond the outermost edges
    nothing changes any more: music unlike any that was rated is not extrapolated to.
    """

    def __init__(self, config: RatingConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.edges: Tensor
        self.register_buffer("edges", torch.zeros(STATISTICS, config.bins + 1))
        self.layers = nn.Sequential(
            nn.Linear(STATISTICS * config.bins + 2 * config.sound_channels, config.hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, 1),
        )

    def forward(self, melody: Tensor, sound: Tensor) -> Tensor:
        """(n, STATISTICS), (n, 2 * sound_channels) -> (n,), in standard deviations of p."""
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)
        ramps = ((melody[..., None] - low) / width.clamp(min=NARROWEST)).clamp(0, 1)
        return self.layers(torch.cat([ramps.flatten(1) - 0.5, sound], 1))[:, 0]


class RatingMember(nn.Module):
    """One judge of the ensemble: windows of log-mel spectrograms in, popularity out."""

    def __init__(self, config: RatingConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config: RatingConfig = config
        self.mel_mean: Tensor
        self.mel_scale: Tensor
        self.register_buffer("mel_mean", torch.zeros(config.mels, 1))
        self.register_buffer("mel_scale", torch.ones(config.mels, 1))
        self.transcriber = Transcriber(config)
        self.sound = AudioEncoder(config)
        self.head = PopularityHead(config, dropout)

    def transcriber_state(self) -> dict[str, Tensor]:
        """The weights by which the member hears, and which are not fitted to popularity."""
        parts = ("transcriber.", "mel_mean", "mel_scale")
        return {name: value for name, value in self.state_dict().items() if name.startswith(parts)}

    def standardised(self, log_mel: Tensor, mask: Tensor) -> Tensor:
        """(n, mels, frames), (n, 1, frames) -> the same with mean 0 and variance 1 in each band, 0 in the padding."""
        return (log_mel - self.mel_mean) * self.mel_scale * mask

    def extract(self, log_mel: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """What is heard in a window, before it is judged; nothing of it is fitted to popularity.

        Args:
            log_mel: (n, mels, frames).
            valid: (n,) frames before the padding, 1 to WINDOW_FRAMES.

        Returns:
            (n, STATISTICS) of the melody; (n, mels, WINDOW_FRAMES / COARSE) of the standardised sound, coarser in time.
        """
        log_mel = functional.pad(log_mel, (0, WINDOW_FRAMES - log_mel.shape[2]))
        mask = frame_mask(WINDOW_FRAMES, valid)
        sound = self.standardised(log_mel, mask)
        keys = torch.sigmoid(self.transcriber(sound, mask)) * mask
        return statistics(keys), functional.avg_pool1d(sound, COARSE)

    def predict(self, melody: Tensor, coarse: Tensor, valid: Tensor) -> Tensor:
        """(n,) in standard deviations of p, of what `hear` gave and the same (n,) `valid` frames."""
        mask = frame_mask(coarse.shape[2], -(-valid // COARSE))
        return self.head(melody, self.sound(coarse, mask))

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """(n, mels, frames), (n,) frames before the padding -> (n,) in standard deviations of p; see `hear`."""
        return self.predict(*self.extract(log_mel, valid), valid)
