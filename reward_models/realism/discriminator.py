"""The network behind realism: windows of piano roll in, log-odds out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from toccata.reward_models.realism.roll_windows import CHANNELS, KEYS

STEP = 8  # thirty-seconds in a beat, the step of the upper layers
PITCH_CLASSES = 12


class Critic(nn.Module):
    """Windows in, log-odds of "a person wrote it" out.

    Every layer is spectrally normed (Miyato et al. 2018, "Spectral Normalization for GANs"), so that the reward is
    no cliff.

    One branch slides over the keys and sees lines and chords wherever they lie; one slides round the circle of
    pitch classes and sees harmony in any key; both meet beat by beat, then over the window. What lies behind the end
    of a piece is zero up to where they meet (the first layers have no bias and do not overlap in time) and masked
    from there on, so padding changes nothing.

    Args:
        width: channels where the branches meet, in 2..1024.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if not 2 <= width <= 1024:
            raise ValueError(f"width must be in 2..1024, got {width}")
        self.width = width
        half = width // 2

        def normed(layer: nn.Module) -> nn.Module:
            return parametrizations.spectral_norm(layer)

        self.touch = normed(nn.Conv2d(CHANNELS, 16, (4, 13), stride=(4, 1), padding=(0, 6), bias=False))
        self.shape = normed(nn.Conv2d(16, half, (4, 8), stride=(2, 4), padding=(1, 2)))
        self.chord = normed(nn.Conv2d(CHANNELS, half, (STEP, PITCH_CLASSES), stride=(STEP, 1), bias=False))
        self.harmony = normed(nn.Conv2d(half, half, (4, 1)))
        self.scale = normed(nn.Conv1d(CHANNELS, half, PITCH_CLASSES))
        self.meet = normed(nn.Conv1d(4 * half + 2 * CHANNELS, width, 1))
        self.follow = nn.ModuleList(
            normed(nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)) for dilation in (1, 2, 4)
        )
        self.judge = normed(nn.Linear(2 * width + 2 * half, width))
        self.verdict = normed(nn.Linear(width, 1))
        self.gain = nn.Parameter(torch.tensor(10.0))  # normed layers only shrink; one number scales them back

    def forward(self, rolls: Tensor, frames: Tensor) -> Tensor:
        """(n, 3, 128, 88) float32 in [0, 1] and (n,) valid frames to (n,) log-odds."""
        beats = -(-frames // STEP)
        mask = (torch.arange(rolls.shape[2] // STEP) < beats[:, None]).to(rolls.dtype)[:, None]  # (n, 1, beats)
        keys = _bent(self.shape(_bent(self.touch(rolls))))
        circle = _pitch_classes(rolls)
        chords = _bent(self.chord(_round(circle)))
        chords = _bent(self.harmony(functional.pad(chords, (0, 0, 1, 2))))
        share = circle.sum(2) / circle.sum((2, 3))[..., None].clamp(min=1)
        scale = _bent(self.scale(_round(share)))
        beat = rolls.unflatten(2, (-1, STEP)).sum((3, 4))  # (n, 3, beats), how full
        x = torch.cat([_pooled(keys), _pooled(chords), beat / STEP, torch.log1p(beat)], 1)
        x = _bent(self.meet(x * mask)) * mask
        for layer in self.follow:
            x = (x + _bent(layer(x))) * mask
        mean = x.sum(2) / mask.sum(2)
        most = x.masked_fill(mask == 0, -torch.inf).amax(2)
        x = _bent(self.judge(torch.cat([mean, most, _pooled(scale)], 1)))
        return self.gain * self.verdict(x).squeeze(1)


def _bent(x: Tensor) -> Tensor:
    """Leaky ReLU, in the tensor's own place."""
    return functional.leaky_relu_(x, 0.2)


def _pitch_classes(rolls: Tensor) -> Tensor:
    """(n, channels, frames, 88) to (n, channels, frames, 12): how many octaves of each pitch class, A first."""
    return functional.pad(rolls, (0, -KEYS % PITCH_CLASSES)).unflatten(3, (-1, PITCH_CLASSES)).sum(3)


def _round(circle: Tensor) -> Tensor:
    """(..., 12) to (..., 23): the circle of pitch classes, walked once from each of them."""
    return torch.cat([circle, circle[..., :-1]], -1)


def _pooled(x: Tensor) -> Tensor:
    """(..., channels, steps, places) or (..., channels, places): mean and greatest over the places, as channels."""
    return torch.cat([x.mean(-1), x.amax(-1)], 1)
