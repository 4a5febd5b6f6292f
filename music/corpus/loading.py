"""Loading corpora: those of music21, or a folder of MIDI and MusicXML files; parsed once, then cached."""

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

from toccata.music.corpus.cache import UnparsedWork, load_or_parse
from toccata.music.corpus.parsing import MIDI_SUFFIXES, NOTATION_SUFFIXES, Job
from toccata.music.corpus.versions import version_groups
from toccata.music.corpus.works import Corpus, CorpusError, CorpusWarning, Work, unknown_name_message
from toccata.music.score import Score

CACHE_FORMAT = 1  # increase it when a change of a reader or of the cache changes the scores
NAMED = {"bach": "classical", "ryan": "folk", "oneill": "folk", "aird": "folk"}  # corpus -> genre
ALIASES = {"classical": ("bach",), "folk": ("ryan", "oneill", "aird")}
FOLDERS = {"bach": "bach", "ryan": "ryansMammoth", "oneill": "oneills1850", "aird": "airdsAirs"}
CHORALE_PARTS = 4  # 368 works in the bach folder of music21 are four-part chorales


def load_corpus(
    source: str | PathLike[str] | Sequence[str | PathLike[str]] = "bach", *, genre: str | None = None
) -> Corpus:
    """Load one corpus, or the concatenation of several.

    The first call parses its files on all cores, with a progress bar; later ones read one file in the cache (the
    platform's cache folder of "toccata", or the environment variable TOCCATA_CACHE), until the files or music21 change.
    Works are as written, not reduced to two hands.

    Args:
        source: "bach" (368 four-part chorales; also "classical"), "ryan", "oneill", "aird" (1,059, 2,009 and 1,180
            tunes; all three also "folk"), all from music21; or the path of a folder; or a list of these. A folder has
            MIDI or MusicXML files either as GENRE/**/*.mid, or in midi/ with a metadata.csv next to it, with columns
            file and genre and optional columns title, composer and licence.
        genre: genre of all works of a folder, in place of those in the folder.

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
    """One of the corpora of music21."""
    key = f"{CACHE_FORMAT} music21 {version('music21')}"
    return load_or_parse(name, key, lambda: _works_in_music21(name))


def _works_in_music21(name: str) -> list[UnparsedWork]:
    """The chorales, or the tunes of one collection."""
    spec = find_spec("music21")  # not imported: a cached corpus loads in a tenth of the time
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(f"corpus {name} is a part of music21, which is not installed")
    folder = Path(spec.submodule_search_locations[0], "corpus", FOLDERS[name])
    works = []
    for path in sorted(folder.iterdir()):
        if name == "bach" and path.suffix in (".mxl", ".xml", ".krn"):
            number = path.stem if path.suffix == ".mxl" else path.name
            group = path.stem.partition("-")[0]
            work = Work(f"bach/{number}", NAMED[name], Score(), title=path.stem.upper(), group=group)
            works.append((work, Job(str(path), parts=CHORALE_PARTS)))
        elif path.suffix == ".abc":
            text = _decode_text(path.read_bytes())
            for tune in re.split(r"(?m)^(?=X:)", text)[1:]:
                title = re.search(r"(?m)^T:\s*(.*?)\s*$", tune)
                number = f"{name}/{path.stem}/{len(works):04}"
                work = _work_with_title(number, NAMED[name], title[1] if title else "")
                works.append((work, Job(str(path), abc=tune)))
    return works


def _load_folder(root: Path, genre: str | None) -> Corpus:
    """A folder of files, with or without a metadata.csv."""
    if not root.is_dir():
        raise CorpusError(unknown_name_message("corpus", str(root), [*NAMED, *ALIASES], ", and no such folder exists"))
    table = root / "metadata.csv"
    works, failures = _works_of_table(table, genre) if table.is_file() else _works_of_genre_folders(root, genre)
    if not works:
        raise CorpusError(f"{root}: has no MIDI or MusicXML file" + "".join(f"; {f}" for f in failures[:1]))
    key = hashlib.sha256(f"{CACHE_FORMAT} {genre}".encode())
    for work, job in works:
        path = Path(job.path)
        status = path.stat() if path.is_file() else None
        key.update(repr((replace(work, score=Score()), status and (status.st_size, status.st_mtime_ns))).encode())
        if path.suffix.lower() in NOTATION_SUFFIXES:
            key.update(version("music21").encode())
    path_hash = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
    corpus = load_or_parse(f"{root.name}-{path_hash}", key.hexdigest(), lambda: works)
    corpus = replace(corpus, name=root.name, failures=(*failures, *corpus.failures))
    if not corpus.works:
        raise CorpusError(f"{root}: none of its {len(works)} files can be read; {corpus.failures[0]}")
    message = f"{len(corpus.failures)} of {len(works) + len(failures)} files of {root} were left out: "
    if corpus.failures:
        rest = f"; and {len(corpus.failures) - 3} more" if len(corpus.failures) > 3 else ""
        warnings.warn(message + "; ".join(corpus.failures[:3]) + rest, CorpusWarning, stacklevel=3)
    return corpus


def _works_of_genre_folders(root: Path, genre: str | None) -> tuple[list[UnparsedWork], list[str]]:
    """The works in root/GENRE/**, and a line for each file that is no work."""
    works, failures = [], []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.suffix.lower() not in MIDI_SUFFIXES + NOTATION_SUFFIXES or not path.is_file():
            continue
        if any(part.startswith(".") for part in relative.parts):
            continue  # files of file managers
        if genre is None and len(relative.parts) == 1:
            failures.append(f"{path}: is in no genre folder, and no genre is given")
            continue
        work = Work(
            f"{root.name}/{relative.as_posix()}",
            genre or relative.parts[0],
            Score(),
            title=path.stem,
            group=f"file:{relative.as_posix()}",
        )
        works.append((work, Job(str(path))))
    return works, failures


def _works_of_table(table: Path, genre: str | None) -> tuple[list[UnparsedWork], list[str]]:
    """The works that metadata.csv lists, and a line for each row that is no work."""
    try:
        rows = list(csv.DictReader(_decode_text(table.read_bytes()).splitlines()))
    except csv.Error as error:
        raise CorpusError(f"{table}: {error}") from None
    columns = list(rows[0]) if rows else []
    missing = [name for name in ("file", *(() if genre else ("genre",))) if name not in columns]
    if missing:
        raise CorpusError(f"{table}: has no column {' nor '.join(missing)}, only {', '.join(map(str, columns))}")
    folder = table.parent / "midi" if (table.parent / "midi").is_dir() else table.parent
    works, failures = {}, []
    for row in rows:
        name = row["file"] or ""
        label = genre or (row["genre"] or "").strip()
        if not label or Path(name).suffix.lower() not in MIDI_SUFFIXES + NOTATION_SUFFIXES:
            failures.append(f"{folder / name}: has no genre" if name and not label else f"{table}: bad file {name!r}")
            continue
        title = row.get("title") or ""
        work = _work_with_title(f"{table.parent.name}/{name}", label, title, row.get("composer") or "")
        works[name] = replace(work, licence=row.get("licence") or ""), Job(str(folder / name))
    return [works[name] for name in sorted(works)], failures


def _work_with_title(number: str, genre: str, title: str, composer: str = "") -> Work:
    """A work with an empty score, whose group is its composer and title."""
    words = [word for word in re.split(r"[^a-z0-9]+", f"{composer} {title}".casefold()) if word not in ("", "the")]
    group = f"title:{' '.join(words)}" if title and words else f"file:{number}"
    return Work(number, genre, Score(), title, group=group)


def _decode_text(data: bytes) -> str:
    """Text in UTF-8, or in Latin-1, as older tune books are."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
