"""Metrics of many music files, read and measured in worker processes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from toccata.errors import one_line, printable
from toccata.files import is_file, is_folder
from toccata.music.corpus.loading import music_files
from toccata.music.corpus.parsing import JOBS_PER_WORKER, MIDI_SUFFIXES, NOTATION_SUFFIXES, Job, parse
from toccata.music.corpus.workers import answer_all, run_workers
from toccata.music.metrics.registry import METRICS, measure

SERVE = "from toccata.music.metrics.files import serve; serve()"


class Measured(NamedTuple):
    """What was measured of a file."""

    path: Path
    values: dict[str, float]  # by metric; empty after an error
    error: str = ""  # one line with file and reason


def files_of(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """The music files among paths and in the folders among them, each once; and a line for each that is not read."""
    files: dict[Path, None] = {}
    failures: list[str] = []
    for path in paths:
        found = [path]
        if is_folder(path):
            found, left_out = music_files(path)
            failures += left_out if found or left_out else [f"{path}: has no MIDI or MusicXML file"]
        elif is_file(path) and path.suffix.lower() not in MIDI_SUFFIXES + NOTATION_SUFFIXES:
            found = []
            failures.append(f"{path}: by its name neither a MIDI nor a MusicXML file")
        for each in found:
            if is_file(each):
                files[each] = None
            else:
                failures.append(f"{each}: is no file, or a link to none")
    return list(files), [printable(failure) for failure in failures]


def measure_files(
    paths: Sequence[Path],
    names: Sequence[str] = tuple(METRICS),
    jobs: int | None = None,
    on_file: Callable[[], object] = lambda: None,
) -> list[Measured]:
    """The metrics of each file, in order. Many files are divided among processes.

    Args:
        paths: MIDI or MusicXML files.
        names: of the metrics.
        jobs: greatest number of processes; None for one a core.
        on_file: is called after each file, in any thread.
    """
    requests = [{"path": str(path), "names": list(names)} for path in paths]
    workers = min(jobs or os.cpu_count() or 1, len(paths) // JOBS_PER_WORKER)
    if workers < 1:
        answers = {}
        for index, request in enumerate(requests):
            answers[index] = _answer(request)
            on_file()
    else:
        answers = run_workers(requests, SERVE, workers, lambda *_: on_file())
    crashed = {"error": "its reader crashed"}
    return [_measured(path, names, answers.get(index, crashed)) for index, path in enumerate(paths)]


def serve() -> None:
    """In a worker process: measure the files that it is asked for."""
    answer_all(_answer)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """The values of the metrics of a file in order, or the error, as JSON."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # music21 warns of notation that it cannot translate
        result = parse(Job(request["path"]))
    if result.score is None:
        return {"error": result.error}
    metrics = {name: METRICS[name] for name in request["names"]}
    try:
        return {"values": list(measure(result.score, metrics).values())}
    except MemoryError as error:  # a dense file of the largest size that is read
        return {"error": f"not enough memory: {one_line(error)}"}


def _measured(path: Path, names: Sequence[str], answer: dict[str, Any]) -> Measured:
    """What `_answer` says of a file."""
    if "error" not in answer:
        return Measured(path, dict(zip(names, answer["values"], strict=True)))
    error, name = answer["error"], printable(str(path))
    return Measured(path, {}, error if error.startswith(name) else f"{name}: {error}")
