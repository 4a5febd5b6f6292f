"""Callbacks and log writers of a user's own, and what stops a run between rollouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import SIGINT
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import KVWriter

from toccata.errors import ToccataError
from toccata.interrupts import Interrupted
from toccata.user_code import guarded, type_and_message


class CallbackError(ToccataError, RuntimeError):
    """A callback or logger of a user's own has raised an exception, which is the cause."""


class CallbackStop(Exception):  # noqa: N818  # no error: it ends training
    """Training should end before the next rollout; says what wants it."""


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
            raise CallbackStop("a callback")
        self.rollout_start = self.num_timesteps
