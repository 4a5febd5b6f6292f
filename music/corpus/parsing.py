"""Many files to scores at once, in processes of their own; the corpus is built on it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from toccata.music.score import NOTE_DTYPE, Score

MAX_WORKERS = 8
JOBS_PER_WORKER = 16  # below that a process takes longer to start than to work
MIDI_SUFFIXES = (".mid", ".midi")
NOTATION_SUFFIXES = (".musicxml", ".mxl", ".xml")


@dataclass(frozen=True)
class Job:
    """One piece to parse."""

    path: str  # the file it is in, named when it cannot be read
    abc: str = ""  # its text, for one tune out of an ABC file
    parts: int = 0  # accept the piece only with that many parts; 0 accepts any


@dataclass(frozen=True)
class Result:
    """What became of a `Job`."""

    score: Score | None = None  # None: see error
    error: str = ""  # one line naming file and reason; empty if the piece was not accepted


def parse_all(jobs: Sequence[Job], title: str) -> list[Result]:
    """The result of each job, in order; many jobs are shared among processes and get a progress bar on stderr.

    The processes import nothing of the caller's main module, so no `if __name__ == "__main__"` is needed.
    """
    workers = min(os.cpu_count() or 1, MAX_WORKERS, len(jobs) // JOBS_PER_WORKER)
    if workers < 1:
        return [_parse(job) for job in jobs]
    from rich.console import Console
    from rich.progress import Progress

    answers: dict[int, Result] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=len(jobs))

        def answer(index: int, result: Result) -> None:
            answers[index] = result
            progress.advance(task)

        with ThreadPoolExecutor(workers) as pool:
            shares = [range(worker, len(jobs), workers) for worker in range(workers)]
            for done in [pool.submit(_employ, jobs, share, answer) for share in shares]:
                done.result()
    return [answers.get(index, Result(error=f"{job.path}: its parser died")) for index, job in enumerate(jobs)]


def _employ(jobs: Sequence[Job], share: range, answer: Callable[[int, Result], None]) -> None:
    """Let a process parse the jobs of these indices; tell each result as it comes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from toccata.music.corpus.parsing import serve; serve()"]
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
                answer(index, _decode(json.loads(line)))
        finally:
            process.kill()


def serve() -> None:
    """Parse the jobs on stdin, a JSON list, and print a line of JSON for each."""
    import warnings

    warnings.simplefilter("ignore")  # of music21's translators, about notation that no score keeps
    jobs = [Job(**job) for job in json.load(sys.stdin)]
    answers, sys.stdout = sys.stdout, sys.stderr
    if any(job.abc for job in jobs):
        from music21.stream import Stream

        # Beams take three quarters of an ABC tune's time, and no score keeps them.
        setattr(Stream, "makeBeams", lambda self, *_, **__: self)  # noqa: B010  (mypy forbids the plain way)
    for job in jobs:
        print(json.dumps(_encode(_parse(job))), file=answers, flush=True)


def _parse(job: Job) -> Result:
    """Parse one piece; never raises for what is in the file."""
    from toccata.music.midi import MidiError, read_midi
    from toccata.music.musicxml import MusicXMLError, read_musicxml, score_from_stream

    try:
        if job.abc or job.parts:
            from music21 import converter

            try:
                source, kind = (job.abc, "abc") if job.abc else (job.path, None)
                piece = converter.parse(source, format=kind, forceSource=True, storePickle=False)
                if job.parts and len(getattr(piece, "parts", ())) != job.parts:
                    return Result()
                score = score_from_stream(piece)
            except Exception as error:  # music21 raises nearly everything for what it cannot read
                reason = " ".join(str(error).split()) or type(error).__name__
                return Result(error=f"{job.path}: {reason}")
        elif Path(job.path).suffix.lower() in MIDI_SUFFIXES:
            score = read_midi(job.path)
        else:
            score = read_musicxml(job.path)
    except (MidiError, MusicXMLError, OSError) as error:
        return Result(error=str(error))
    return Result(score) if len(score) else Result(error=f"{job.path}: has no notes")


def _encode(result: Result) -> dict:
    if result.score is None:
        return {"error": result.error}
    score = result.score
    notes = base64.b64encode(score.notes.tobytes()).decode()
    fields = [score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks]
    return {"notes": notes, "fields": fields}


def _decode(answer: dict) -> Result:
    if "error" in answer:
        return Result(error=answer["error"])
    notes = np.frombuffer(base64.b64decode(answer["notes"]), NOTE_DTYPE)
    return Result(Score(notes, *answer["fields"]))
