"""The cache of parsed corpora: one npz each, with `notes` (all notes in a row) and `about` (JSON: key, works, failures)."""

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

UnparsedWork = tuple[Work, Job]  # what is known of a work, its score still empty, and how to parse it


def _cache_folder() -> Path:
    """Where parsed corpora are kept."""
    if folder := os.environ.get("TOCCATA_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("toccata"))


def cached(name: str, key: str, pieces: Callable[[], list[UnparsedWork]]) -> Corpus:
    """The corpus from the cache if it is there under this key, else parsed and put there."""
    path = _cache_folder() / f"{name}.npz"
    corpus = _read_cache(path, name, key)
    if corpus is not None:
        return corpus
    works, jobs = zip(*pieces(), strict=True)
    results = parse_all(jobs, f"Reading {name}")
    parsed = sorted(
        (replace(work, score=result.score) for work, result in zip(works, results, strict=True) if result.score),
        key=lambda work: work.id,
    )
    corpus = Corpus(name, tuple(parsed), tuple(result.error for result in results if result.error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _packed(corpus, key))
    except OSError as error:
        warnings.warn(f"the corpus is not cached: {error}", CorpusWarning, stacklevel=4)
    return corpus


def _packed(corpus: Corpus, key: str) -> bytes:
    """The bytes of a cache file."""
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
    """The corpus in a cache file; None if there is none, or an older one, or a damaged one."""
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
