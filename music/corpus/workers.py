"""Worker processes that answer requests about files: a crash costs one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any


def run_workers(
    requests: Sequence[Any], serve: str, workers: int, on_answer: Callable[[int, Any], object] = lambda *_: None
) -> dict[int, Any]:
    """The answers to requests by their index; those at which a process crashed are missing.

    The processes do not import the main module of the caller, so no `if __name__ == "__main__"` is needed.

    Args:
        requests: values of JSON, divided among the processes.
        serve: Python code that calls `answer_all`.
        workers: number of processes, at least 1.
        on_answer: is called with each index and answer as they come, in any thread.
    """
    answers: dict[int, Any] = {}
    stopped = Event()

    def keep(index: int, answer: Any) -> None:
        answers[index] = answer
        on_answer(index, answer)

    with ThreadPoolExecutor(workers) as pool:
        shares = [range(worker, len(requests), workers) for worker in range(workers)]
        running = [pool.submit(_answer_share, requests, share, serve, keep, stopped) for share in shares]
        try:
            for done in running:
                done.result()
        finally:
            stopped.set()  # on an interrupt, whose exception waits here for the threads
    return answers


def answer_all(answer: Callable[[Any], Any]) -> None:
    """In a worker process: answer the requests on stdin, a JSON list, with a line of JSON each."""
    requests = json.load(sys.stdin)
    output, sys.stdout = sys.stdout, sys.stderr
    for request in requests:
        print(json.dumps(answer(request)), file=output, flush=True)


def _answer_share(
    requests: Sequence[Any], share: range, serve: str, on_answer: Callable[[int, Any], None], stopped: Event
) -> None:
    """Answer the requests with the indices `share` in a process, and call `on_answer` with each.

    After a crash the request at which it happened is left out, and a new process goes on with the next.
    """
    while share and not stopped.is_set():
        done = _run_process(requests, share, serve, on_answer, stopped)
        share = share[done + 1 :]


def _run_process(
    requests: Sequence[Any], share: range, serve: str, on_answer: Callable[[int, Any], None], stopped: Event
) -> int:
    """As `_answer_share`, up to a crash; the number of answers."""
    done = 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-c", serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as process,
    ):
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps([requests[index] for index in share]).encode())
            process.stdin.close()
            for index, line in zip(share, process.stdout, strict=False):
                on_answer(index, json.loads(line))
                done += 1
                if stopped.is_set():
                    break
        except (BrokenPipeError, ValueError):  # it ended while it read its requests, or in the middle of a line
            pass
        finally:
            process.kill()
    return done
