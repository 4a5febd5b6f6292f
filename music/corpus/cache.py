"""The cache of parsed corpora.

A corpus is one npz file: `notes`, the notes of all works concatenated, and `about`, JSON with the cache key, the works'
other fields and the failures.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from itertools import accumulate
from pathlib import Path

import numpy as np

from toccata.errors import printable, shortened
from toccata.files import cache_folder, read_npz, write_atomically
from toccata.music.corpus.parsing import Job, fields_of, parse_all
from toccata.music.corpus.works import Corpus, CorpusWarning, Work
from toccata.music.score import NOTE_DTYPE, Score

LONGEST_WARNING = 600  # characters
UnparsedWork = tuple[Work, Job]  # a work with an empty score, and the job that parses its score


def load_or_parse(name: str, key: str, unparsed_works: Callable[[], list[UnparsedWork]]) -> Corpus:
    """The corpus from its cache file if that has this key; else it is parsed and written there.

    Warns:
        CorpusWarning: when the cache file cannot be written; and when files are parsed that are like recorded
            performances.
    """

    def parse() -> Corpus:
        works, jobs = zip(*unparsed_works(), strict=True)
        results = parse_all(jobs, printable(f"Reading {name}"))
        performances = [result.warning for result in results if result.warning]
        if performances:
            count = f"{len(performances)} of {len(results)} files are like recorded performances, for instance "
            warnings.warn(shortened(count + performances[0], LONGEST_WARNING), CorpusWarning, stacklevel=6)
        parsed = sorted(
            (replace(work, score=result.score) for work, result in zip(works, results, strict=True) if result.score),
            key=lambda work: work.id,
        )
        return Corpus(name, tuple(parsed), tuple(result.error for result in results if result.error))

    return load_or_make(name, key, parse, stacklevel=5)


def load_or_make(name: str, key: str, make: Callable[[], Corpus], stacklevel: int = 3) -> Corpus:
    """The corpus from its cache file if that has this key; else it is made and written there.

    Args:
        name: of the cache file, without its suffix.
        key: of all that the corpus depends on.
        make: makes it.
        stacklevel: of the warning.

    Warns:
        CorpusWarning: when the cache file cannot be written.
    """
    path = cache_folder() / f"{name}.npz"
    corpus = _read_cache(path, name, key)
    if corpus is not None:
        return corpus
    corpus = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _to_npz(corpus, key))
    except OSError as error:
        warnings.warn(printable(f"the corpus is not cached: {error}"), CorpusWarning, stacklevel=stacklevel)
    return corpus


def _to_npz(corpus: Corpus, key: str) -> bytes:
    """The bytes of the corpus as a cache file."""
    works = []
    for work in corpus.works:
        score = work.score
        works.append(
            [work.id, work.genre, work.title, work.licence, work.group, work.given_split, len(score), fields_of(score)]
        )
    about = json.dumps({"key": key, "works": works, "failures": corpus.failures}).encode()
    notes = np.concatenate([np.empty(0, NOTE_DTYPE), *(work.score.notes for work in corpus.works)])
    buffer = BytesIO()
    np.savez(buffer, notes=notes, about=np.frombuffer(about, np.uint8))
    return buffer.getvalue()


def _read_cache(path: Path, name: str, key: str) -> Corpus | None:
    """The corpus in a cache file; None if the file is missing, in any way damaged, or has another key."""
    try:
        arrays = read_npz(path)
        about = json.loads(arrays["about"].tobytes())
        if about["key"] != key:
            return None
        notes, works = arrays["notes"], about["works"]
        ends = list(accumulate(work[-2] for work in works))
        if notes.dtype != NOTE_DTYPE or notes.shape != (ends[-1] if ends else 0,):
            return None
        parts = [_cached_work(work, notes[end - work[-2] : end]) for work, end in zip(works, ends, strict=True)]
        return Corpus(name, tuple(parts), _checked_texts(about["failures"]))
    except Exception:  # whatever is wrong with it, the files are there
        return None


def _cached_work(fields: list, notes: np.ndarray) -> Work:
    """A work from its entry in the cache.

    Raises:
        Exception: of any kind, when the entry is damaged.
    """
    *texts, count, score_fields = fields
    number, genre, title, licence, group, given_split = _checked_texts(texts)
    if len(notes) != count or any(type(value) not in (int, float, list) for value in score_fields):
        raise ValueError("damaged")
    score = Score(notes, *score_fields)
    if score.notes.tobytes() != notes.tobytes() or fields_of(score) != score_fields:  # what was saved is canonical
        raise ValueError("damaged")
    return Work(number, genre, score, title, licence, group, given_split)


def _checked_texts(texts: list) -> tuple[str, ...]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("damaged")
    return tuple(texts)
