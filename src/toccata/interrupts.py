"""Signals that stop a command: Ctrl-C, and those with which clusters and terminals end a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # those that the platform has


class Interrupted(KeyboardInterrupt):
    """A signal has stopped a command; the message says what is saved, and how to go on.

    Attributes:
        signal: its number.
    """

    def __init__(self, message: str = "stopped", number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.signal = int(number)


def interrupt(number: int, _: FrameType | None = None) -> None:
    """A signal handler that stops what is running.

    Raises:
        Interrupted: always.
    """
    raise Interrupted(number=number)


@contextmanager
def on_signals(handler: Callable[[int, FrameType | None], object] = interrupt) -> Iterator[None]:
    """A block in which `handler` gets SIGINT, SIGTERM and SIGHUP.

    A signal that was ignored, as SIGHUP is under nohup, stays ignored. Outside the main thread, where no signal
    arrives, it does nothing.
    """
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                previous[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual in previous.items():
            signal.signal(number, usual)
