"""The two adversarial games: that of DCGAN, and that of WGAN-GP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

REAL_LABEL = 0.9  # one-sided label smoothing: Salimans et al. 2016, section 3.4
PENALTY = 10.0  # lambda of WGAN-GP

Critic = Callable[[Tensor], Tensor]  # (n,) values of (n, SIZE, SIZE) pictures


@dataclass(frozen=True)
class Game:
    """An adversarial game, and the optimisation that its paper plays it with.

    Attributes:
        discriminator_loss: of the discriminator, real pictures, generated pictures and (n, 1, 1) uniform numbers.
        generator_loss: of (n,) outputs for generated pictures.
        batch_norm: whether the discriminator has it.
        discriminator_updates: for each update of the generator.
        generator_rate, discriminator_rate: of Adam.
        betas: of Adam.
    """

    discriminator_loss: Callable[[Critic, Tensor, Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor], Tensor]
    batch_norm: bool
    discriminator_updates: int
    generator_rate: float
    discriminator_rate: float
    betas: tuple[float, float]


def cross_entropy_loss(critic: Critic, real: Tensor, generated: Tensor, mix: Tensor) -> Tensor:
    """Mean cross-entropy of a discriminator, with smoothed labels of the real pictures; `mix` is not needed."""
    on_real, on_generated = critic(real), critic(generated)
    labels = torch.full_like(on_real, REAL_LABEL)
    of_real = F.binary_cross_entropy_with_logits(on_real, labels)
    return of_real + F.binary_cross_entropy_with_logits(on_generated, torch.zeros_like(on_generated))


def non_saturating_loss(outputs: Tensor) -> Tensor:
    """-log D of generated pictures: Goodfellow et al. 2014, "Generative adversarial nets", section 3."""
    return F.binary_cross_entropy_with_logits(outputs, torch.ones_like(outputs))


def wasserstein_loss(critic: Critic, real: Tensor, generated: Tensor, mix: Tensor) -> Tensor:
    """Negative estimate of the Wasserstein distance, and the penalty of gradients whose norm is not 1.

    Source: Gulrajani et al. 2017, "Improved training of Wasserstein GANs", equation 3.

    Args:
        critic: minibatch discrimination makes its output depend on the other pictures of the batch too; the gradient of
            a picture is then that of the sum of the outputs of its batch.
        real: (n, SIZE, SIZE).
        generated: (n, SIZE, SIZE).
        mix: (n, 1, 1) in [0, 1]: where between a real and a generated picture the gradient is taken.
    """
    between = (mix * real + (1 - mix) * generated).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()
    return critic(generated).mean() - critic(real).mean() + PENALTY * penalty


def wasserstein_generator_loss(outputs: Tensor) -> Tensor:
    """Negative mean of the critic's values of generated pictures."""
    return -outputs.mean()


GAMES = {
    "dcgan": Game(cross_entropy_loss, non_saturating_loss, True, 1, 4e-4, 1e-4, (0.5, 0.999)),
    "wgan-gp": Game(wasserstein_loss, wasserstein_generator_loss, False, 2, 4e-4, 1e-3, (0.0, 0.9)),
}
