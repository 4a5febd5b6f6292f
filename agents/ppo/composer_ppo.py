"""PPO that is paid by a reward model for whole pieces, in one batch a rollout."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer

from toccata.agents.policies.sequence_network import SequenceNetwork
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.sequence_ppo import Pages, Rollout, collect, update
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, contributions


class Due(NamedTuple):
    """A reward that falls due: where it goes in the rollout, and for what."""

    step: int
    env: int
    piece: Piece
    done: bool


class PaidRolloutBuffer(MaskableDictRolloutBuffer):
    """A rollout buffer that has its rewards filled in before returns and advantages are computed."""

    pay: Callable[[], None] | None = None

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        """Pay, then compute."""
        if self.pay is not None:
            self.pay()
        super().compute_returns_and_advantage(last_values, dones)


class ComposerPPO(MaskablePPO):
    """sb3-contrib's `MaskablePPO` with rewards for whole pieces.

    The environment says when a reward falls due by `info["piece"]`. With `reward_model` given, the environment
    itself must have none: every piece that fell due in a rollout is scored in one batch when the rollout ends, and
    the rewards are in place before advantages are computed. This is the same reward that the environment would
    have paid step by step, far faster.

    With a `SequencePolicy` rollouts remember what was played and updates go over whole sequences; a minibatch is then
    as many rows of `n_steps` steps as make `batch_size` steps, at least one. Each step can be charged for the KL of
    the policy from a frozen prior: the objective is the reward less `kl_coef` times the KL of the piece.

    Args:
        policy: a policy class, `PianoPolicy` or `SequencePolicy`.
        env: a `PianoVecEnv`, or anything else that Stable-Baselines3 takes.
        reward_model: who pays; None leaves that to the environment.
        prior: the network that the KL is measured to; only with a `SequencePolicy`.
        kl_coef: reward taken off for each nat.
        kl_target: nats a piece that the coefficient is adapted to after each rollout; None leaves it as it is.
        arguments: of `MaskablePPO`.

    Attributes:
        finished: the pieces finished in the last rollout.

    Raises:
        ValueError: for a coefficient or a target out of range, or a prior that the policy cannot be compared with.
    """

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        reward_model: RewardModel | None = None,
        prior: SequenceNetwork | None = None,
        kl_coef: float = 0.0,
        kl_target: float | None = None,
        **arguments: Any,
    ) -> None:
        if not 0 <= kl_coef < np.inf:
            raise ValueError(f"kl_coef must be finite and at least 0, got {kl_coef}")
        if kl_target is not None and not (0 < kl_target < np.inf and kl_coef > 0):
            raise ValueError(f"kl_target needs to be positive, and a positive kl_coef, got {kl_target} and {kl_coef}")
        self.reward_model = reward_model
        self.prior = prior
        self.kl_coef = kl_coef
        self.kl_target = kl_target
        self.pages = Pages.empty(0)
        self.rollout: Rollout | None = None
        self.finished = Pieces([])
        self._due: list[Due] = []
        arguments.setdefault("rollout_buffer_class", PaidRolloutBuffer)
        super().__init__(policy, env, **arguments)

    def _setup_model(self) -> None:
        super()._setup_model()
        self.rollout_buffer.pay = self._pay  # type: ignore[attr-defined]  # a PaidRolloutBuffer
        if self.prior is not None and not isinstance(self.policy, SequencePolicy):
            raise ValueError("the KL to a prior is measured for a SequencePolicy only")

    def _setup_learn(self, total_timesteps: int, *arguments: Any, **named: Any) -> Any:
        before = self._last_obs
        answer = super()._setup_learn(total_timesteps, *arguments, **named)
        if before is not self._last_obs:  # every env begins a piece
            self._paid = np.zeros(self.n_envs)  # what each env's piece was paid so far
            self.pages = Pages.empty(self.n_envs)
        return answer

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "reward_model", "prior", "rollout", "finished", "_due"]

    def collect_rollouts(
        self, env: Any, callback: Any, rollout_buffer: Any, n_rollout_steps: int, use_masking: bool = True
    ) -> bool:
        """Play a rollout; False when a callback wants to stop."""
        self._due.clear()  # of a rollout that was broken off
        if isinstance(self.policy, SequencePolicy):
            return collect(self, env, callback, rollout_buffer, use_masking)
        return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps, use_masking)

    def train(self) -> None:
        """Update the policy from the rollout."""
        if isinstance(self.policy, SequencePolicy):
            update(self)
        else:
            super().train()

    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        super()._update_info_buffer(infos, dones)
        for i, info in enumerate(infos):
            if "piece" in info:
                done = dones is not None and bool(dones[i])
                self._due.append(Due(self.rollout_buffer.pos, i, info["piece"], done))
                if done and self.reward_model is not None:
                    info["TimeLimit.truncated"] = False  # a piece cut off is paid in full: nothing more is to come

    def _pay(self) -> None:
        """Score what fell due in this rollout and put the rewards where they belong."""
        due, self._due = self._due, []
        done = [i for i, reward in enumerate(due) if reward.done]
        self.finished = Pieces([due[i].piece for i in done], self._piano)
        if self.reward_model is None or not due:
            return
        begun = time.perf_counter()
        try:
            terms = contributions(self.reward_model, Pieces([reward.piece for reward in due], self._piano))
        except BaseException:
            for reward in due:  # these are lost with the rollout; what comes next must not be charged for them
                if reward.done:
                    self._paid[reward.env] = 0.0
            raise
        worth = np.sum(list(terms.values()), axis=0)
        for reward, total in zip(due, worth.tolist(), strict=True):
            self.rollout_buffer.rewards[reward.step, reward.env] += total - self._paid[reward.env]
            self._paid[reward.env] = 0.0 if reward.done else total
        for i in done:
            steps = 0 if (actions := due[i].piece.actions) is None else len(actions)
            self.ep_info_buffer.append({"r": float(worth[i]), "l": steps, "t": 0.0})  # type: ignore[union-attr]  # there since learn
        if done:
            self.logger.record("reward/total", float(worth[done].mean()))
            for name, term in terms.items():
                self.logger.record(f"reward/{name}", float(term[done].mean()))
            self.logger.record("reward/pieces", len(done))
        self.logger.record("time/reward_seconds", time.perf_counter() - begun)

    def dump_logs(self, iteration: int = 0) -> None:
        """Write a row of progress; a resumed run counts its rollouts on."""
        super().dump_logs(self.num_timesteps // (self.n_steps * self.n_envs))

    @property
    def _piano(self) -> Any:
        return getattr(self.policy, "piano", None)
