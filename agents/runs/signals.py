"""Signals that stop a training run: Ctrl-C, and those with which clusters and terminals end a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # those that the platform has


class Interrupted(KeyboardInterrupt):
    """A run was stopped by a signal; the message says what is saved and how to resume.

    Attributes:
        signal: its number.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class StopOnSignals:
    """Raises KeyboardInterrupt on SIGINT, SIGTERM and SIGHUP; in `between_rollouts` only where a run can be resumed.

    A context manager. A signal that was ignored, as SIGHUP is under nohup, stays ignored. Outside the main thread,
    where no signal arrives, it does nothing.

    Attributes:
        number: of the signal that arrived, SIGINT before one has.
    """

    def __init__(self) -> None:
        self.number = int(signal.SIGINT)
        self._callback: StopCallback | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopOnSignals:
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def between_rollouts(self) -> Iterator[StopCallback]:
        """A callback that stops `learn` before the next rollout after a signal; a second Ctrl-C stops at once."""
        self._callback = StopCallback()
        try:
            yield self._callback
        finally:
            self._callback = None

    def interrupt(self, message: str) -> Interrupted:
        """The exception to raise once the run is saved."""
        return Interrupted(message, self.number)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.number = number
        impatient = self._callback is not None and self._callback.requested and number == signal.SIGINT
        if self._callback is None or impatient:  # clusters send SIGTERM more than once
            raise Interrupted("stopped", number)
        self._callback.requested = True


class StopCallback(BaseCallback):
    """Stops before the next rollout when that is requested.

    Attributes:
        requested: a signal has arrived.
        stopped: it has stopped there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requested = False
        self.stopped = False

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.requested:
            self.stopped = True
            raise KeyboardInterrupt
