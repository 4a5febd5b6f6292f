"""Policies on the piano's observation, `mlp` and `cnn`, with one joint distribution over `(what, value)`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.nn import functional as F

from toccata.envs.dynamics import RECENT_FRAMES
from toccata.envs.instrument import NO_PITCH, Piano

IMPOSSIBLE = -1e8  # logit of a masked action: its probability is exactly 0 in float32


def chord_shapes(piano: Piano) -> np.ndarray:
    """(chords,) int64: the number of each chord's shape, that is of its intervals from its lowest note."""
    pitches = piano.chord_pitches
    above = np.where(pitches == NO_PITCH, NO_PITCH, pitches - pitches[:, :1])
    return np.unique(above, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


class JointDistribution(MaskableDistribution):
    """`what`, then `value` given what kind of thing `what` is: a wait, a key of some octave, or a chord.

    A wait and a melody note want other lengths, so the two dimensions are not independent. Log-probability and
    entropy are exact.

    Args:
        piano: the instrument, which tells the kinds.
    """

    kind_of_what: torch.Tensor

    def __init__(self, piano: Piano) -> None:
        super().__init__()
        self.whats, self.values = piano.nvec
        keys = np.arange(piano.lowest, piano.highest + 1) // 12
        chords = np.full(len(piano.chord_pitches), keys[-1] - keys[0] + 2)
        self._kinds = np.concatenate([[0], keys - keys[0] + 1, chords]).astype(np.int64)
        self.kinds = int(self._kinds[-1]) + 1
        self.kind_of_what = torch.as_tensor(self._kinds)

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:
        """The layer that gives the logits: of each `what`, then of each value of each kind."""
        return nn.Linear(latent_dim, self.whats + self.kinds * self.values)

    def proba_distribution(self, action_logits: torch.Tensor) -> JointDistribution:
        """Take logits (batch, whats + kinds * values)."""
        self.kind_of_what = self.kind_of_what.to(action_logits.device)
        self._what_logits, value_logits = action_logits.split([self.whats, self.kinds * self.values], dim=1)
        self._value_logits = value_logits.unflatten(1, (self.kinds, self.values))
        self.apply_masking(None)
        return self

    def apply_masking(self, masks: torch.Tensor | np.ndarray | None) -> None:
        """Take masks (batch, whats + values); None allows everything."""
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
        """(batch,) entropy in nats: of `what`, and of `value` in the mean over `what`."""
        return self._mean(-self.what_log_probs, -self.value_log_probs)

    def kl(self, other: JointDistribution) -> torch.Tensor:
        """(batch,) Kullback-Leibler divergence from `other` to this one, KL(this || other), in nats.

        Exact, over the joint distribution of `what` and `value`. Both must have the same masks.
        """
        return self._mean(self.what_log_probs - other.what_log_probs, self.value_log_probs - other.value_log_probs)

    def _mean(self, of_what: torch.Tensor, of_value: torch.Tensor) -> torch.Tensor:
        """(batch,) mean of `of_what` (batch, whats) plus `of_value` (batch, kinds, values)."""
        what_probs = self.what_log_probs.exp()
        kind_probs = what_probs.new_zeros(len(what_probs), self.kinds).index_add_(1, self.kind_of_what, what_probs)
        value_mean = (self.value_log_probs.exp() * of_value).sum(-1)
        return (what_probs * of_what).sum(-1) + (kind_probs * value_mean).sum(-1)

    def joint_log_probs(self) -> torch.Tensor:
        """(batch, whats, values) log-probability of every action; about -1e8 where it is masked."""
        return self.what_log_probs[:, :, None] + self.value_log_probs[:, self.kind_of_what]

    def sample(self) -> torch.Tensor:
        """(batch, 2) actions."""
        what = torch.multinomial(self.what_log_probs.exp(), 1).squeeze(1)
        value = torch.multinomial(self._value_log_probs_of(what).exp(), 1).squeeze(1)
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


class Preprocessed(BaseFeaturesExtractor):
    """Hands Stable-Baselines3's preprocessed observation on as it is; `Network` does the rest."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=1)

    def forward(self, observations: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The observations, floats with a leading batch axis."""
        return observations


class Network(nn.Module):
    """Actor and critic that hear in intervals: everything is seen, and every key struck, relative to the last note.

    Music is the same in every key, so what is learnt in one holds in all. The reference is the highest key of the
    latest sixteenth in which something was struck.

    Args:
        observation_space: the full observation of `PianoEnv`.
        piano: its instrument.
        body: "mlp", one wide layer on the roll, or "cnn", convolutions over pitch and time.
        width: of the layers.
    """

    octaves: torch.Tensor
    chord_lowest: torch.Tensor
    chord_shape: torch.Tensor

    def __init__(self, observation_space: spaces.Dict, piano: Piano, body: str, width: int = 256) -> None:
        super().__init__()
        self.keys = piano.keys
        self.first_reference = piano.keys // 2  # before the first note
        self.rest = [key for key in observation_space if key not in ("recent", "held")]  # batches come in any order
        beside = sum(spaces.flatdim(observation_space[key]) for key in self.rest)
        octaves = torch.arange(0, piano.keys, 12)
        self.register_buffer("octaves", octaves)
        self.beside = nn.Linear(beside + self.keys + 2 * len(octaves), width)  # with held and the register
        self.roll: nn.Module
        if body == "mlp":
            self.roll = nn.Linear(RECENT_FRAMES * self.keys, width)
        else:
            self.roll = nn.Sequential(
                nn.Unflatten(1, (1, RECENT_FRAMES, self.keys)),
                nn.Conv2d(1, 24, (4, 12), stride=(4, 4)),  # a beat by an octave
                nn.GELU(),
                nn.Flatten(),
                nn.Linear(24 * (RECENT_FRAMES // 4) * ((self.keys - 12) // 4 + 1), width),
            )
        self.hidden = nn.Linear(width, width)
        self.critic_hidden = nn.Linear(width, width)
        self.critic = nn.Linear(width, 1)

        chord_lowest = torch.as_tensor(piano.chord_pitches[:, 0].astype(np.int64)) - piano.lowest
        shapes = chord_shapes(piano)
        self.register_buffer("chord_lowest", chord_lowest)  # (chords,) key index of each chord's lowest note
        self.register_buffer("chord_shape", torch.as_tensor(shapes))  # (chords,)
        self.intervals = 2 * self.keys - 1
        chord_logits = 12 * (int(shapes.max()) + 1 if len(shapes) else 0)  # by shape and interval modulo an octave
        distribution = JointDistribution(piano)
        self.actor = nn.Linear(width, 1 + self.intervals + chord_logits + distribution.kinds * distribution.values)
        nn.init.orthogonal_(self.actor.weight, 0.01)
        nn.init.zeros_(self.actor.bias)

    def forward(self, observations: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of `JointDistribution`, (batch, whats + kinds * values), and values, (batch, 1)."""
        roll = observations["recent"].unflatten(1, (RECENT_FRAMES, self.keys))
        reference = self._reference(roll)
        window = torch.arange(self.keys, device=roll.device) - self.keys // 2 + reference[:, None]  # (batch, keys)
        inside = (window >= 0) & (window < self.keys)
        window = window.clamp(0, self.keys - 1)
        near_roll = roll.gather(2, window[:, None].expand(-1, RECENT_FRAMES, -1)) * (inside[:, None] / 2)
        near_held = observations["held"].gather(1, window) * inside
        rest = [observations[key].flatten(1) for key in self.rest]
        beside = torch.cat([*rest, near_held, self._register(reference)], dim=1)
        x = F.gelu(self.roll(near_roll.flatten(1)) + self.beside(beside))
        values = self.critic(F.gelu(self.critic_hidden(x)))
        logits = self.actor(x + F.gelu(self.hidden(x)))
        return self._absolute(logits, reference), values

    def _reference(self, roll: torch.Tensor) -> torch.Tensor:
        """(batch,) index of the key that the rest is seen from."""
        struck = roll > 1
        frame_struck = struck.any(2)
        newest = RECENT_FRAMES - 1 - frame_struck.flip(1).int().argmax(1)
        last = struck[torch.arange(len(roll), device=roll.device), newest]
        highest = self.keys - 1 - last.flip(1).int().argmax(1)
        return torch.where(frame_struck.any(1), highest, self.first_reference)

    def _register(self, reference: torch.Tensor) -> torch.Tensor:
        """(batch, 2 * octaves): how far the reference is above and below each octave, in octaves.

        Ramps, so that a register never met in real music is known as too high or too low.
        """
        above = (reference[:, None] - self.octaves) / 12
        return torch.cat([above.clamp(min=0), (-above).clamp(min=0)], dim=1)

    def _absolute(self, logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Logits by interval as logits by `what`, then those of the values."""
        wait, by_interval, rest = logits.tensor_split([1, 1 + self.intervals], dim=1)
        chord_logits = 12 * (len(self.chord_shape) and int(self.chord_shape.max()) + 1)
        by_chord, values = rest.tensor_split([chord_logits], dim=1)
        intervals = torch.arange(self.keys, device=logits.device) - reference[:, None] + self.keys - 1
        chords = self.chord_shape * 12 + (self.chord_lowest - reference[:, None]) % 12
        return torch.cat([wait, by_interval.gather(1, intervals), by_chord.gather(1, chords), values], dim=1)


class PianoPolicy(MaskableActorCriticPolicy):
    """Actor and critic on the full observation of `PianoEnv`, with `JointDistribution` over its actions.

    Args:
        piano: the instrument of the environment.
        features: the body of `Network`, "mlp" or "cnn".
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        *,
        piano: Piano | None = None,
        features: str = "mlp",
        **arguments: Any,
    ) -> None:
        self.piano = piano or Piano()
        self.features = features
        if features not in ("mlp", "cnn"):
            raise ValueError(f"features must be mlp or cnn, got {features!r}")
        if not isinstance(action_space, spaces.MultiDiscrete) or tuple(action_space.nvec) != self.piano.nvec:
            raise ValueError(f"the policy plays MultiDiscrete({list(self.piano.nvec)}), the environment {action_space}")
        if not isinstance(observation_space, spaces.Dict) or "recent" not in observation_space.spaces:
            raise ValueError('the mlp and cnn policies need an environment with observation="full"')
        arguments["features_extractor_class"] = Preprocessed
        arguments.setdefault("optimizer_kwargs", {"eps": 1e-5, "fused": True})  # SB3's eps; ten times faster
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = JointDistribution(self.piano)
        space = self.observation_space
        self.network = Network(space, self.piano, self.features)  # type: ignore[arg-type]  # a Dict: __init__ checked
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]  # torch types optimizers without it
            **self.optimizer_kwargs,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "piano": self.piano, "features": self.features}

    def _judge(self, obs: Any, action_masks: Any) -> tuple[JointDistribution, torch.Tensor]:
        """The distribution over actions under these masks, and the values, (batch, 1)."""
        logits, values = self.network(self.extract_features(obs))
        distribution = self.action_dist.proba_distribution(logits)
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        return distribution, values  # type: ignore[return-value]  # SB3 types action_dist by its base

    def forward(
        self, obs: Any, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Actions (batch, 2), values (batch, 1) and log-probabilities (batch,)."""
        distribution, values = self._judge(obs, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: Any, actions: torch.Tensor, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Values (batch, 1), log-probabilities of `actions` and entropies (batch,)."""
        distribution, values = self._judge(obs, action_masks)
        return values, distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Any, action_masks: Any = None) -> JointDistribution:
        """The distribution over actions under these masks."""
        return self._judge(obs, action_masks)[0]

    def predict_values(self, obs: Any) -> torch.Tensor:
        """Values (batch, 1)."""
        return self._judge(obs, None)[1]
