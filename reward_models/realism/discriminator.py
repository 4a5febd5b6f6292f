"""The network behind realism: windows of piano roll in, log-odds of "human-written" out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from toccata.reward_models.realism.roll_windows import CHANNELS, KEYS

FRAMES_PER_BEAT = 8  # thirty-seconds; the upper layers have one step a beat
PITCH_CLASSES = 12


class Discriminator(nn.Module):
    """A spectrally normalised CNN (Miyato et al. 2018, "Spectral Normalization for GANs") on windows of piano roll.

    One branch convolves over the keys and sees lines and chords in any register; one convolves over the circle of
    pitch classes and sees harmony in any key; they are merged beat by beat, then pooled over the window. Padding
    behind the end of a piece changes nothing: it is zero up to the merge (the first layers have no bias and do not
    overlap in time) and masked from there on.

    Args:
        width: channels after the merge, in 2..1024.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if not 2 <= width <= 1024:
            raise ValueError(f"width must be in 2..1024, got {width}")
        self.width = width
        half = width // 2

        def normed(layer: nn.Module) -> nn.Module:
            return parametrizations.spectral_norm(layer)

        self.conv_keys = normed(nn.Conv2d(CHANNELS, 16, (4, 13), stride=(4, 1), padding=(0, 6), bias=False))
        self.conv_registers = normed(nn.Conv2d(16, half, (4, 8), stride=(2, 4), padding=(1, 2)))
        self.conv_chords = normed(
            nn.Conv2d(CHANNELS, half, (FRAMES_PER_BEAT, PITCH_CLASSES), stride=(FRAMES_PER_BEAT, 1), bias=False)
        )
        self.conv_harmony = normed(nn.Conv2d(half, half, (4, 1)))
        self.conv_scale = normed(nn.Conv1d(CHANNELS, half, PITCH_CLASSES))
        self.merge = normed(nn.Conv1d(4 * half + 2 * CHANNELS, width, 1))
        self.temporal = nn.ModuleList(
            normed(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)) for dilation in (1, 2, 4)
        )
        self.hidden = normed(nn.Linear(2 * width + 2 * half, width))
        self.logit = normed(nn.Linear(width, 1))
        self.gain = nn.Parameter(torch.tensor(10.0))  # normalised layers only shrink; one number scales them back

    def forward(self, rolls: Tensor, frames: Tensor) -> Tensor:
        """(n, 3, 128, 88) float32 in [0, 1] and (n,) valid frames to (n,) log-odds."""
        beats = -(-frames // FRAMES_PER_BEAT)
        steps = torch.arange(rolls.shape[2] // FRAMES_PER_BEAT, device=rolls.device)
        mask = (steps < beats[:, None]).to(rolls.dtype)[:, None]  # (n, 1, beats)
        keys = leaky_relu(self.conv_registers(leaky_relu(self.conv_keys(rolls))))
        classes = pitch_classes(rolls)
        chords = leaky_relu(self.conv_chords(circular_pad(classes)))
        chords = leaky_relu(self.conv_harmony(functional.pad(chords, (0, 0, 1, 2))))
        share = classes.sum(2) / classes.sum((2, 3))[..., None].clamp(min=1)
        scale = leaky_relu(self.conv_scale(circular_pad(share)))
        density = rolls.unflatten(2, (-1, FRAMES_PER_BEAT)).sum((3, 4))  # (n, 3, beats)
        x = torch.cat([mean_and_max(keys), mean_and_max(chords), density / FRAMES_PER_BEAT, torch.log1p(density)], 1)
        x = leaky_relu(self.merge(x * mask)) * mask
        for layer in self.temporal:
            x = (x + leaky_relu(layer(x))) * mask
        mean = x.sum(2) / mask.sum(2)
        maximum = x.masked_fill(mask == 0, -torch.inf).amax(2)
        x = leaky_relu(self.hidden(torch.cat([mean, maximum, mean_and_max(scale)], 1)))
        return self.gain * self.logit(x).squeeze(1)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2, in place."""
    return functional.leaky_relu_(x, 0.2)


def pitch_classes(rolls: Tensor) -> Tensor:
    """(n, channels, frames, 88) to (n, channels, frames, 12): sum over the octaves of each pitch class, A first."""
    return functional.pad(rolls, (0, -KEYS % PITCH_CLASSES)).unflatten(3, (-1, PITCH_CLASSES)).sum(3)


def circular_pad(x: Tensor) -> Tensor:
    """(..., 12) to (..., 23): padded so that a kernel of 12 pitch classes begins once at each of them."""
    return torch.cat([x, x[..., :-1]], -1)


def mean_and_max(x: Tensor) -> Tensor:
    """(n, channels, ..., positions) to (n, 2 * channels, ...): mean and maximum over the positions."""
    return torch.cat([x.mean(-1), x.amax(-1)], 1)
