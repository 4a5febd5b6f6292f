from __future__ import annotations

import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.agents.prior.fitting.muon import NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS, UPDATE_RMS, Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 8, 20), (2, 20, 8)])
def test_the_singular_values_of_orthogonal_matrices_are_near_one(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    result = orthogonal(matrices)
    assert result.shape == shape
    # the iteration is a polynomial of the singular values, which keeps the singular vectors
    expected = values / values.norm(dim=1, keepdim=True)
    for _ in range(NEWTON_SCHULZ_STEPS):
        a, b, c = NEWTON_SCHULZ
        expected = a * expected + b * expected**3 + c * expected**5
    tolerance = 100 * float32_rounding(8, 4.0)
    torch.testing.assert_close(result, left @ torch.diag_embed(expected) @ right, atol=tolerance, rtol=0)
    large = values > 0.1 * values[:, :1]
    assert ((expected > 0.6) & (expected < 1.25))[large].all()


def test_an_update_has_the_size_of_one_of_adamw_and_decays_weights() -> None:
    weight = torch.nn.Parameter(torch.ones(16, 64))
    unused = torch.nn.Parameter(torch.ones(2, 2))
    weight.grad = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    optimizer = Muon([weight, unused], lr=0.1, weight_decay=0.5)
    optimizer.step()
    update = (weight.detach() - (1 - 0.1 * 0.5)) / -0.1
    assert float(update.square().mean().sqrt()) == pytest.approx(UPDATE_RMS, rel=0.2)
    assert (unused == 1).all(), "no gradient"


def test_it_minimises_a_quadratic() -> None:
    torch.manual_seed(0)
    target = torch.randn(6, 10)
    weight = torch.nn.Parameter(torch.zeros(6, 10))
    optimizer = Muon([weight])
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 300)
        loss = (weight - target).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-2 * float(target.square().sum())
