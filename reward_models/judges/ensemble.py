"""A small ensemble of networks on features of notes: what the gold rating and the held-out realism compute."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HIDDEN = 64
DROPOUT = 0.3
MEMBERS = 5
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
BATCH = 256
CLIP = 5.0  # standard deviations of a feature; beyond it counts as that


class FeatureEnsemble(nn.Module):
    """Networks of one hidden layer on standardised features, each with a number for an output.

    Args:
        features: how many.
        members: networks.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: int, members: int = MEMBERS) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Linear(features, HIDDEN), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1), nn.Flatten(-2)
            )
            for _ in range(members)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(members, n) outputs of (n, features)."""
        x = ((features - self.mean) / self.std).clamp(-CLIP, CLIP)
        return torch.stack([member(x) for member in self.members])

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(n,) float64 mean output over the members."""
        self.eval()
        with torch.no_grad():
            return self(torch.as_tensor(features, dtype=torch.float32)).mean(dim=0).double().numpy()


def fit_ensemble(
    features: np.ndarray,
    targets: np.ndarray,
    *,
    logistic: bool,
    steps: int,
    seed: int,
    weights: np.ndarray | None = None,
) -> FeatureEnsemble:
    """Fit an ensemble; every member begins and draws its batches by a seed of its own.

    Args:
        features: (n, k).
        targets: (n,) numbers to predict by least squares, or if `logistic` probabilities, whose log-odds are predicted.
        logistic: see `targets`.
        steps: of AdamW, whose learning rate falls linearly to 0.
        seed: of all members.
        weights: (n,) that examples are drawn in proportion to; None: all equally.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    ensemble = FeatureEnsemble(features.shape[1])
    x, y = (torch.as_tensor(each, dtype=torch.float32) for each in (features, targets))
    ensemble.mean, ensemble.std = x.mean(dim=0), x.std(dim=0).clamp(min=1e-3)
    optimizer = torch.optim.AdamW(ensemble.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    probabilities = None if weights is None else weights / weights.sum()
    ensemble.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / steps)
        rows = torch.as_tensor(rng.choice(len(x), BATCH, p=probabilities))
        out = ensemble(x[rows])
        wanted = y[rows].expand_as(out)
        loss = F.binary_cross_entropy_with_logits(out, wanted) if logistic else F.mse_loss(out, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return ensemble.eval()
