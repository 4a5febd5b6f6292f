"""The network behind the rating: a CNN ensemble on windows of log-mel spectrograms.

Each member has layers of its own: a convolutional `Transcriber` (keys and onsets in each frame), `melody_statistics` of
its output, a convolutional `AudioEncoder` of the spectrogram, and a `PopularityHead` on both. `Support` says of the
statistics whether they are like those of music. Frames after the end of a piece are masked in every layer and in the
pooling over time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from toccata.music.sound.spectrogram import FLOOR, N_MELS
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES
from toccata.reward_models.rating.melody_statistics import KEYS, N_STATISTICS, melody_statistics

POOL_FRAMES = 4  # frames averaged before the audio encoder, 128 ms
LOUDNESS = 8.0  # mel power, summed over the bands, of the loudest frame of a window: the median in the default font
MAX_GAIN = 1e4  # of the power, 40 dB: then the rounding of 16-bit sound is at the floor of the spectrogram
MAX_LOG_POWER = 80.0  # larger ones are clipped: their sum would overflow float32; the loudest sound has 41
MIN_BIN_WIDTH = 1e-3  # of a statistic; narrower bins would amplify rounding
NOISE_RATING = -2.5  # standard deviations; no melody of the Bach Doodle is below -1.35
SUPPORT_HIDDEN = 64
SUPPORT_AXES = 32  # principal components in which distances are measured
SUPPORT_CLIP = 5.0  # standard deviations of a statistic; beyond it counts as that


@dataclass(frozen=True)
class RatingConfig:
    """Sizes of a rating network.

    Args:
        mels: mel bands of the spectrogram.
        bins: bins of the piecewise-linear encoding of each melody statistic.
        channels: channels of the transcribers.
        sound_channels: channels of the audio encoders.
        hidden: width of the heads.
        members: networks in the ensemble; of three or more the last is the sibling member, held out of the reward.
        pessimism: standard deviations of the reward members that are subtracted from their mean.
        skyline: whether the popularity of a score is that of its skyline, for networks fitted to melodies.
        support: whether the members abstain from windows that are not like music; see `Support`.

    Raises:
        ValueError: when a size is not a whole number in 1..4096, pessimism is not in 0..10, or another is not a bool.
    """

    mels: int = N_MELS
    bins: int = 8
    channels: int = 144
    sound_channels: int = 32
    hidden: int = 96
    members: int = 3
    pessimism: float = 1.0
    skyline: bool = False
    support: bool = False

    def __post_init__(self) -> None:
        for name in ("mels", "bins", "channels", "sound_channels", "hidden", "members"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 4096:
                raise ValueError(f"{name} must be a whole number in 1..4096, got {value!r}")
        if not 0 <= self.pessimism <= 10:
            raise ValueError(f"pessimism must be in 0..10, got {self.pessimism}")
        for name in ("skyline", "support"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")

    @property
    def reward_members(self) -> int:
        """How many members make up the reward: all but the sibling member."""
        return self.members - 1 if self.members >= 3 else self.members


def frame_mask(frames: int, valid: Tensor) -> Tensor:
    """(n, 1, frames) float32: 1 in the first (n,) `valid` frames of each window, 0 in the padding."""
    return (torch.arange(frames, device=valid.device) < valid[:, None])[:, None].float()


def equal_loudness(log_mel: Tensor, mask: Tensor) -> Tensor:
    """The spectrogram of each window as if its loudest frame had the mel power `LOUDNESS`.

    Nothing is amplified by more than `MAX_GAIN`, so silence and the noise floor of quiet sound stay as they are.

    Args:
        log_mel: (n, mels, frames), as `toccata.music.sound.spectrogram.log_mel` returns it.
        mask: (n, 1, frames), 0 in the padding, which has no influence.

    Returns:
        (n, mels, frames), `log(FLOOR)` in the padding.
    """
    power = torch.exp(torch.where(mask > 0, log_mel, -torch.inf).clamp(max=MAX_LOG_POWER)) - FLOOR
    power = power.clamp(min=0)
    loudest = power.sum(1, keepdim=True).amax(2, keepdim=True)
    return torch.log(power * (LOUDNESS / loudest.clamp(min=LOUDNESS / MAX_GAIN)) + FLOOR)


class Transcriber(nn.Module):
    """Transcription: which keys have an onset and which are held, in each frame."""

    def __init__(self, config: RatingConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(config.mels, config.channels, 5, padding=2)
        self.second = nn.Conv1d(config.channels, config.channels, 3, padding=1)
        self.keys = nn.Conv1d(config.channels, 2 * KEYS, 3, padding=1)
        nn.init.constant_(self.keys.bias, -4.0)  # type: ignore[arg-type]  # not None; initial outputs are silence

    def forward(self, log_mel: Tensor, mask: Tensor) -> Tensor:
        """(n, mels, frames) standardised, (n, 1, frames) -> (n, 2 * 88, frames) logits, onsets then held keys."""
        hidden = functional.silu(self.first(log_mel)) * mask
        hidden = hidden + functional.silu(self.second(hidden)) * mask
        return self.keys(hidden)


class AudioEncoder(nn.Module):
    """Embedding of a window of sound: two convolutions over pooled frames, then mean and maximum over time."""

    def __init__(self, config: RatingConfig) -> None:
        super().__init__()
        self.first = nn.Conv1d(config.mels, config.sound_channels, 5, padding=2)
        self.second = nn.Conv1d(config.sound_channels, config.sound_channels, 5, stride=2, padding=2)

    def forward(self, pooled: Tensor, mask: Tensor) -> Tensor:
        """(n, mels, steps) means over `POOL_FRAMES` frames, (n, 1, steps) -> (n, 2 * sound_channels)."""
        hidden = torch.relu(self.first(pooled)) * mask
        hidden = torch.relu(self.second(hidden)) * mask[:, :, ::2]
        return torch.cat([hidden.sum(2) / mask[:, :, ::2].sum(2), hidden.amax(2)], 1)


class PopularityHead(nn.Module):
    """MLP from melody statistics and audio embedding to popularity.

    Each statistic enters as a piecewise-linear encoding (Gorishniy et al. 2022, "On Embeddings for Numerical Features
    in Tabular Deep Learning", section 3.2), because popularity changes steeply at some of their values. Here it is also
    constant outside the outermost bin edges, so the head does not extrapolate beyond the training data.
    """

    def __init__(self, config: RatingConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.edges: Tensor
        self.register_buffer("edges", torch.zeros(N_STATISTICS, config.bins + 1))
        self.layers = nn.Sequential(
            nn.Linear(N_STATISTICS * config.bins + 2 * config.sound_channels, config.hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, 1),
        )

    def forward(self, melody: Tensor, sound: Tensor) -> Tensor:
        """(n, N_STATISTICS), (n, 2 * sound_channels) -> (n,), in standard deviations of p."""
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)
        encoding = ((melody[..., None] - low) / width.clamp(min=MIN_BIN_WIDTH)).clamp(0, 1)
        return self.layers(torch.cat([encoding.flatten(1) - 0.5, sound], 1))[:, 0]


class Support(nn.Module):
    """Whether the melody statistics of a window are like those of music, in [0, 1]; 1 for most music.

    The smaller of two: twice the probability that an MLP, fitted to music against music that no person wrote, gives to
    music; and how near the statistics are to those of the fitted music, by their mean squared distance in standardised
    principal components: 1 within `limit`, 0 from twice the limit on. The first knows what was shown to it, the second
    is for what was not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.center: Tensor
        self.axes: Tensor
        self.limit: Tensor
        self.register_buffer("mean", torch.zeros(N_STATISTICS))
        self.register_buffer("scale", torch.ones(N_STATISTICS))
        self.register_buffer("center", torch.zeros(N_STATISTICS))
        self.register_buffer("axes", torch.zeros(N_STATISTICS, SUPPORT_AXES))
        self.register_buffer("limit", torch.ones(()))
        self.layers = nn.Sequential(nn.Linear(N_STATISTICS, SUPPORT_HIDDEN), nn.SiLU(), nn.Linear(SUPPORT_HIDDEN, 1))

    def standardise(self, melody: Tensor) -> Tensor:
        """(n, N_STATISTICS) in standard deviations of those of the fitted music, in [-5, 5]."""
        return ((melody - self.mean) * self.scale).clamp(-SUPPORT_CLIP, SUPPORT_CLIP)

    def distances(self, standardised: Tensor) -> Tensor:
        """(n,) mean squared distance from the mean of the fitted music, in its principal components; 1 on average."""
        return ((standardised - self.center) @ self.axes).square().mean(1)

    def logits(self, standardised: Tensor) -> Tensor:
        """(n,) log-odds of music."""
        return self.layers(standardised)[:, 0]

    def forward(self, melody: Tensor) -> Tensor:
        """(n, N_STATISTICS) -> (n,) in [0, 1]."""
        standardised = self.standardise(melody)
        near = 2 - self.distances(standardised) / self.limit
        return torch.minimum(2 * torch.sigmoid(self.logits(standardised)), near).clamp(0, 1)


class RatingMember(nn.Module):
    """One network of the ensemble: windows of log-mel spectrograms in, popularity and support out.

    The input features (`extract`) are fitted to transcription only; `sound` and `head` are fitted to popularity, and
    `support`, which networks without it have as None, to music against what is not.
    """

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
        self.support = Support() if config.support else None

    def transcriber_state(self) -> dict[str, Tensor]:
        """The entries of the state dict that are fitted to transcription: the transcriber and the mel band scale."""
        prefixes = ("transcriber.", "mel_mean", "mel_scale")
        return {name: value for name, value in self.state_dict().items() if name.startswith(prefixes)}

    def standardise(self, log_mel: Tensor, mask: Tensor) -> Tensor:
        """(n, mels, frames), (n, 1, frames) -> the same with mean 0 and variance 1 in each band, 0 in the padding."""
        return (log_mel - self.mel_mean) * self.mel_scale * mask

    def extract(self, log_mel: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Features of windows, which do not depend on what is fitted to popularity.

        Args:
            log_mel: (n, mels, frames).
            valid: (n,) frames before the padding, 1 to WINDOW_FRAMES.

        Returns:
            (n, N_STATISTICS) melody statistics, and the standardised spectrogram averaged over `POOL_FRAMES` frames,
            (n, mels, WINDOW_FRAMES / POOL_FRAMES).
        """
        log_mel = functional.pad(log_mel, (0, WINDOW_FRAMES - log_mel.shape[2]))
        mask = frame_mask(WINDOW_FRAMES, valid)
        standardised = self.standardise(equal_loudness(log_mel, mask), mask)
        keys = torch.sigmoid(self.transcriber(standardised, mask)) * mask
        return melody_statistics(keys), functional.avg_pool1d(standardised, POOL_FRAMES)

    def predict(self, melody: Tensor, pooled: Tensor, valid: Tensor) -> Tensor:
        """(n,) in standard deviations of p, of the two outputs of `extract` and the same (n,) `valid` frames."""
        mask = frame_mask(pooled.shape[2], -(-valid // POOL_FRAMES))
        return self.head(melody, self.sound(pooled, mask))

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """(n, mels, frames), (n,) frames before the padding -> (n, 2): standard deviations of p, and support."""
        melody, pooled = self.extract(log_mel, valid)
        popularity = self.predict(melody, pooled, valid)
        support = torch.ones_like(popularity) if self.support is None else self.support(melody)
        return torch.stack([popularity, support], 1)
