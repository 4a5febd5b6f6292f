"""A reward that learns: a small network tells the agent's intervals from those of real music, and is trained along.

From the root of the repository, beside the default rewards:

    python train.py --rewards + examples.discriminator:Discriminator 0.3
"""

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits


class Discriminator:
    """Log-odds of "real music", in [-3, 3], from the share of each interval between successive notes of a piece."""

    name = "discriminator"

    def __init__(self, width=32, learning_rate=1e-3):
        self.network = torch.nn.Sequential(torch.nn.Linear(25, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))
        self.optimizer = torch.optim.Adam(self.network.parameters(), learning_rate)

    def logits(self, pieces):
        """(n,)."""
        steps = [np.diff(score.notes["pitch"].astype(int)).clip(-12, 12) + 12 for score in pieces.own]  # -12..12
        shares = np.stack([np.bincount(each, minlength=25) / max(len(each), 1) for each in steps])
        return 3 * torch.tanh(self.network(torch.as_tensor(shares, dtype=torch.float32)).squeeze(1))

    def score(self, pieces):
        """(n,) float32, higher is better."""
        return self.logits(pieces).detach().numpy()

    def update(self, pieces, real, rng):
        """One step of training after each rollout; what it returns is logged as discriminator/loss and so on."""
        logits = torch.cat([self.logits(pieces), self.logits(real)])
        labels = torch.cat([torch.zeros(len(pieces)), torch.ones(len(real))])
        loss = binary_cross_entropy_with_logits(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.item(), "accuracy": ((logits > 0) == labels.bool()).float().mean().item()}

    def state_dict(self):
        """All that `update` changes: it is saved with every checkpoint."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        """The inverse: called when a run is resumed or evaluated."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
