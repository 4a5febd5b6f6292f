"""Callbacks around each rollout: updates of reward models, metrics and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.music.metrics import repeated_note_rate, silence_rate
from toccata.reward_models import Combination
from toccata.reward_models.learning import LearningRewardModel, check_state, has_state, updated
from toccata.reward_models.rating.model import RatingModel

METRICS_LOGGED = {"repeated_note_rate": repeated_note_rate, "silence_rate": silence_rate}  # the first to degenerate


class UpdateRewardsCallback(BaseCallback):
    """Trains the reward models that learn after each rollout, on the pieces finished in it and as many real excerpts.

    Args:
        models: reward models with the method `update(pieces, real, rng)`, by term.
        music: the real excerpts.
        rng: draws the excerpts, and is given to the models.
    """

    model: ComposerPPO

    def __init__(
        self, models: Mapping[str, LearningRewardModel], music: ExcerptDataset, rng: np.random.Generator
    ) -> None:
        super().__init__()
        self.models = models
        self.music = music
        self.rng = rng
        self.checked: set[str] = set()  # terms whose state after an update is known to be savable

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        pieces = self.model.finished
        if not self.models or not len(pieces):
            return
        started = time.perf_counter()
        for term, model in self.models.items():
            real = Pieces(self.music.sample(len(pieces), self.rng), pieces.piano)
            for name, value in updated(model, term, pieces, real, self.rng).items():
                self.logger.record(f"{term}/{name}", value)
            if term not in self.checked and has_state(model):
                check_state(model, term)  # now, not at a checkpoint hours later
                self.checked.add(term)
        self.logger.record("time/reward_update_seconds", time.perf_counter() - started)


class CombinationCallback(BaseCallback):
    """Shows a combination of rewards the pieces of each rollout, and real ones where a reward model has learnt.

    Args:
        rewards: the combination, such as a Lagrangian, whose multipliers change.
        real: gives the real pieces that its thresholds are taken from.
        learning: terms of the reward models that are trained along.
    """

    model: ComposerPPO

    def __init__(self, rewards: Combination, real: Callable[[], Pieces], learning: Iterable[str]) -> None:
        super().__init__()
        self.rewards = rewards
        self.make_real = real
        self.learning = [term for term in learning if term in rewards.real]
        self.real: Pieces | None = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        pieces = self.model.finished
        if not len(pieces):
            return
        for name, value in self.rewards.after_rollout(pieces).items():
            self.logger.record(name, value)
        if self.learning:
            started = time.perf_counter()
            self.real = self.real or self.make_real()
            self.rewards.measure(self.real, self.learning)
            name = "time/reward_update_seconds"
            self.logger.record(name, self.logger.name_to_value[name] + time.perf_counter() - started)


class MetricsCallback(BaseCallback):
    """Logs, after each rollout, the metrics that degenerate first, and calls `on_rollout` for a progress bar.

    The mean and standard deviation of a rating's members are logged too.
    """

    model: ComposerPPO

    def __init__(self, on_rollout: Callable[[int, dict[str, float]], None]) -> None:
        super().__init__()
        self.on_rollout = on_rollout

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        for name, metric in METRICS_LOGGED.items():
            if len(self.model.finished):
                value = float(np.mean([metric(score) for score in self.model.finished.own]))
                self.logger.record(f"music/{name}", value)
        for name, model in getattr(self.model.reward_model, "models", {}).items():
            if isinstance(model, RatingModel) and len(self.model.finished):
                for quantity, values in model.diagnostics(self.model.finished).items():
                    self.logger.record(f"{name}/{quantity}", float(np.mean(values)))
        self.on_rollout(self.num_timesteps, dict(self.logger.name_to_value))


class CheckpointCallback(BaseCallback):
    """Calls `save` between an update and the next rollout, before the first and then every `every` steps."""

    def __init__(self, save: Callable[[], Any], every: int) -> None:
        super().__init__()
        self.save = save
        self.every = every
        self.next_step = 0

    def _on_training_start(self) -> None:
        resumed = self.num_timesteps > 0  # a resumed run has its checkpoint
        self.next_step = (self.num_timesteps // self.every + 1) * self.every if resumed else 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self.next_step:
            self.save()
            self.next_step = (self.num_timesteps // self.every + 1) * self.every
