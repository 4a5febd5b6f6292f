"""Parsing of many music files to scores in worker processes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toccata.errors import ToccataError, one_line, printable
from toccata.music.score import NOTE_DTYPE, Score

MAX_WORKERS = 8
JOBS_PER_WORKER = 16  # fewer are parsed faster than a process starts
SERVE = "from toccata.music.corpus.parsing import serve; serve()"
MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi")
NOTATION_SUFFIXES = (".musicxml", ".mxl", ".xml")


@dataclass(frozen=True)
class Job:
    """One piece to parse."""

    path: str  # its file, which error messages name
    abc: str = ""  # the text of the piece, if it is one tune of an ABC file
    parts: int = 0  # number of parts that the piece must have; 0 accepts any


@dataclass(frozen=True)
class Result:
    """The result of a `Job`."""

    score: Score | None = None  # None after an error, and for another number of parts
    error: str = ""  # one line with file and reason; empty for another number of parts
    warning: str = ""  # one line, of a file that was read and is like a recorded performance


def parse_all(jobs: Sequence[Job], title: str) -> list[Result]:
    """The result of each job, in order. Many jobs are divided among processes, with a progress bar on stderr.

    The processes do not import the main module of the caller, so no `if __name__ == "__main__"` is needed.
    """
    workers = min(os.cpu_count() or 1, MAX_WORKERS, len(jobs) // JOBS_PER_WORKER)
    if workers < 1:
        return [_parse(job) for job in jobs]
    from rich.console import Console
    from rich.progress import Progress

    results: dict[int, Result] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=len(jobs))

        def on_result(index: int, result: Result) -> None:
            results[index] = result
            progress.advance(task)

        with ThreadPoolExecutor(workers) as pool:
            shares = [range(worker, len(jobs), workers) for worker in range(workers)]
            for done in [pool.submit(_run_worker, jobs, share, on_result) for share in shares]:
                done.result()
    crashed = (Result(error=printable(f"{job.path}: its parser crashed")) for job in jobs)
    return [results.get(index, missing) for index, missing in enumerate(crashed)]


def _run_worker(jobs: Sequence[Job], share: range, on_result: Callable[[int, Result], None]) -> None:
    """Parse the jobs with the indices `share` in a process, and call `on_result` with each index and result.

    After a crash the job at which it happened is left out, and a new process goes on with the next.
    """
    while share:
        done = _run_process(jobs, share, on_result)
        share = share[done + 1 :]


def _run_process(jobs: Sequence[Job], share: range, on_result: Callable[[int, Result], None]) -> int:
    """As `_run_worker`, up to a crash; the number of results."""
    done = 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SERVE]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as process,
    ):
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps([asdict(jobs[index]) for index in share]).encode())
            process.stdin.close()
            for index, line in zip(share, process.stdout, strict=False):
                on_result(index, _result_from_json(json.loads(line)))
                done += 1
        except (BrokenPipeError, ValueError):  # it ended while it read its jobs, or in the middle of a line
            pass
        finally:
            process.kill()
    return done


def serve() -> None:
    """Parse the jobs on stdin, a JSON list, and print a line of JSON for each."""
    warnings.simplefilter("ignore")  # music21 warns of notation that it cannot translate
    jobs = [Job(**job) for job in json.load(sys.stdin)]
    output, sys.stdout = sys.stdout, sys.stderr
    if any(job.abc for job in jobs):
        from music21.stream import Stream

        # Making beams takes three quarters of the time of an ABC tune, and a score has no beams.
        setattr(Stream, "makeBeams", lambda self, *_, **__: self)  # noqa: B010  (mypy forbids the plain way)
    for job in jobs:
        print(json.dumps(_result_to_json(_parse(job))), file=output, flush=True)


def _parse(job: Job) -> Result:
    """Parse one piece; errors in the file are not raised but returned, and so are warnings of performances."""
    from toccata.music.midi import MidiWarning

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", MidiWarning)
            score = _read(job)
    except (ToccataError, OSError) as error:
        return Result(error=printable(str(error)))
    except Exception as error:  # music21 raises nearly any kind of error for a tune
        return Result(error=printable(f"{job.path}: {one_line(error)}"))
    if score is None:
        return Result()
    if not len(score):
        return Result(error=printable(f"{job.path}: has no notes"))
    return Result(score, warning=str(caught[0].message) if caught else "")


def _read(job: Job) -> Score | None:
    """The score of a job, None when it has another number of parts."""
    from toccata.music.midi import read_midi
    from toccata.music.musicxml import read_notation, score_from_stream, stream_from_text

    if job.abc:
        return score_from_stream(stream_from_text(job.abc, ".abc"), repeats="written")
    if Path(job.path).suffix.lower() in MIDI_SUFFIXES:
        return read_midi(job.path)
    score, parts = read_notation(job.path, repeats="written")
    return score if job.parts in (0, parts) else None


def _result_to_json(result: Result) -> dict:
    """The result as JSON types."""
    if result.score is None:
        return {"error": result.error}
    score = result.score
    notes = base64.b64encode(score.notes.tobytes()).decode()
    return {"notes": notes, "fields": fields_of(score), "warning": result.warning}


def fields_of(score: Score) -> list[Any]:
    """The fields of a score beside its notes, in the order of its constructor, as JSON types."""
    signatures = [[list(each) for each in kind] for kind in (score.time_signatures, score.key_signatures)]
    return [score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks, *signatures]


def _result_from_json(data: dict) -> Result:
    """Inverse of `_result_to_json`."""
    if "error" in data:
        return Result(error=data["error"])
    notes = np.frombuffer(base64.b64decode(data["notes"]), NOTE_DTYPE)
    return Result(Score(notes, *data["fields"]), warning=data["warning"])
