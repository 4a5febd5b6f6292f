"""Loading corpora: music21's, or a folder of the user's own, parsed once and then cached."""

from __future__ import annotations

import csv
import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from toccata.music.corpus.cache import UnparsedWork, cached
from toccata.music.corpus.parsing import MIDI_SUFFIXES, NOTATION_SUFFIXES, Job
from toccata.music.corpus.versions import version_groups
from toccata.music.corpus.works import Corpus, CorpusError, CorpusWarning, Work, unknown_name
from toccata.music.score import Score

CACHE_FORMAT = 1  # raise it when a reader or the cache changes what a score comes out as
NAMED = {"bach": "classical", "ryan": "folk", "oneill": "folk", "aird": "folk"}  # corpus -> genre
ALIASES = {"classical": ("bach",), "folk": ("ryan", "oneill", "aird")}
FOLDERS = {"bach": "bach", "ryan": "ryansMammoth", "oneill": "oneills1850", "aird": "airdsAirs"}
CHORALE_PARTS = 4  # the works of music21's bach folder that are four-part chorales: 368


def load_corpus(
    source: str | PathLike[str] | Sequence[str | PathLike[str]] = "bach", *, genre: str | None = None
) -> Corpus:
    """Load one corpus, or several as one.

    The first time its files are parsed by all cores under a progress bar; from then on it comes from one file in
    the cache (the platform's cache folder of "toccata", or the environment variable TOCCATA_CACHE), until the
    files or music21 change. Works are as written, not yet reduced to two hands.

    Args:
        source: "bach" (368 four-part chorales; also as "classical"), "ryan", "oneill", "aird" (1,059, 2,009 and
            1,180 tunes; all three as "folk"), all from music21; or the path of a folder; or a list of such. A
            folder holds MIDI or MusicXML files either as GENRE/**/*.mid or in midi/ beside a metadata.csv with
            columns file and genre (title, composer and licence are read if there).
        genre: genre of all works of a folder, in place of what the folder says.

    Raises:
        CorpusError: for an unknown name, and for a folder without a readable file or without genres.

    Warns:
        CorpusWarning: how many files of a folder were left out, and why; all are in `Corpus.failures`.
    """
    sources = [source] if isinstance(source, (str, PathLike)) else list(source)
    if not sources:
        raise CorpusError("no corpus given")
    parts: dict[str, Corpus] = {}
    for each in sources:
        names = ALIASES.get(each, (each,)) if isinstance(each, str) else (each,)
        for name in names:
            parts[str(name)] = _load_named(name) if name in NAMED else _load_folder(Path(name), genre)
    works = [work for part in parts.values() for work in part.works]
    failures = tuple(failure for part in parts.values() for failure in part.failures)
    groups = version_groups([work.group for work in works], [work.score for work in works])
    grouped = tuple(replace(work, group=group) for work, group in zip(works, groups, strict=True))
    return Corpus("+".join(part.name for part in parts.values()), grouped, failures)


def _load_named(name: str) -> Corpus:
    """One of music21's corpora."""
    key = f"{CACHE_FORMAT} music21 {version('music21')}"
    return cached(name, key, lambda: _named_pieces(name))


def _named_pieces(name: str) -> list[UnparsedWork]:
    """The chorales, or the tunes of one collection."""
    spec = find_spec("music21")  # not imported: a cached corpus is there in a tenth of the time
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(f"corpus {name} is a part of music21, which is not installed")
    folder = Path(spec.submodule_search_locations[0], "corpus", FOLDERS[name])
    pieces = []
    for path in sorted(folder.iterdir()):
        if name == "bach" and path.suffix in (".mxl", ".xml", ".krn"):
            number = path.stem if path.suffix == ".mxl" else path.name
            group = path.stem.partition("-")[0]
            work = Work(f"bach/{number}", NAMED[name], Score(), title=path.stem.upper(), group=group)
            pieces.append((work, Job(str(path), parts=CHORALE_PARTS)))
        elif path.suffix == ".abc":
            text = _decoded(path.read_bytes())
            for tune in re.split(r"(?m)^(?=X:)", text)[1:]:
                title = re.search(r"(?m)^T:\s*(.*?)\s*$", tune)
                number = f"{name}/{path.stem}/{len(pieces):04}"
                pieces.append((_titled(number, NAMED[name], title[1] if title else ""), Job(str(path), abc=tune)))
    return pieces


def _load_folder(root: Path, genre: str | None) -> Corpus:
    """A folder of files, with or without a table of them."""
    if not root.is_dir():
        raise CorpusError(unknown_name("corpus", str(root), [*NAMED, *ALIASES], ", nor is there such a folder"))
    table = root / "metadata.csv"
    pieces, failures = _tabled(table, genre) if table.is_file() else _filed(root, genre)
    if not pieces:
        raise CorpusError(f"{root}: has no MIDI or MusicXML file" + "".join(f"; {f}" for f in failures[:1]))
    key = hashlib.sha256(f"{CACHE_FORMAT} {genre}".encode())
    for work, job in pieces:
        path = Path(job.path)
        status = path.stat() if path.is_file() else None
        key.update(repr((replace(work, score=Score()), status and (status.st_size, status.st_mtime_ns))).encode())
        if path.suffix.lower() in NOTATION_SUFFIXES:
            key.update(version("music21").encode())
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    corpus = cached(f"{root.name}-{place}", key.hexdigest(), lambda: pieces)
    corpus = replace(corpus, name=root.name, failures=(*failures, *corpus.failures))
    if not corpus.works:
        raise CorpusError(f"{root}: none of its {len(pieces)} files can be read; {corpus.failures[0]}")
    message = f"{len(corpus.failures)} of {len(pieces) + len(failures)} files of {root} were left out: "
    if corpus.failures:
        rest = f"; and {len(corpus.failures) - 3} more" if len(corpus.failures) > 3 else ""
        warnings.warn(message + "; ".join(corpus.failures[:3]) + rest, CorpusWarning, stacklevel=3)
    return corpus


def _filed(root: Path, genre: str | None) -> tuple[list[UnparsedWork], list[str]]:
    """The pieces of root/GENRE/**, and what is wrong with others."""
    pieces, failures = [], []
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if path.suffix.lower() not in MIDI_SUFFIXES + NOTATION_SUFFIXES or not path.is_file():
            continue
        if any(part.startswith(".") for part in place.parts):
            continue  # what file managers leave behind
        if genre is None and len(place.parts) == 1:
            failures.append(f"{path}: lies in no genre's folder, and no genre is given")
            continue
        work = Work(
            f"{root.name}/{place.as_posix()}",
            genre or place.parts[0],
            Score(),
            title=path.stem,
            group=f"file:{place.as_posix()}",
        )
        pieces.append((work, Job(str(path))))
    return pieces, failures


def _tabled(table: Path, genre: str | None) -> tuple[list[UnparsedWork], list[str]]:
    """The pieces that metadata.csv lists, and what is wrong with others."""
    try:
        rows = list(csv.DictReader(_decoded(table.read_bytes()).splitlines()))
    except csv.Error as error:
        raise CorpusError(f"{table}: {error}") from None
    columns = list(rows[0]) if rows else []
    missing = [name for name in ("file", *(() if genre else ("genre",))) if name not in columns]
    if missing:
        raise CorpusError(f"{table}: has no column {' nor '.join(missing)}, only {', '.join(map(str, columns))}")
    folder = table.parent / "midi" if (table.parent / "midi").is_dir() else table.parent
    pieces, failures = {}, []
    for row in rows:
        name = row["file"] or ""
        label = genre or (row["genre"] or "").strip()
        if not label or Path(name).suffix.lower() not in MIDI_SUFFIXES + NOTATION_SUFFIXES:
            failures.append(f"{folder / name}: has no genre" if name and not label else f"{table}: bad file {name!r}")
            continue
        title = row.get("title") or ""
        work = _titled(f"{table.parent.name}/{name}", label, title, row.get("composer") or "")
        pieces[name] = replace(work, licence=row.get("licence") or ""), Job(str(folder / name))
    return [pieces[name] for name in sorted(pieces)], failures


def _titled(number: str, genre: str, title: str, composer: str = "") -> Work:
    """A work, still without its score, grouped by its title."""
    words = [word for word in re.split(r"[^a-z0-9]+", f"{composer} {title}".casefold()) if word not in ("", "the")]
    group = f"title:{' '.join(words)}" if title and words else f"file:{number}"
    return Work(number, genre, Score(), title, group=group)


def _decoded(data: bytes) -> str:
    """Text in UTF-8, or in the older Latin-1 of many tune books."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
