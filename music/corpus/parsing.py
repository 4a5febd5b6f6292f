"""Parsing of many music files to scores in worker processes."""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toccata.errors import ToccataError, one_line, printable
from toccata.music.corpus.workers import answer_all, run_workers
from toccata.music.score import NOTE_DTYPE, Score

MAX_WORKERS = 8
JOBS_PER_WORKER = 16  # fewer are parsed faster than a process starts
CRASHED = "its parser crashed"
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
    """The result of each job, in order. Many jobs are divided among processes, with a progress bar on stderr."""
    workers = min(os.cpu_count() or 1, MAX_WORKERS, len(jobs) // JOBS_PER_WORKER)
    if workers < 1:
        return [parse(job) for job in jobs]
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=len(jobs))
        answers = run_workers([asdict(job) for job in jobs], SERVE, workers, lambda *_: progress.advance(task))
    return [
        _result_from_json(answers[index]) if index in answers else Result(error=printable(f"{job.path}: {CRASHED}"))
        for index, job in enumerate(jobs)
    ]


def serve() -> None:
    """In a worker process: parse the jobs that it is asked for."""
    warnings.simplefilter("ignore")  # music21 warns of notation that it cannot translate
    answer_all(lambda job: _result_to_json(parse(_lean(Job(**job)))))


def _lean(job: Job) -> Job:
    """The job; for an ABC tune music21 is told to make no beams, in this process."""
    if job.abc:
        from music21.stream import Stream

        # Making beams takes three quarters of the time of an ABC tune, and a score has no beams.
        setattr(Stream, "makeBeams", lambda self, *_, **__: self)  # noqa: B010  (mypy forbids the plain way)
    return job


def parse(job: Job) -> Result:
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
