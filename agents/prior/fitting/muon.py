"""Muon: gradient descent on matrices whose momentum is made orthogonal, in float32 or on whatever the weights are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic iteration, Jordan et al. 2024
NEWTON_SCHULZ_STEPS = 5
UPDATE_RMS = 0.2  # of the elements of an update, as AdamW's have, so that both take one learning rate (Liu et al. 2025)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers") with decoupled weight decay.

    `torch.optim.Muon` computes in bfloat16, which most CPUs emulate; here the matrices keep their precision, and those
    of one shape are taken together.

    Args:
        params: matrices, or groups of them.
        lr: learning rate; the elements of an update have a root mean square of about 0.2 times as much.
        momentum: of the gradients (Nesterov).
        weight_decay: times the learning rate is subtracted from the weights.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # the base class has overloads, for closures that give a loss
        """One step on the gradients at hand; matrices without one are left alone."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                updates = []
                for parameter in parameters:
                    state = self.state[parameter]
                    momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                    momentum.lerp_(parameter.grad, 1 - group["momentum"])
                    updates.append(parameter.grad.lerp(momentum, group["momentum"]))
                size = UPDATE_RMS * max(parameters[0].shape) ** 0.5
                for parameter, update in zip(parameters, orthogonal(torch.stack(updates)), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * size)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(n, rows, columns): nearly the nearest matrices with singular values of 1, by Newton-Schulz iterations."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
