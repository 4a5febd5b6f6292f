"""A discriminator of real against dreamt windows of log-mel spectrograms, trained along with the dream."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.rating.audio_windows import score_window_mels, windows_of_scores
from toccata.reward_models.rating.network import equal_loudness, frame_mask
from toccata.reward_models.realism.model import ACCURACY_GATE, LABEL_SMOOTHING

CHANNELS = (16, 32, 48, 64)  # small: it must be trained in each step of a dream
LEARNING_RATE = 5e-4
BETAS = (0.5, 0.9)  # little momentum, as the target moves with the dream
MEAN, DEVIATION = -8.0, 3.4  # of log-mel spectrograms of piano music at equal loudness
REAL_PIECES = 64  # excerpts of 8 bars, 4 windows each


class MelDiscriminator(nn.Module):
    """CNN with spectral normalisation on windows at equal loudness (Miyato et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, *CHANNELS)
        self.layers = nn.ModuleList(
            parametrizations.spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in pairwise(widths)
        )
        self.logit = parametrizations.spectral_norm(nn.Linear(2 * CHANNELS[-1], 1))
        self.gain = nn.Parameter(torch.tensor(10.0))  # normalised layers only shrink; one number scales them back

    def forward(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """(n, mels, frames), (n,) frames before the padding -> (n,) log-odds that the window is real."""
        mask = frame_mask(log_mel.shape[2], valid)
        x = ((equal_loudness(log_mel, mask) - MEAN) / DEVIATION * mask)[:, None]
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
        return self.gain * self.logit(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))[:, 0]


class MelCritic:
    """A discriminator, its optimizer, and real windows.

    Args:
        real: (windows, mels, frames) and (windows,) frames before the padding.
        seed: of the first weights, and of the choice of real windows.
    """

    def __init__(self, real: tuple[np.ndarray, np.ndarray], seed: int) -> None:
        self.real_mels, self.real_valid = (torch.from_numpy(each) for each in real)
        self.rng = np.random.default_rng([seed, 1])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = MelDiscriminator()
        self.optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE, BETAS)

    def train(self, dreamt: Tensor, valid: Tensor) -> dict[str, float]:
        """One step on dreamt windows and as many real ones, unless it tells them apart too well already.

        Returns:
            `accuracy` before it, in [0, 1].
        """
        chosen = torch.from_numpy(self.rng.integers(len(self.real_mels), size=len(dreamt)))
        mels = torch.cat([self.real_mels[chosen], dreamt.detach()])
        frames = torch.cat([self.real_valid[chosen], valid])
        is_real = (torch.arange(len(mels)) < len(chosen)).float()
        logits = self.network(mels, frames)
        accuracy = float(((logits > 0) == is_real.bool()).float().mean())
        if accuracy <= ACCURACY_GATE:
            targets = is_real * (1 - 2 * LABEL_SMOOTHING) + LABEL_SMOOTHING
            self.optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(logits, targets).backward()
            self.optimizer.step()
        return {"accuracy": accuracy}

    def realism(self, log_mel: Tensor, valid: Tensor) -> Tensor:
        """(windows,) log-probability that windows are real, at most 0; only they get a gradient."""
        self.network.requires_grad_(False)
        realism = functional.logsigmoid(self.network(log_mel, valid))
        self.network.requires_grad_(True)
        return realism


def real_windows(scores: Sequence[Score], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Windows of excerpts of real scores, as the piano plays and the rating hears them.

    Returns:
        (windows, mels, WINDOW_FRAMES) log-mel spectrograms, and (windows,) frames before the padding.
    """
    excerpts = Pieces(ExcerptDataset(scores, 8).sample(REAL_PIECES, rng))
    return score_window_mels(list(windows_of_scores(excerpts.scores)))
