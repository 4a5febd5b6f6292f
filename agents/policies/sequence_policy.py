"""The `lstm` and `transformer` policies: actor and critic that remember what was played."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule

from toccata.agents.policies.cache import Memory
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.feedforward_policy import Preprocessed
from toccata.agents.policies.sequence_network import SHAPES, SequenceNetwork, Shape, tensors_of
from toccata.agents.prior.prior import Prior, PriorError
from toccata.agents.prior.trajectories import NO_GENRE
from toccata.envs.instrument import Piano


class SequencePolicy(MaskableActorCriticPolicy):
    """A `SequenceNetwork` as a policy on the observation "actions" of `PianoEnv`.

    An observation alone does not tell what was played, so every method takes a `Memory` of the steps before and gives
    the one after. That an episode begins is seen in the observation.

    Args:
        piano: the instrument of the environment.
        backbone: "transformer" or "lstm".
        shape: fields of `Shape` in place of the usual ones, such as {"width": 64, "layers": 2}.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.MultiDiscrete,
        lr_schedule: Schedule,
        *,
        piano: Piano | None = None,
        backbone: str = "transformer",
        shape: dict[str, int] | None = None,
        **arguments: Any,
    ) -> None:
        self.piano = piano or Piano()
        if backbone not in SHAPES:
            raise ValueError(f"backbone must be {' or '.join(SHAPES)}, got {backbone!r}")
        self.shape = Shape(**{**asdict(SHAPES[backbone]), **(shape or {})})
        if not isinstance(action_space, spaces.MultiDiscrete) or tuple(action_space.nvec) != self.piano.nvec:
            raise ValueError(f"the policy plays MultiDiscrete({list(self.piano.nvec)}), the environment {action_space}")
        if not isinstance(observation_space, spaces.Dict) or "place" not in observation_space.spaces:
            raise ValueError('the lstm and transformer policies need an environment with observation="actions"')
        if (genres := observation_space["genre"].n) > NO_GENRE:  # type: ignore[attr-defined]  # Discrete
            raise ValueError(f"the policy knows {NO_GENRE} genres, the environment has {genres}")
        self._memory: Memory | None = None  # after the last `predict` without a state
        arguments["features_extractor_class"] = Preprocessed
        arguments.setdefault("optimizer_kwargs", {"eps": 1e-5, "fused": True})  # SB3's eps; ten times faster
        super().__init__(observation_space, action_space, lr_schedule, **arguments)

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = JointDistribution(self.piano)
        self.network = SequenceNetwork(self.piano, self.shape)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]  # torch types optimizers without it
            **self.optimizer_kwargs,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        shape = asdict(self.shape)
        return {
            **super()._get_constructor_parameters(),
            "piano": self.piano,
            "backbone": shape.pop("backbone"),
            "shape": shape,
        }

    def start_from(self, prior: Prior) -> None:
        """Take the weights of a prior.

        Raises:
            PriorError: when it is of another piano or another shape.
        """
        if prior.piano != self.piano:
            raise PriorError("the prior plays another piano than the environment has")
        if prior.network.shape != self.shape:
            raise PriorError(f"the prior is of another shape, {prior.network.shape}, than the policy, {self.shape}")
        self.network.load_state_dict(prior.network.state_dict())

    def distribution(self, logits: torch.Tensor, masks: Any) -> JointDistribution:
        """The distribution of logits (steps, whats + kinds * values) under masks (steps, whats + values)."""
        distribution = JointDistribution(self.piano)
        distribution.proba_distribution(logits)
        if masks is not None:
            distribution.apply_masking(masks)
        return distribution

    # One step of every row

    def forward(  # type: ignore[override]  # with a memory, as sb3-contrib's recurrent policies
        self, obs: Any, memory: Memory | None = None, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Memory]:
        """Play one step of every row.

        Returns:
            actions (rows, 2), values (rows,), log-probabilities (rows,), logits (rows, whats + kinds * values), and
            the memory after this step.
        """
        logits, values, memory = self._step(obs, memory)
        distribution = self.distribution(logits, action_masks)
        actions = distribution.get_actions(deterministic=deterministic)
        return actions, values, distribution.log_prob(actions), logits, memory

    def predict_values(self, obs: Any, memory: Memory | None = None) -> torch.Tensor:
        """(rows,) values."""
        return self._step(obs, memory)[1]

    def get_distribution(  # type: ignore[override]  # with a memory, as sb3-contrib's recurrent policies
        self, obs: Any, memory: Memory | None = None, action_masks: Any = None
    ) -> JointDistribution:
        """The distribution over the next action of every row."""
        return self.distribution(self._step(obs, memory)[0], action_masks)

    def _step(self, obs: Any, memory: Memory | None) -> tuple[torch.Tensor, torch.Tensor, Memory]:
        observations = tensors_of(obs, self.device)
        rows = len(observations["genre"])
        return self.network.step(observations, begins_of(observations), memory or self.network.fresh(rows))

    # Whole sequences

    def evaluate_actions(  # type: ignore[override]  # with a memory, as sb3-contrib's recurrent policies
        self, obs: Any, actions: torch.Tensor, memory: Memory | None = None, action_masks: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, JointDistribution]:
        """Judge whole sequences in one pass.

        Args:
            obs: observations (rows, time, ...).
            actions: (rows, time, 2).
            memory: of the episodes that were under way before the first step.
            action_masks: (rows, time, whats + values).

        Returns:
            values and log-probabilities of the actions (rows * time,), and the distributions they are of.
        """
        observations = tensors_of(obs, self.device, time=True)
        logits, values = self.network.whole(observations, begins_of(observations), memory)
        masks = None if action_masks is None else action_masks.reshape(values.numel(), -1)
        distribution = self.distribution(logits.flatten(0, 1), masks)
        return values.flatten(), distribution.log_prob(actions.reshape(-1, 2)), distribution

    # What Stable-Baselines3's users call

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Any]:
        """Actions, and the state to hand to the next call.

        Without a state it goes on from the last call without one for as many rows, unless every row begins: a loop
        that knows nothing of states, as sb3-contrib's `evaluate_policy` with masks, is served as well. A state serves
        one line of steps: going on twice from the same one overwrites the first.

        Args:
            observation: of one environment, or of several with a leading axis.
            state: what the call before gave.
            episode_start: not needed: the observation tells.
            deterministic: the likeliest action instead of a drawn one.
            action_masks: (rows, whats + values), the legal actions.

        Raises:
            ValueError: when the state is of another number of environments.
        """
        self.set_training_mode(False)
        tensors, vectorized = self.obs_to_tensor(observation)
        observations = tensors_of(tensors, self.device)  # type: ignore[arg-type]  # a dict, as the space is one
        rows = len(observations["genre"])
        if state is not None:
            if len(state.lengths) != rows:
                raise ValueError(f"the state is of {len(state.lengths)} environments, the observation of {rows}")
            if self._memory is not None and state.state is self._memory.state:
                self._memory = None  # who was given it goes on from it: it serves no other line
            memory = state
        elif self._memory is None or len(self._memory.lengths) != rows or bool(begins_of(observations).all()):
            memory = None
        else:
            memory = self._memory
        with torch.no_grad():
            actions, _, _, _, after = self.forward(observations, memory, deterministic, action_masks)
        if state is None:
            self._memory = after
        played = actions.cpu().numpy()
        return (played if vectorized else played[0]), after


def begins_of(observations: dict[str, torch.Tensor]) -> torch.Tensor:
    """Bool, of the shape of observations["genre"]: nothing was played yet.

    Only then the clock stands at 0 and the last action is no strike.
    """
    place, last = observations["place"], observations["last"]
    return (place[..., 0] == 0) & (place[..., 2] == 0) & (last[..., 0] == 0)
