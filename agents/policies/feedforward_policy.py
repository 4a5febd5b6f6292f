"""The `mlp` and `cnn` policies: actor and critic on the recent piano roll."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule

from toccata.agents.policies.distribution import JointDistribution, check_action_space
from toccata.agents.policies.feedforward_network import FeedforwardNetwork
from toccata.agents.sb3 import NetworkPolicy
from toccata.envs.core import genre_count
from toccata.envs.instrument import Piano
from toccata.settings.genres import GENRES, check_genres


class FeedforwardPolicy(NetworkPolicy):
    """Actor and critic on the full observation of `PianoEnv`, with `JointDistribution` over its actions.

    Args:
        observation_space: of `PianoEnv` with `observation="full"`.
        action_space: of the same environment.
        lr_schedule: learning rate by remaining progress.
        piano: the instrument of the environment.
        genres: of the environment.
        features: kind of `FeedforwardNetwork`, "mlp" or "cnn".
        arguments: of sb3-contrib's `MaskableActorCriticPolicy`.

    Raises:
        ValueError: for spaces of another environment or piano, or of other genres.
    """

    action_dist: JointDistribution
    network: FeedforwardNetwork

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        *,
        piano: Piano | None = None,
        genres: Sequence[str] = GENRES,
        features: str = "mlp",
        **arguments: Any,
    ) -> None:
        self.piano = piano or Piano()
        self.genres = check_genres(genres)
        self.features = features
        if features not in ("mlp", "cnn"):
            raise ValueError(f"features must be mlp or cnn, got {features!r}")
        check_action_space(action_space, self.piano)
        if not isinstance(observation_space, spaces.Dict) or "recent" not in observation_space.spaces:
            raise ValueError('the mlp and cnn policies need an environment with observation="full"')
        if (found := genre_count(observation_space)) != len(self.genres):
            raise ValueError(
                f"the policy has {len(self.genres)} genres, the environment has {found}; pass its genres as genres"
            )
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    def build_network(self) -> None:
        """Actor and critic, randomly initialised."""
        self.action_dist = JointDistribution(self.piano)
        space = self.observation_space
        self.network = FeedforwardNetwork(space, self.piano, self.features)  # type: ignore[arg-type]  # a Dict: checked

    def constructor_arguments(self) -> dict[str, Any]:
        """What the constructor needs to be called again."""
        return {"piano": self.piano, "genres": self.genres, "features": self.features}

    def forward(
        self, obs: Any, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Actions (batch, 2), values (batch, 1) and log-probabilities (batch,)."""
        distribution, values = self._distribution_and_values(obs, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions)

    def evaluate_actions(
        self, obs: Any, actions: torch.Tensor, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Values (batch, 1), log-probabilities of `actions` and entropies (batch,)."""
        distribution, values = self._distribution_and_values(obs, action_masks)
        return values, distribution.log_prob(actions), distribution.entropy()

    def get_distribution(self, obs: Any, action_masks: Any = None) -> JointDistribution:
        """The distribution over actions under these masks."""
        return self._distribution_and_values(obs, action_masks)[0]

    def predict_values(self, obs: Any) -> torch.Tensor:
        """Values (batch, 1)."""
        return self._distribution_and_values(obs, None)[1]

    def _distribution_and_values(self, obs: Any, action_masks: Any) -> tuple[JointDistribution, torch.Tensor]:
        """The distribution over actions under these masks, and the values, (batch, 1)."""
        logits, values = self.network(self.extract_features(obs))
        distribution = self.action_dist.proba_distribution(logits)
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        return distribution, values
