"""Callbacks of a training run: updates of reward models, metrics, checkpoints, interrupts, and a user's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from signal import SIGINT
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import KVWriter

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.errors import ToccataError
from toccata.interrupts import Interrupted
from toccata.music.metrics import repeated_note_rate, silence_rate
from toccata.reward_models.learning import LearningRewardModel, check_state, has_state, updated
from toccata.reward_models.rating.model import RatingModel
from toccata.user_code import guarded, type_and_message

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


class CallbackError(ToccataError, RuntimeError):
    """A callback or logger of a user's own has raised an exception, which is the cause."""


class CallbackStop(Exception):  # noqa: N818  # no error: it ends training
    """A callback of a user's own has returned False."""


@contextmanager
def named_errors(what: str) -> Iterator[None]:
    """A block that calls code of a user's own.

    Raises:
        CallbackError: beginning with `what`, from any exception but an interrupt.
    """
    try:
        with guarded(what, CallbackError):
            yield
    except CallbackError:
        raise
    except Exception as error:
        raise CallbackError(f"{what} raised {type_and_message(error)}") from error


class UserCallbacks(CallbackList):
    """The callbacks that a user gave to `train`: errors are named, and False stops before the next rollout.

    Attributes:
        wants_stop: one of them has returned False.
    """

    def __init__(self, callbacks: Sequence[BaseCallback]) -> None:
        super().__init__(list(callbacks))
        self.wants_stop = False

    def _init_callback(self) -> None:
        self._each(lambda callback: callback.init_callback(self.model))

    def _on_training_start(self) -> None:
        self._each(lambda callback: callback.on_training_start(self.locals, self.globals))

    def _on_rollout_start(self) -> None:
        self._each(lambda callback: callback.on_rollout_start())

    def _on_step(self) -> bool:
        self._each(self._step)
        return True

    def _on_rollout_end(self) -> None:
        self._each(lambda callback: callback.on_rollout_end())

    def _on_training_end(self) -> None:
        self._each(lambda callback: callback.on_training_end())

    def _step(self, callback: BaseCallback) -> None:
        if not callback.on_step():
            self.wants_stop = True

    def _each(self, call: Callable[[BaseCallback], Any]) -> None:
        for callback in self.callbacks:
            with named_errors(f"callback {type(callback).__name__}"):
                call(callback)


class UserWriter(KVWriter):
    """A log writer that a user gave to `train`: its errors are named, and it is left open."""

    def __init__(self, writer: KVWriter) -> None:
        self.writer = writer

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Write one row."""
        with named_errors(f"logger {type(self.writer).__name__}"):
            self.writer.write(key_values, key_excluded, step)

    def close(self) -> None:
        """It is the user's."""


class StopBetweenRollouts(BaseCallback):
    """Stops before a rollout, where a run can be resumed exactly, after a signal, or when a user's callback wants it.

    A second Ctrl-C stops at once. `on_signals(callback.on_signal)` around `learn`.

    Attributes:
        signal: number of the signal that arrived; None before.
        stopped: it has stopped before a rollout.
        rollout_start: steps before the rollout that is played.
    """

    def __init__(self, user: UserCallbacks) -> None:
        super().__init__()
        self.rollout_start = 0
        self.user = user
        self.signal: int | None = None
        self.stopped = False

    def on_signal(self, number: int, _: object) -> None:
        """Remember the signal. Only a second Ctrl-C interrupts, as clusters send SIGTERM more than once."""
        if self.signal is not None and number == SIGINT:
            raise Interrupted(number=number)
        self.signal = number

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.signal is not None:
            self.stopped = True
            raise Interrupted(number=self.signal)
        if self.user.wants_stop:
            raise CallbackStop
        self.rollout_start = self.num_timesteps
