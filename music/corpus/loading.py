"""Loading corpora: those of music21, or a folder of MIDI and MusicXML files; parsed once, then cached."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from toccata.errors import printable, shortened
from toccata.files import FileError, existing_name, inside, is_file, is_folder, read_bytes
from toccata.music.corpus.cache import UnparsedWork, load_or_parse
from toccata.music.corpus.parsing import MIDI_SUFFIXES, NOTATION_SUFFIXES, Job
from toccata.music.corpus.versions import version_groups
from toccata.music.corpus.works import (
    SPLITS,
    Corpus,
    CorpusError,
    CorpusWarning,
    GenreError,
    Work,
    name_bytes,
    unknown_name_message,
)
from toccata.music.musicxml import decode_text
from toccata.music.score import Score

CACHE_FORMAT = 6  # increase it when a change of a reader or of the cache changes the scores
NAMED = {"bach": "classical", "ryan": "folk", "oneill": "folk", "aird": "folk"}  # corpus -> genre
ALIASES = {"classical": ("bach",), "folk": ("ryan", "oneill", "aird")}
FOLDERS = {"bach": "bach", "ryan": "ryansMammoth", "oneill": "oneills1850", "aird": "airdsAirs"}
MAX_TABLE_BYTES = 64 * 2**20  # of metadata.csv
MAX_TABLE_ROWS = 200_000
MAX_TABLE_COLUMNS = 1_000
MAX_TABLE_LINE = 2**20  # characters
TABLE_COLUMNS = ("file", "genre", "title", "composer", "licence", "split")  # the others are not read
LONGEST_FAILURE = 600  # characters of a line of `Corpus.failures`
LONGEST_CACHE_NAME = 50  # characters of a folder's name in that of its cache file
# Formats of music that are not read: such files are listed among the failures.
OTHER_SUFFIXES = frozenset(
    {
        *(".abc", ".krn", ".mei", ".ly", ".mscz", ".mscx", ".sib", ".mus", ".musx", ".cap", ".capx", ".nwc", ".enc"),
        *(".gp", ".gp3", ".gp4", ".gp5", ".gpx", ".gtp", ".ptb", ".tg", ".smf", ".xmf", ".mod", ".xm", ".it", ".s3m"),
        *(".mid.gz", ".midi.gz", ".kar.gz", ".musicxml.gz", ".xml.gz", ".zip", ".7z", ".rar", ".mid.xz", ".mid.bz2"),
        *(".mid.bak", ".mid~", ".syx", ".mxml"),
    }
)
NO_GENRE = "has no genre"
CHORALE_PARTS = 4  # 368 works in the bach folder of music21 are four-part chorales


def load_corpus(
    source: str | PathLike[str] | Sequence[str | PathLike[str]] = "bach",
    *,
    genre: str | None = None,
    default_genre: str | None = None,
) -> Corpus:
    """Load one corpus, or the concatenation of several.

    The first call parses its files on all cores, with a progress bar; later ones read one file in the cache (the
    platform's cache folder of "toccata", or the environment variable TOCCATA_CACHE), until the files or music21 change.
    Works are as written, not reduced to two hands.

    Args:
        source: "bach" (368 four-part chorales; also "classical"), "ryan", "oneill", "aird" (1,059, 2,009 and 1,180
            tunes; all three also "folk"), all from music21; or the path of a folder; or a list of these. A folder has
            MIDI or MusicXML files either as GENRE/**/*.mid, or in midi/ with a metadata.csv next to it, with columns
            file and genre and optional columns title, composer, licence and split (train, valid or test).
        genre: genre of all works of a folder, in place of those in the folder.
        default_genre: genre of all works of a folder that has no genres: none of its files is in a folder of its own,
            or its metadata.csv has no genre. Other folders of the list keep theirs.

    Raises:
        CorpusError: for an unknown name, and for a folder without a readable file, or without genres where none is
            given.

    Warns:
        CorpusWarning: how many files of a folder were left out, and why; all are in `Corpus.failures`.
    """
    sources = [source] if isinstance(source, (str, PathLike)) else list(source)
    if not sources:
        raise CorpusError("no corpus given")
    if "" in sources:
        raise CorpusError("the name of the corpus is empty")
    parts: dict[str, Corpus] = {}
    for each in sources:
        names = ALIASES.get(each, (each,)) if isinstance(each, str) else (each,)
        for name in names:
            parts[str(name)] = _load_named(name) if name in NAMED else _load_folder(Path(name), genre, default_genre)
    works = [work for part in parts.values() for work in part.works]
    failures = tuple(failure for part in parts.values() for failure in part.failures)
    groups = version_groups([work.group for work in works], [work.score for work in works])
    grouped = tuple(replace(work, group=group) for work, group in zip(works, groups, strict=True))
    return Corpus("+".join(part.name for part in parts.values()), grouped, failures)


def _load_named(name: str) -> Corpus:
    """One of the corpora of music21."""
    key = f"{CACHE_FORMAT} music21 {version('music21')} {name}"
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
            text = decode_text(path.read_bytes())
            for tune in re.split(r"(?m)^(?=X:)", text)[1:]:
                title = re.search(r"(?m)^T:\s*(.*?)\s*$", tune)
                number = f"{name}/{path.stem}/{len(works):04}"
                work = _work_with_title(number, NAMED[name], title[1] if title else "")
                works.append((work, Job(str(path), abc=tune)))
    return works


def _load_folder(root: Path, genre: str | None, default_genre: str | None) -> Corpus:
    """A folder of files, with or without a metadata.csv, and with or without genres."""
    try:
        return _load_folder_of(root, genre)
    except GenreError:
        if default_genre is None:
            raise
        return _load_folder_of(root, default_genre)


def _load_folder_of(root: Path, genre: str | None) -> Corpus:
    """A folder of files that are of the genre `genre`; None: of the genres that it names."""
    if not is_folder(root):
        raise CorpusError(unknown_name_message("corpus", str(root), [*NAMED, *ALIASES], ", and no such folder exists"))
    table = root / "metadata.csv"
    if table.is_symlink() and not table.exists():
        raise CorpusError(f"{table}: is a link to no file")
    works, failures = _works_of_table(table, genre) if table.exists() else _works_of_genre_folders(root, genre)
    if not works:
        raise _no_works(root, failures, table.exists())
    works = _with_printable_ids(works)
    path_hash = hashlib.sha256(name_bytes(str(root.resolve()))).hexdigest()[:12]
    corpus = load_or_parse(f"{root.name[:LONGEST_CACHE_NAME]}-{path_hash}", _cache_key(works, genre), lambda: works)
    if not corpus.works:
        raise CorpusError(f"{root}: none of its {len(works)} files can be read; {corpus.failures[0]}")
    failures = [shortened(failure, LONGEST_FAILURE) for failure in (*failures, *corpus.failures)]
    corpus = replace(corpus, name=printable(root.name), failures=tuple(failures))
    if failures:
        rest = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        count = f"{len(failures)} of {len(corpus) + len(failures)} files of {root} were left out: "
        warnings.warn(shortened(count, LONGEST_FAILURE) + "; ".join(failures[:3]) + rest, CorpusWarning, stacklevel=4)
    return corpus


def _with_printable_ids(works: list[UnparsedWork]) -> list[UnparsedWork]:
    """The works with printable ids, which stay unique.

    An escape of bytes that are not UTF-8 may be the literal name of another file: there backslashes are doubled.
    """
    escaped: set[str] = set()
    while True:
        ids = [printable(work.id.replace("\\", "\\\\") if work.id in escaped else work.id) for work, _ in works]
        counts = Counter(ids)
        colliding = {work.id for (work, _), number in zip(works, ids, strict=True) if counts[number] > 1} - escaped
        if not colliding:
            return [(replace(work, id=number), job) for (work, job), number in zip(works, ids, strict=True)]
        escaped |= colliding


def _no_works(root: Path, failures: list[str], has_table: bool) -> CorpusError:
    """The error for a folder without works."""
    without_genre = [failure for failure in failures if failure.endswith(NO_GENRE)]
    if without_genre:
        return GenreError(f"{root}: none of its works has a genre, and none is given; {without_genre[0]}")
    reason = "no row of its metadata.csv gives a work" if has_table else "has no MIDI or MusicXML file"
    return CorpusError(f"{root}: {reason}" + "".join(f"; {failure}" for failure in failures[:1]))


def _cache_key(works: list[UnparsedWork], genre: str | None) -> str:
    """A hash of all that the parsed works depend on."""
    key = hashlib.sha256(f"{CACHE_FORMAT} {genre}".encode())
    for work, job in works:
        try:
            status = Path(job.path).stat()
            size_and_time = status.st_size, status.st_mtime_ns
        except OSError:
            size_and_time = None
        key.update(repr((replace(work, score=Score()), size_and_time)).encode())
    return key.hexdigest()


def music_files(root: Path) -> tuple[list[Path], list[str]]:
    """The files of music in a folder and the folders in it, sorted; and a line for each thing that is not read.

    Hidden files and folders, as file managers make them ("._song.mid"), count for nothing. Links to folders are not
    followed, since they may lead out of the folder, or round in a circle.
    """
    paths: list[Path] = []
    failures: list[str] = []

    def on_error(error: OSError) -> None:
        failures.append(f"{error.filename}: cannot be read: {error.strerror}")

    for folder, folders, names in os.walk(root, onerror=on_error):
        folders[:] = [name for name in folders if not name.startswith(".")]
        failures += [f"{path}: is a link to a folder, which is not followed" for path in _links(folder, folders)]
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in MIDI_SUFFIXES + NOTATION_SUFFIXES:
                paths.append(path)
            elif {path.suffix.lower(), "".join(path.suffixes[-2:]).lower()} & OTHER_SUFFIXES:
                failures.append(f"{path}: {path.suffix} files are not read, only MIDI and MusicXML")
    return sorted(paths), sorted(failures)


def _links(folder: str, names: list[str]) -> list[Path]:
    return [path for name in names if (path := Path(folder, name)).is_symlink()]


def _works_of_genre_folders(root: Path, genre: str | None) -> tuple[list[UnparsedWork], list[str]]:
    """The works in root/GENRE/**, and a line for each file that is no work."""
    works = []
    paths, failures = music_files(root)
    for path in paths:
        relative = path.relative_to(root)
        if not is_file(path):
            failures.append(f"{path}: is no file, or a link to none")
        elif _leads_out(root, relative):
            failures.append(f"{path}: is a link to a file outside this folder, which is not followed")
        elif genre is None and len(relative.parts) == 1:
            failures.append(f"{path}: is in no genre folder, so it {NO_GENRE}")
        else:
            work = Work(
                f"{root.name}/{relative.as_posix()}",
                printable(genre or relative.parts[0]),
                Score(),
                title=printable(path.stem),
                group=f"file:{relative.as_posix()}",
            )
            works.append((work, Job(str(path))))
    return works, failures


def _works_of_table(table: Path, genre: str | None) -> tuple[list[UnparsedWork], list[str]]:
    """The works that metadata.csv lists, and a line for each row that is no work, and each file that has no row."""
    root = table.parent
    folder = root / "midi" if is_folder(root / "midi") and not _leads_out(root, Path("midi")) else root
    works: dict[str, UnparsedWork] = {}
    seen: set[Path] = set()
    failures = []
    for number, row in _table_rows(table, genre):
        name = row.get("file") or ""
        label = genre or (row.get("genre") or "").strip()
        split = (row.get("split") or "").strip()
        place = f"{table}, row {number}"
        if not name or Path(name).suffix.lower() not in MIDI_SUFFIXES + NOTATION_SUFFIXES:
            failures.append(f"{place}: bad file {name[:200]!r}")
            continue
        try:
            path = existing_name(folder, name)
        except FileError as error:
            failures.append(f"{place}: {error}")
            continue
        if not is_file(path):
            failures.append(f"{place}: {path}: is no file, or a link to none")
        elif not label:
            failures.append(f"{path}: {NO_GENRE}")
        elif _resolved(path) in seen:
            failures.append(f"{place}: {name!r} is in the table already")
        elif split and split not in SPLITS:
            failures.append(f"{place}: split must be {', '.join(SPLITS)} or empty, got {split[:200]!r}")
        else:
            work = _work_with_title(f"{root.name}/{name}", label, row.get("title") or "", row.get("composer") or "")
            works[name] = replace(work, licence=row.get("licence") or "", given_split=split), Job(str(path))
        seen.add(_resolved(path))
    paths, not_read = music_files(folder)
    not_read += [f"{path}: is not in metadata.csv" for path in paths if _resolved(path) not in seen]
    return [works[name] for name in sorted(works)], failures + not_read


def _table_rows(table: Path, genre: str | None) -> list[tuple[int, dict[str, str]]]:
    """(row number, cells of `TABLE_COLUMNS` by column) of metadata.csv; the header is row 1, as in a spreadsheet.

    Raises:
        CorpusError: when it cannot be read, has no columns `file` and `genre`, no rows, or exceeds a bound.
    """
    rows = []
    try:
        reader = csv.reader(_table_lines(table, decode_text(read_bytes(table, MAX_TABLE_BYTES))))
        places = _places(table, next(reader, []), genre)
        for number, cells in enumerate(reader, 2):
            if number > MAX_TABLE_ROWS + 1:
                raise CorpusError(f"{table}: has more than {MAX_TABLE_ROWS:,} rows")
            if cells:
                rows.append((number, {name: cells[place] for name, place in places.items() if place < len(cells)}))
    except FileError as error:
        raise CorpusError(str(error)) from None
    except csv.Error as error:
        raise CorpusError(f"{table}: {error}") from None
    if not rows:
        raise CorpusError(f"{table}: has no rows below its header")
    return rows


def _table_lines(table: Path, text: str) -> Iterator[str]:
    """The lines of metadata.csv with their ends, as a CSV reader needs them.

    Raises:
        CorpusError: for a line longer than `MAX_TABLE_LINE` characters.
    """
    for line in io.StringIO(text, newline=""):
        if len(line) > MAX_TABLE_LINE:
            raise CorpusError(f"{table}: has a line of more than {MAX_TABLE_LINE:,} characters")
        yield line


def _places(table: Path, header: list[str], genre: str | None) -> dict[str, int]:
    """The index of each of `TABLE_COLUMNS` that the header has.

    Raises:
        CorpusError: when a column that is needed is missing, or there are more than `MAX_TABLE_COLUMNS`.
    """
    if len(header) > MAX_TABLE_COLUMNS:
        raise CorpusError(f"{table}: has {len(header):,} columns, at most {MAX_TABLE_COLUMNS:,} are read")
    missing = [name for name in ("file", *(() if genre else ("genre",))) if name not in header]
    if missing:
        kind = GenreError if missing == ["genre"] else CorpusError
        named = ", ".join(header)[:200]
        raise kind(f"{table}: has no column {' nor '.join(missing)}, {f'only {named}' if named else 'it is empty'}")
    return {name: place for place, name in enumerate(header) if name in TABLE_COLUMNS}


def _leads_out(root: Path, name: Path) -> bool:
    """Whether `name` in the folder is a link that leads out of it."""
    try:
        return (root / name).is_symlink() and not inside(root, name)
    except (FileError, OSError):
        return True


def _resolved(path: Path) -> Path:
    """The path without links; itself, where links go round in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def _work_with_title(number: str, genre: str, title: str, composer: str = "") -> Work:
    """A work with an empty score, whose group is its composer and title."""
    words = [word for word in re.split(r"[^a-z0-9]+", f"{composer} {title}".casefold()) if word not in ("", "the")]
    group = f"title:{' '.join(words)}" if title and words else f"file:{number}"
    return Work(number, genre, Score(), title, group=group)
