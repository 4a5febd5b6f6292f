"""The joint distribution over an action's two dimensions, `(what, value)`."""

from __future__ import annotations

import copy

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from torch import nn
from torch.nn import functional as F

from toccata.envs.instrument import NO_PITCH, Piano

IMPOSSIBLE = -1e8  # logit of a masked action: its probability is exactly 0 in float32
NO_VELOCITIES = (
    "mlp, cnn, lstm, transformer, wavenet and priors play (what, value) alone: use a piano with velocities=None, "
    'or MaskablePPO("MultiInputPolicy", ...) of sb3-contrib'
)


def chord_shapes(piano: Piano) -> np.ndarray:
    """(chords,) int64: index of each chord's shape, the set of its intervals above the lowest note."""
    pitches = piano.chord_pitches
    above = np.where(pitches == NO_PITCH, NO_PITCH, pitches - pitches[:, :1])
    return np.unique(above, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def check_action_space(action_space: spaces.Space, piano: Piano) -> None:
    """Raise ValueError unless it is that of an environment of this piano, whose actions are `(what, value)`."""
    check_no_velocities(piano)
    if not isinstance(action_space, spaces.MultiDiscrete) or tuple(action_space.nvec) != piano.nvec:
        hint = f"; {NO_VELOCITIES}" if getattr(action_space, "shape", None) == (3,) else ""
        raise ValueError(f"the policy plays MultiDiscrete({list(piano.nvec)}), the environment {action_space}{hint}")


def check_no_velocities(piano: Piano) -> None:
    """Raise ValueError for a piano with velocities, which the policies and priors of Toccata do not play."""
    if piano.velocities is not None:
        raise ValueError(f"the piano has the velocities {piano.velocities}; {NO_VELOCITIES}")


class JointDistribution(MaskableDistribution):
    """p(what) p(value | kind of what), where the kinds are: a rest, a key of each octave, a chord.

    Rests, melody notes and chords differ in their lengths, so the two dimensions are not independent. Log-probability,
    entropy and KL are exact.

    Args:
        piano: the instrument, which determines the kinds.

    Raises:
        ValueError: for a piano with velocities.
    """

    kind_of_what: torch.Tensor

    def __init__(self, piano: Piano) -> None:
        super().__init__()
        check_no_velocities(piano)
        self.whats, self.values = piano.nvec
        keys = np.arange(piano.lowest, piano.highest + 1) // 12
        chords = np.full(len(piano.chord_pitches), keys[-1] - keys[0] + 2)
        self._kinds = np.concatenate([[0], keys - keys[0] + 1, chords]).astype(np.int64)
        self.kinds = int(self._kinds[-1]) + 1
        self.kind_of_what = torch.as_tensor(self._kinds)

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """A linear layer to the logits: of each `what`, then of each value of each kind."""
        return nn.Linear(latent_dim, self.whats + self.kinds * self.values)

    def of(self, logits: torch.Tensor, masks: torch.Tensor | np.ndarray | None) -> JointDistribution:
        """A distribution of the same instrument, of logits (batch, whats + kinds * values) under masks."""
        self.kind_of_what = self.kind_of_what.to(logits.device)  # once
        other = copy.copy(self)
        other._set_logits(logits)
        other.apply_masking(masks)
        return other

    def proba_distribution(self, action_logits: torch.Tensor) -> JointDistribution:
        """Set the logits, (batch, whats + kinds * values)."""
        self.kind_of_what = self.kind_of_what.to(action_logits.device)
        self._set_logits(action_logits)
        self.apply_masking(None)
        return self

    def _set_logits(self, logits: torch.Tensor) -> None:
        self._what_logits, value_logits = logits.split([self.whats, self.kinds * self.values], dim=1)
        self._value_logits = value_logits.unflatten(1, (self.kinds, self.values))

    def apply_masking(self, masks: torch.Tensor | np.ndarray | None) -> None:
        """Set the masks, (batch, whats + values) bool; None allows every action."""
        what_logits, value_logits = self._what_logits, self._value_logits
        if masks is not None:
            masks = torch.as_tensor(masks, device=what_logits.device).bool().view(len(what_logits), -1)
            what_logits = what_logits.masked_fill(~masks[:, : self.whats], IMPOSSIBLE)
            value_logits = value_logits.masked_fill(~masks[:, None, self.whats :], IMPOSSIBLE)
        self.what_log_probs = F.log_softmax(what_logits, dim=-1)  # (batch, whats)
        self.value_log_probs = F.log_softmax(value_logits, dim=-1)  # (batch, kinds, values)

    def _value_log_probs_of(self, what: torch.Tensor) -> torch.Tensor:
        """(batch, values): log-probabilities of the values given `what` (batch,)."""
        return self.value_log_probs[torch.arange(len(what), device=what.device), self.kind_of_what[what]]

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(batch,) log-probability of actions (batch, 2)."""
        what, value = actions.long().view(-1, 2).unbind(dim=1)
        of_what = self.what_log_probs.gather(1, what[:, None])
        of_value = self._value_log_probs_of(what).gather(1, value[:, None])
        return (of_what + of_value).squeeze(1)

    def entropy(self) -> torch.Tensor:
        """(batch,) entropy in nats."""
        return self._expectation(-self.what_log_probs, -self.value_log_probs)

    def kl(self, other: JointDistribution) -> torch.Tensor:
        """(batch,) Kullback-Leibler divergence from `other` to this one, KL(this || other), in nats.

        Exact, over the joint distribution of `what` and `value`. Both must have the same masks.
        """
        return self._expectation(
            self.what_log_probs - other.what_log_probs, self.value_log_probs - other.value_log_probs
        )

    def _expectation(self, of_what: torch.Tensor, of_value: torch.Tensor) -> torch.Tensor:
        """(batch,) expectation of `of_what` (batch, whats) plus `of_value` (batch, kinds, values)."""
        what_probs = self.what_log_probs.exp()
        kind_probs = what_probs.new_zeros(len(what_probs), self.kinds).index_add_(1, self.kind_of_what, what_probs)
        value_mean = (self.value_log_probs.exp() * of_value).sum(-1)
        return (what_probs * of_what).sum(-1) + (kind_probs * value_mean).sum(-1)

    def joint_log_probs(self) -> torch.Tensor:
        """(batch, whats, values) log-probability of every action; about -1e8 where it is masked."""
        return self.what_log_probs[:, :, None] + self.value_log_probs[:, self.kind_of_what]

    def sample(self) -> torch.Tensor:
        """(batch, 2) actions."""
        draw = draw_checked if self.what_log_probs.device.type == "cpu" else draw_unchecked
        what = draw(self.what_log_probs.exp())
        value = draw(self._value_log_probs_of(what).exp())
        return torch.stack([what, value], dim=1)

    def mode(self) -> torch.Tensor:
        """(batch, 2): the likeliest `what` and its likeliest value."""
        what = self.what_log_probs.argmax(dim=1)
        return torch.stack([what, self._value_log_probs_of(what).argmax(dim=1)], dim=1)

    def actions_from_params(self, action_logits: torch.Tensor, deterministic: bool = False) -> torch.Tensor:
        """Actions of the distribution with these logits."""
        return self.proba_distribution(action_logits).get_actions(deterministic=deterministic)

    def log_prob_from_params(self, action_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions of the distribution with these logits, and their log-probabilities."""
        actions = self.actions_from_params(action_logits)
        return actions, self.log_prob(actions)


def draw_checked(probs: torch.Tensor) -> torch.Tensor:
    """(batch,) indices drawn with the probabilities `probs` (batch, n); RuntimeError for some that are not finite."""
    return torch.multinomial(probs, 1).squeeze(1)


def draw_unchecked(probs: torch.Tensor) -> torch.Tensor:
    """The same indices by the same draws, without checks, for which a program would wait for its GPU."""
    return (probs / torch.empty_like(probs).exponential_()).argmax(dim=1)
