"""Generator and discriminator of pictures.

After Radford et al. 2016, "Unsupervised representation learning with deep convolutional generative adversarial
networks".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

LATENT = 48  # numbers that a picture is generated from
CHANNELS = 8  # of the layers at half the size; each smaller one has twice as many
COARSE = 7  # size of the smallest layer
KERNELS = (4, 3, 3, 4)  # with stride 2 and padding 1: 7, 14, 27, 53, 106, the `SIZE` of pictures
WEIGHT_STD = 0.02  # of the initial weights, section 4 of the paper
SLOPE = 0.2  # of LeakyReLU, ibid.
DARK = -2.0  # initial bias of the last layer: pictures begin nearly black, as those of scores are
KINDS, KIND_WIDTH = 16, 4  # of minibatch discrimination
SAMPLED_AT_ONCE = 16  # pictures


class Generator(nn.Module):
    """Transposed convolutions with batch normalisation; the last has a tanh, scaled to [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        widths = [CHANNELS * 2**power for power in (3, 2, 1, 0)]
        self.project = nn.Linear(LATENT, widths[0] * COARSE**2, bias=False)
        layers: list[nn.Module] = [nn.Unflatten(1, (widths[0], COARSE, COARSE)), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for wide, narrow, kernel in zip(widths[:-1], widths[1:], KERNELS[:-1], strict=True):
            layers += [nn.ConvTranspose2d(wide, narrow, kernel, 2, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()]
        last = nn.ConvTranspose2d(widths[-1], 1, KERNELS[-1], 2, 1)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())
        self.apply(_initialise)
        assert last.bias is not None
        nn.init.constant_(last.bias, DARK)

    def forward(self, latent: Tensor) -> Tensor:
        """(n, SIZE, SIZE) pictures in [0, 1] of (n, LATENT) standard normal numbers."""
        return (self.layers(self.project(latent))[:, 0] + 1) / 2


def sample(generator: Generator, count: int, seed: int) -> np.ndarray:
    """(count, SIZE, SIZE) float32 pictures in [0, 1] of a generator in evaluation mode; equal seeds give equal ones."""
    device = next(generator.parameters()).device
    latent = torch.as_tensor(np.random.default_rng(seed).standard_normal((count, LATENT), np.float32))
    with torch.no_grad():
        return np.concatenate([generator(part.to(device)).cpu().numpy() for part in latent.split(SAMPLED_AT_ONCE)])


class Discriminator(nn.Module):
    """Strided convolutions and minibatch discrimination; the discriminator of DCGAN, and the critic of WGAN-GP.

    Args:
        batch_norm: normalise by batches, except in the first layer. Not for a gradient penalty, which is of the
            gradient of each picture's output by itself: Gulrajani et al. 2017, section 4.
    """

    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        widths = [1, *(CHANNELS * 2**power for power in range(4))]
        layers: list[nn.Module] = []
        for number, (narrow, wide, kernel) in enumerate(zip(widths[:-1], widths[1:], KERNELS[::-1], strict=True)):
            normal = batch_norm and number > 0
            layers.append(nn.Conv2d(narrow, wide, kernel, 2, 1, bias=not normal))
            layers += [nn.BatchNorm2d(wide)] if normal else []
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Flatten())
        features = widths[-1] * COARSE**2
        self.minibatch = MinibatchDiscrimination(features)
        self.head = nn.Linear(features + KINDS, 1)
        self.apply(_initialise)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n,) logits, or values of the critic, of (n, SIZE, SIZE) pictures in [0, 1] that are judged together."""
        features = self.layers(2 * pictures[:, None] - 1)
        return self.head(torch.cat([features, self.minibatch(features)], dim=1))[:, 0]


class MinibatchDiscrimination(nn.Module):
    """How near each picture is to the others of its batch, so that a batch of similar ones is seen to be generated.

    Source: Salimans et al. 2016, "Improved techniques for training GANs", section 3.2. The sum over the others is
    their mean here, so that it does not depend on the size of the batch.

    Args:
        features: of each picture.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, KINDS * KIND_WIDTH, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(n, KINDS) similarities in [0, 1] to the others, of (n, features); 0 of a single picture."""
        projected = self.project(features).unflatten(1, (KINDS, KIND_WIDTH))
        distances = (projected[:, None] - projected[None]).abs().sum(dim=3)  # (n, n, KINDS)
        return (torch.exp(-distances).sum(dim=1) - 1) / max(1, len(features) - 1)


def _initialise(module: nn.Module) -> None:
    """Normal weights of the convolutions and linear layers, section 4 of the paper."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, WEIGHT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
