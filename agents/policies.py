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
from toccata.envs.instrument import Piano

IMPOSSIBLE = -1e8  # logit of a masked action: its probability is exactly 0 in float32


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

    def proba_distribution_net(self, latent_dim: int) -> nn.Module:  # type: ignore[override]
        """The layer that gives the logits: of each `what`, then of each value of each kind."""
        return nn.Linear(latent_dim, self.whats + self.kinds * self.values)

    def proba_distribution(self, action_logits: torch.Tensor) -> JointDistribution:  # type: ignore[override]
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
        what_probs = self.what_log_probs.exp()
        kind_probs = what_probs.new_zeros(len(what_probs), self.kinds).index_add_(1, self.kind_of_what, what_probs)
        value_entropy = -(self.value_log_probs.exp() * self.value_log_probs).sum(-1)
        return -(what_probs * self.what_log_probs).sum(-1) + (kind_probs * value_entropy).sum(-1)

    def sample(self) -> torch.Tensor:
        """(batch, 2) actions."""
        what = torch.multinomial(self.what_log_probs.exp(), 1).squeeze(1)
        value = torch.multinomial(self._value_log_probs_of(what).exp(), 1).squeeze(1)
        return torch.stack([what, value], dim=1)

    def mode(self) -> torch.Tensor:
        """(batch, 2): the likeliest `what` and its likeliest value."""
        what = self.what_log_probs.argmax(dim=1)
        return torch.stack([what, self._value_log_probs_of(what).argmax(dim=1)], dim=1)

    def actions_from_params(self, action_logits: torch.Tensor, deterministic: bool = False) -> torch.Tensor:  # type: ignore[override]
        """Actions of the distribution with these logits."""
        return self.proba_distribution(action_logits).get_actions(deterministic=deterministic)

    def log_prob_from_params(self, action_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        """Actions of the distribution with these logits, and their log-probabilities."""
        actions = self.actions_from_params(action_logits)
        return actions, self.log_prob(actions)


class FlatFeatures(BaseFeaturesExtractor):
    """`mlp`: everything the agent sees as one vector, through one wide layer."""

    def __init__(self, observation_space: spaces.Dict, features_dim: int = 256) -> None:
        super().__init__(observation_space, features_dim)
        rest = {key: space for key, space in observation_space.items() if key != "recent"}
        rest_dim = sum(spaces.flatdim(space) for space in rest.values())
        self.recent = nn.Linear(spaces.flatdim(observation_space["recent"]), features_dim)
        self.rest = nn.Linear(rest_dim, features_dim)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """(batch, features) of preprocessed observations."""
        rest = torch.cat([value.flatten(1) for key, value in observations.items() if key != "recent"], dim=1)
        return F.gelu(self.recent(observations["recent"] / 2) + self.rest(rest))


class RollFeatures(BaseFeaturesExtractor):
    """`cnn`: the recent roll through convolutions over pitch and time, the rest beside it."""

    def __init__(self, observation_space: spaces.Dict, features_dim: int = 256) -> None:
        super().__init__(observation_space, features_dim)
        self.keys = spaces.flatdim(observation_space["recent"]) // RECENT_FRAMES
        rest = {key: space for key, space in observation_space.items() if key != "recent"}
        rest_dim = sum(spaces.flatdim(space) for space in rest.values())
        self.roll = nn.Sequential(
            nn.Conv2d(2, 16, (4, 13), stride=(4, 1), padding=(0, 6)),  # a beat by an octave around each key
            nn.GELU(),
            nn.Conv2d(16, 16, (2, 12), stride=(2, 4), padding=(0, 4)),
            nn.GELU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            roll_dim = self.roll(torch.zeros(1, 2, RECENT_FRAMES, self.keys)).shape[1]
        self.out = nn.Linear(roll_dim + rest_dim, features_dim)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """(batch, features) of preprocessed observations."""
        recent = observations["recent"].unflatten(1, (RECENT_FRAMES, self.keys))
        roll = self.roll(torch.stack([(recent > 0).float(), (recent > 1).float()], dim=1))
        rest = torch.cat([value.flatten(1) for key, value in observations.items() if key != "recent"], dim=1)
        return F.gelu(self.out(torch.cat([roll, rest], dim=1)))


FEATURES: dict[str, type[BaseFeaturesExtractor]] = {"mlp": FlatFeatures, "cnn": RollFeatures}


class PianoPolicy(MaskableActorCriticPolicy):
    """Actor and critic on the full observation of `PianoEnv`, with `JointDistribution` over its actions.

    Args:
        piano: the instrument of the environment.
        features: "mlp" or "cnn".
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
        if not isinstance(action_space, spaces.MultiDiscrete) or tuple(action_space.nvec) != self.piano.nvec:
            raise ValueError(f"the policy plays MultiDiscrete({list(self.piano.nvec)}), the environment {action_space}")
        if not isinstance(observation_space, spaces.Dict) or "recent" not in observation_space.spaces:
            raise ValueError('the mlp and cnn policies need an environment with observation="full"')
        arguments.setdefault("net_arch", {"pi": [256], "vf": [256]})
        arguments.setdefault("activation_fn", nn.GELU)
        arguments.setdefault("features_extractor_class", FEATURES[features])
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = JointDistribution(self.piano)
        super()._build(lr_schedule)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "piano": self.piano, "features": self.features}
