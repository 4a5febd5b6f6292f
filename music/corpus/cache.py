"""The cache of parsed corpora.

A corpus is one npz file: `notes`, the notes of all works concatenated, and `about`, JSON with the cache key, the works'
other fields and the failures.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np

from toccata.files import write_atomically
from toccata.music.corpus.parsing import Job, parse_all
from toccata.music.corpus.works import Corpus, CorpusWarning, Work
from toccata.music.score import NOTE_DTYPE, Score

UnparsedWork = tuple[Work, Job]  # a work with an empty score, and the job that parses its score


def _cache_folder() -> Path:
    """The folder of the cache files: `TOCCATA_CACHE`, else the cache folder of the platform."""
    if folder := os.environ.get("TOCCATA_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("toccata"))


def load_or_parse(name: str, key: str, unparsed_works: Callable[[], list[UnparsedWork]]) -> Corpus:
    """The corpus from its cache file if that has this key; else it is parsed and written there.

    Warns:
        CorpusWarning: when the cache file cannot be written.
    """
    path = _cache_folder() / f"{name}.npz"
    corpus = _read_cache(path, name, key)
    if corpus is not None:
        return corpus
    works, jobs = zip(*unparsed_works(), strict=True)
    results = parse_all(jobs, f"Reading {name}")
    parsed = sorted(
        (replace(work, score=result.score) for work, result in zip(works, results, strict=True) if result.score),
        key=lambda work: work.id,
    )
    corpus = Corpus(name, tuple(parsed), tuple(result.error for result in results if result.error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _to_npz(corpus, key))
    except OSError as error:
        warnings.warn(f"the corpus is not cached: {error}", CorpusWarning, stacklevel=4)
    return corpus


def _to_npz(corpus: Corpus, key: str) -> bytes:
    """The bytes of the corpus as a cache file."""
    works = []
    for work in corpus.works:
        score = work.score
        fields = [score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks]
        works.append([work.id, work.genre, work.title, work.licence, work.group, len(score), fields])
    about = json.dumps({"key": key, "works": works, "failures": corpus.failures}).encode()
    notes = np.concatenate([np.empty(0, NOTE_DTYPE), *(work.score.notes for work in corpus.works)])
    buffer = BytesIO()
    np.savez(buffer, notes=notes, about=np.frombuffer(about, np.uint8))
    return buffer.getvalue()


def _read_cache(path: Path, name: str, key: str) -> Corpus | None:
    """The corpus in a cache file; None if the file is missing, damaged, or has another key."""
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["key"] != key:
                return None
            notes, end, works = arrays["notes"], 0, []
            for number, genre, title, licence, group, count, fields in about["works"]:
                start, end = end, end + count
                works.append(Work(number, genre, Score(notes[start:end], *fields), title, licence, group))
            return Corpus(name, tuple(works), tuple(about["failures"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
