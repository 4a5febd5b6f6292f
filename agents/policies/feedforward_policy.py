"""The `mlp` and `cnn` policies: actor and critic on the recent piano roll."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule

from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.feedforward_network import Network
from toccata.envs.instrument import Piano


class Preprocessed(BaseFeaturesExtractor):
    """Hands Stable-Baselines3's preprocessed observation on as it is; `Network` does the rest."""

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, features_dim=1)

    def forward(self, observations: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The observations, floats with a leading batch axis."""
        return observations


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
