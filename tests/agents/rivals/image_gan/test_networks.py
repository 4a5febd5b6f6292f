from __future__ import annotations

import pytest
import torch

from toccata.agents.rivals.image_gan.losses import GAMES, PENALTY, wasserstein_loss
from toccata.agents.rivals.image_gan.networks import LATENT, Discriminator, Generator, MinibatchDiscrimination
from toccata.agents.rivals.image_gan.pictures import SIZE


def test_generated_pictures_begin_nearly_black() -> None:
    torch.manual_seed(0)
    pictures = Generator()(torch.randn(4, LATENT))
    assert pictures.shape == (4, SIZE, SIZE)
    assert pictures.min() >= 0
    assert pictures.mean() < 0.05


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_losses_have_gradients(game) -> None:  # type: ignore[no-untyped-def]  # a Game, of parametrize
    torch.manual_seed(0)
    discriminator = Discriminator(game.batch_norm)
    real, generated = torch.rand(4, SIZE, SIZE), torch.rand(4, SIZE, SIZE, requires_grad=True)
    game.discriminator_loss(discriminator, real, generated, torch.rand(4, 1, 1)).backward()
    of_weights = [parameter.grad for parameter in discriminator.parameters() if parameter.ndim > 1]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in of_weights)
    assert of_weights[0].abs().sum() > 0
    generated.grad = None
    game.generator_loss(discriminator(generated)).backward()
    assert generated.grad.abs().sum() > 0


def test_a_penalty_of_a_known_gradient() -> None:
    weights = torch.zeros(SIZE, SIZE)
    weights[0, :9] = 1  # the gradient of every picture has norm 3
    real, generated = torch.rand(2, 5, SIZE, SIZE)
    loss = wasserstein_loss(lambda pictures: (pictures * weights).sum(dim=(1, 2)), real, generated, torch.rand(5, 1, 1))
    distance = ((real - generated).mean(dim=0) * weights).sum()
    assert loss.item() == pytest.approx(PENALTY * 4 - distance.item(), abs=1e-3)


def test_equal_pictures_of_a_batch_are_seen() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(10)
    torch.testing.assert_close(layer(torch.ones(6, 10)), torch.ones(6, 16))
    assert (layer(100 * torch.randn(6, 10)) < 0.1).all()
    assert (layer(torch.ones(1, 10)) == 0).all()
