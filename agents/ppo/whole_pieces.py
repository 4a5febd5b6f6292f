"""Algorithms on whole pieces, without a value function: GRPO, and the distillation of the best of n pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableDictRolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.sequence_network import OBSERVATION_KEYS
from toccata.agents.ppo.composer_ppo import ComposerPPO, DivergenceError, PendingReward
from toccata.agents.ppo.losses import Losses
from toccata.agents.ppo.piece_losses import (
    SMALLEST_STD,
    PieceRows,
    best_of_groups,
    piece_losses,
    relative_advantages,
)
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.ppo.update import PASS_STEPS, bfloat16_backbone, check_gradients, is_too_far, update_figures
from toccata.agents.prior.likelihood import batch_of, distributions
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.step_infos import pieces_in
from toccata.envs.pieces import Piece

Algorithm = Literal["grpo", "best-of-n"]
ALGORITHMS: tuple[Algorithm, ...] = ("grpo", "best-of-n")
CPU_PIECES_PER_PASS, GPU_PIECES_PER_PASS = 16, 128  # of one forward and backward pass


class WholePiecePPO(SequenceComposerPPO):
    """Updates from whole pieces, each of which has one return and one advantage for all of its steps.

    A rollout is one piece of every environment. All are of one genre, metre and tempo, so they are one group. The
    return of a piece is its score, less `prior_kl_coef` times its KL from the reference policy, exact at every step.

    - "grpo": group relative policy optimisation (Shao et al. 2024, "DeepSeekMath", arXiv 2402.03300, section 4.1).
      The advantage is the return less the mean of the group, divided by its standard deviation; the loss is PPO's
      clipped surrogate, a mean over steps, without a value function.
    - "best-of-n": the environments are divided into groups of `best_of`, and the likelihood of the best piece of each
      is maximised: the distillation of best-of-n sampling, as in expert iteration and RAFT (Dong et al. 2023, arXiv
      2304.06767). The advantage is n for the best piece of a group and 0 for the others, and ratios are not clipped.

    The gradient of the KL itself is added to either. `n_steps`, `gamma`, `gae_lambda` and `vf_coef` are not used.

    Args:
        policy: as `SequenceComposerPPO`.
        env: as `SequenceComposerPPO`, with `reward_at="piece"` and without primers.
        algorithm: "grpo" or "best-of-n".
        best_of: n, a divisor of the number of environments.
        arguments: of `SequenceComposerPPO`.

    Raises:
        ValueError: for an unknown algorithm, and a `best_of` that does not divide the environments.
    """

    def __init__(
        self, policy: Any, env: Any, *, algorithm: Algorithm = "grpo", best_of: int = 4, **arguments: Any
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be 'grpo' or 'best-of-n', got {algorithm!r}")
        self.algorithm = algorithm
        self.best_of = best_of
        self.parts: list[PieceRows] = []
        self.kl_weight = 0.0
        super().__init__(policy, env, **arguments)
        self.check_groups()

    def check_groups(self) -> None:
        """Refuse environments that cannot be divided into groups."""
        if self.algorithm == "best-of-n" and not (2 <= self.best_of <= self.n_envs and self.n_envs % self.best_of == 0):
            raise ValueError(
                f"best_of must be at least 2 and divide the {self.n_envs} environments, got {self.best_of}"
            )
        if self.algorithm == "grpo" and self.n_envs < 2:
            raise ValueError("grpo compares the pieces of a group: it needs at least 2 environments, got 1")

    def unsaved_attributes(self) -> list[str]:
        """A saved model holds no pieces."""
        return [*super().unsaved_attributes(), "parts", "kl_weight"]

    def on_learn(self, episodes_begin: bool) -> None:
        """Check that the rewards are of whole pieces.

        Raises:
            ValueError: without a reward model.
        """
        super().on_learn(episodes_begin)
        if self.reward_model is None:
            raise ValueError(f"{self.algorithm} needs a reward_model of the agent, which scores whole pieces")

    # Playing

    def collect_rollouts(  # type: ignore[override]  # as ComposerPPO
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: MaskableDictRolloutBuffer,
        n_rollout_steps: int,
        use_masking: bool = True,
    ) -> bool:
        """Play a piece in every environment, score them, and compute advantages; the buffer is not used.

        Returns:
            False when a callback wants to stop.

        Raises:
            ValueError: for environments with primers.
            RewardModelError: naming the reward model, when it fails.
            DivergenceError: when returns are not finite.
        """
        self.policy.set_training_mode(False)
        callback.on_rollout_start()
        pieces = self._play(env, callback)
        if pieces is None:
            return False
        if any(piece.start_tick for piece in pieces):
            raise ValueError(f"{self.algorithm} needs environments without primers")
        scores = self.piece_rewards([PendingReward(0, i, piece, True) for i, piece in enumerate(pieces)])[0]
        parts, kl = self._recorded(pieces)
        kl_coef = self.kl_controller.coef
        with np.errstate(over="ignore", invalid="ignore"):  # checked below
            returns = scores - kl_coef * kl
        if not np.isfinite(returns).all():
            raise DivergenceError(f"training diverged at step {self.num_timesteps:,}: the returns are not finite")
        self._log_kl_of_pieces(kl, sum(int(part.steps) for part in parts))
        advantages = best_of_groups(returns, self.best_of) if self.distils else relative_advantages(returns)
        std = float(returns.std())
        self.kl_weight = kl_coef / std if std > SMALLEST_STD else kl_coef  # in units of the advantages
        some = np.split(advantages, self._splits(len(pieces)))
        self.parts = [
            replace(part, advantages=torch.as_tensor(each, dtype=torch.float32, device=self.device))
            for part, each in zip(parts, some, strict=True)
        ]
        callback.on_rollout_end()
        return True

    def _play(self, env: VecEnv, callback: BaseCallback) -> list[Piece] | None:
        """A piece of each environment; None when a callback wants to stop. Environments that have ended play rests."""
        observations: Any = env.reset()
        cache = self.policy.network.empty_cache(env.num_envs)
        active = np.arange(env.num_envs)
        pieces: dict[int, Piece] = {}
        while len(active):
            masks = self.masks_of(env)[active]
            some = {key: observations[key][active] for key in OBSERVATION_KEYS}
            played, cache = self._act(some, cache, masks)
            actions = np.zeros((env.num_envs, 2), np.int64)
            actions[active] = played
            observations, _, dones, infos = env.step(actions)
            self.num_timesteps += len(active)
            callback.update_locals(locals())
            if not callback.on_step():
                return None
            due = pieces_in(infos)
            ended = dones[active]
            for i in active[ended].tolist():
                if i not in due:
                    raise ValueError(f'{self.algorithm} needs pianos: the last info of an episode has no "piece"')
                pieces[i] = due[i]
            if ended.any():
                kept = torch.as_tensor(np.flatnonzero(~ended), device=self.device)
                active, cache = active[~ended], cache[kept]
        return [pieces[i] for i in range(env.num_envs)]

    def _act(self, observations: Any, cache: Cache, masks: np.ndarray) -> tuple[np.ndarray, Cache]:
        """Actions (rows, 2) of one step, and the cache after it."""
        with torch.no_grad():
            actions, _, _, _, cache = self.policy(observations, cache, action_masks=masks)
        return actions.cpu().numpy(), cache

    def _splits(self, count: int) -> np.ndarray:
        """Where the pieces of a rollout are divided into those of a pass."""
        size = CPU_PIECES_PER_PASS if self.device.type == "cpu" else GPU_PIECES_PER_PASS
        return np.arange(size, count, size)

    def _recorded(self, pieces: Sequence[Piece]) -> tuple[list[PieceRows], np.ndarray]:
        """The pieces in parts, their advantages still 0, and (n,) their KL from the reference policy in nats."""
        network, distribution = self.policy.network, self.policy.action_dist
        trajectories = record_trajectories(pieces, self.policy.piano, network.config.genres)
        parts, kl = [], np.zeros(len(pieces))
        for rows in np.split(np.arange(len(pieces)), self._splits(len(pieces))):
            batch = batch_of(trajectories, rows).to(self.device)
            reference = None
            with torch.no_grad():
                ours = distributions(network, distribution, batch)
                log_probs = ours.log_prob(batch.actions.flatten(0, 1)).view(batch.inside.shape)
                if self.reference is not None:
                    reference = distributions(self.reference, distribution, batch)
                    nats = torch.where(batch.inside, ours.kl(reference).view(batch.inside.shape), 0.0)
                    kl[rows] = nats.sum(dim=1).double().cpu().numpy()
            parts.append(PieceRows(batch, log_probs, reference, torch.zeros(len(rows), device=self.device)))
        return parts, kl

    def _log_kl_of_pieces(self, kl: np.ndarray, steps: int) -> None:
        """Log the KL (n,) of pieces with this many steps, and adapt the coefficient."""
        if self.reference is None:
            return
        nats, coef = float(kl.mean()), self.kl_controller.coef
        self.logger.record("kl/nats_per_step", float(kl.sum() / steps))
        self.logger.record("kl/coef", coef)
        self.logger.record("kl/nats_per_piece", nats)
        self.logger.record("reward/kl", -coef * nats)
        self.kl_controller.update(nats)

    # The update

    def train(self) -> None:
        """Update the policy from the pieces of the rollout; minibatches are about `batch_size` steps.

        Raises:
            DivergenceError: when a gradient, or afterwards a parameter, is not finite.
        """
        self.policy.set_training_mode(True)
        self.update_learning_rate()
        epochs: list[list[torch.Tensor]] = []  # `Losses` (6,) of each minibatch
        stops_early = False
        while len(epochs) < self.n_epochs and not stops_early:
            order = np.random.permutation(len(self.parts))  # noqa: NPY002  # as SB3's buffers draw
            losses, stops_early = self._epoch([self.parts[k] for k in order])
            epochs.append(losses)
        self.count_update()
        self.check_finite()
        for name, value in update_figures(epochs).items():
            if name != "train/value_loss":  # there is none
                self.logger.record(name, value)
        self.logger.record("train/n_updates", self.updates, exclude="tensorboard")

    def _epoch(self, parts: Sequence[PieceRows]) -> tuple[list[torch.Tensor], bool]:
        """A pass over the parts, with an optimizer step for each minibatch.

        Returns:
            `Losses` (6,) of each minibatch, and whether the update stops early, with the last of them.
        """
        policy, losses = self.policy, []
        parts_of_batch = max(1, round((self.batch_size or PASS_STEPS) * len(parts) / sum(int(p.steps) for p in parts)))
        clip_range = None if self.distils else self.clip_range(self.remaining_progress)  # type: ignore[operator]  # a schedule
        for start in range(0, len(parts), parts_of_batch):
            minibatch = parts[start : start + parts_of_batch]
            steps = torch.stack([part.steps for part in minibatch]).sum()
            policy.optimizer.zero_grad()
            sums = torch.zeros(len(Losses._fields), device=self.device)
            for part in minibatch:
                with bfloat16_backbone(policy.network, self.amp and self._is_transformer):
                    share = piece_losses(policy, part, steps, clip_range, self.ent_coef, self.kl_weight)
                share.total.backward()
                sums += torch.stack([share.total.detach(), *share[1:]])
            losses.append(sums)
            if is_too_far(sums, self.target_kl):
                return losses, True
            norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
            check_gradients([norm], sums, self.num_timesteps)
            policy.optimizer.step()
        return losses, False

    @property
    def distils(self) -> bool:
        """Whether the algorithm is best-of-n."""
        return self.algorithm == "best-of-n"

    def dump_logs(self, iteration: int = 0) -> None:
        """Write a row of progress; rollouts are counted over all calls of `learn`."""
        super(ComposerPPO, self).dump_logs(self.updates + 1)
