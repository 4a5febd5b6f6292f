"""Where pieces come from: runs, folders of music, corpora."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from toccata.errors import ToccataError, printable
from toccata.files import FileError, cache_folder, is_file, is_folder, read_json, sha256_of_file
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.music.corpus.loading import ALIASES, NAMED, load_corpus, music_files
from toccata.music.corpus.parsing import MIDI_SUFFIXES, NOTATION_SUFFIXES, Job, parse_all
from toccata.music.score import Score

SOUND_SUFFIXES = (".wav", ".ogg", ".flac")
EVALUATION = "evaluation"  # of a run, where its agent's pieces are
AGENT_PIECES = "piece-*.mid"  # there; the others are of composers that the agent is compared with
MAX_PIECES = 2_000  # of all sources: what is known of them is a matrix of all pairs


class SourceError(ToccataError, ValueError):
    """A source without pieces that can be heard; the message names it."""


@dataclass(frozen=True)
class Found:
    """A piece that can be heard."""

    digest: str  # SHA-256 of its file
    source: str
    file: Path
    by_person: bool
    genre: str | None = None
    score: Score | None = None  # None: the file is sound


def find_pieces(folders: Sequence[str], people: Sequence[str], most: int, seed: int) -> tuple[list[Found], list[str]]:
    """The pieces of all sources, `most` of each chosen at random, and a line for each file that cannot be read.

    A piece in several files, or in several sources, is one piece, of the first source. The choice depends on seed and
    pieces only, and a new file in a folder displaces one of the others at most.

    Args:
        folders: run folders or folders of music.
        people: folders of music that people wrote, or names of corpora.
        most: pieces of a source.
        seed: of the choice.

    Raises:
        SourceError: when no piece is left, there are more than 2,000, or there is no such folder.
        CorpusError: for a corpus that cannot be loaded.
    """
    pieces: list[Found] = []
    failures: list[str] = []
    seen: set[str] = set()
    for place, source, by_person in _named([*((each, False) for each in folders), *((each, True) for each in people)]):
        left_out: list[str] = []
        if _is_corpus(place):
            found = _of_corpus(place, most, seed)
        else:
            found, left_out = _of_folder(Path(place), most, seed, seen)
        kept = [piece for piece in found if piece.digest not in seen]
        seen |= {piece.digest for piece in kept}
        pieces += [replace(piece, source=source, by_person=by_person) for piece in kept]
        failures += left_out
    if len(pieces) > MAX_PIECES:
        raise SourceError(f"there are {len(pieces):,} pieces, and at most {MAX_PIECES:,} can be heard; lower --pieces")
    if not pieces:
        raise SourceError(f"no piece can be heard; {failures[0]}" if failures else "no piece can be heard")
    return pieces, failures


def _is_corpus(place: str) -> bool:
    return place in NAMED or place in ALIASES


def _named(places: Iterable[tuple[str, bool]]) -> list[tuple[str, str, bool]]:
    """(place, name of the source, whether by people) of each place, once; names are made unique by numbers."""
    by_people: dict[str | Path, tuple[str, bool]] = {}
    for place, by_person in places:
        key = place if _is_corpus(place) else Path(place).resolve()
        by_people[key] = place, by_person or _is_corpus(place) or by_people.get(key, ("", False))[1]
    named: list[tuple[str, str, bool]] = []
    taken = {ATTENTION_SOURCE}  # which results leave out
    for key, (place, by_person) in by_people.items():
        stem = key if isinstance(key, str) else printable(key.parent.name if key.name == EVALUATION else key.name)
        name, number = stem or "pieces", 2
        while name in taken:
            name, number = f"{stem} ({number})", number + 1
        taken.add(name)
        named.append((place, name, by_person))
    return named


def _of_folder(folder: Path, most: int, seed: int, seen: set[str]) -> tuple[list[Found], list[str]]:
    """The pieces of a folder, and the files that cannot be read."""
    if not is_folder(folder):
        raise SourceError(f"{folder}: no such folder")
    paths, failures = _files_of(folder)
    if not paths:
        reason = f"has no {EVALUATION}; toccata evaluate makes it" if _is_run(folder) else "has no music"
        raise SourceError("; ".join([f"{folder}: {reason}", *failures[:1]]))
    digests = _digests_of(paths, failures)
    genre = _genre_of_run(folder)
    pieces: list[Found] = []
    left = [digest for digest in _shuffled(digests, seed) if digest not in seen]
    while left and len(pieces) < most:  # more than one round where files cannot be read
        chosen, left = left[: most - len(pieces)], left[most - len(pieces) :]
        written = [digest for digest in chosen if digests[digest].suffix.lower() not in SOUND_SUFFIXES]
        results = parse_all([Job(str(digests[digest])) for digest in written], f"Reading {printable(folder.name)}")
        failures += [result.error for result in results if result.score is None]
        scores = {digest: result.score for digest, result in zip(written, results, strict=True)}
        pieces += [
            Found(digest, "", digests[digest], False, genre, scores.get(digest))
            for digest in chosen
            if digest not in scores or scores[digest] is not None
        ]
    return pieces, failures


def _digests_of(paths: Iterable[Path], failures: list[str]) -> dict[str, Path]:
    """The first file of each content; those that cannot be read are added to the failures."""
    digests: dict[str, Path] = {}
    for path in paths:
        with _noting(failures):
            digests.setdefault(sha256_of_file(path), path)
    return digests


@contextmanager
def _noting(failures: list[str]) -> Iterator[None]:
    """A block whose FileError is added to the failures."""
    try:
        yield
    except FileError as error:
        failures.append(str(error))


def _files_of(folder: Path) -> tuple[list[Path], list[str]]:
    """The files of pieces in a folder: of each piece its MIDI, else notation, else sound; and what is not read."""
    if runs := [run for run in sorted(folder.glob("seed-*")) if _is_run(run)]:  # of `toccata train --seeds`
        return [path for run in runs for path in _files_of(run)[0]], []
    if _is_run(folder):
        folder = folder / EVALUATION
    if (folder / "metrics.json").is_file() and (agents := sorted(folder.glob(AGENT_PIECES))):
        return [path for path in agents if is_file(path)], []
    paths, failures = music_files(folder)
    sounds = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SOUND_SUFFIXES and is_file(path)]
    sounds = [path for path in sounds if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    best: dict[Path, Path] = {}
    for suffixes in (MIDI_SUFFIXES, NOTATION_SUFFIXES, SOUND_SUFFIXES):
        for path in (path for path in (*paths, *sounds) if path.suffix.lower() in suffixes):
            best.setdefault(path.with_suffix(""), path)
    return sorted(best.values()), failures


def _is_run(folder: Path) -> bool:
    """Whether it is the folder of a training run."""
    return (folder / "config.json").is_file() and ((folder / "model.zip").exists() or (folder / "checkpoints").is_dir())


def _genre_of_run(folder: Path) -> str | None:
    """The genre that a run composes in; None for another folder."""
    folder = folder.parent if folder.name == EVALUATION else folder
    if not _is_run(folder):
        return None
    settings = read_json(folder / "config.json")
    genre = settings.get("genre") if isinstance(settings, dict) else None
    return genre if isinstance(genre, str) else None


def _of_corpus(name: str, most: int, seed: int) -> list[Found]:
    """Works of a corpus, as MIDI files in the cache."""
    works = {hashlib.sha256(work.id.encode()).hexdigest(): work for work in load_corpus(name).works}
    folder = cache_folder() / "listening" / name
    folder.mkdir(parents=True, exist_ok=True)
    pieces = []
    for key in _shuffled(works, seed)[:most]:
        work = works[key]
        path = folder / f"{work.id.replace('/', '-')}.mid"
        if not path.is_file():
            work.score.to_midi(path)
        pieces.append(Found(sha256_of_file(path), "", path, True, work.genre, work.score))
    return pieces


def _shuffled(digests: Iterable[str], seed: int) -> list[str]:
    """Digests in an order that seed and each digest alone decide."""
    return sorted(digests, key=lambda digest: hashlib.sha256(f"{seed} {digest}".encode()).digest())
