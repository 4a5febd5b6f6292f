"""What is in the sdist and the wheel: `check_distributions.py DIST TREE`, of files built from the folder TREE."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

LAYERS = ("music", "envs", "reward_models", "agents", "listening")
NEVER = ("__pycache__", ".pyc", ".DS_Store", ".venv", ".hypothesis")
SDIST_ALSO = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")
NOT_IN_SDIST = ("tests/", "docs/", "benchmarks/", "runs/", "build/")
MAX_BYTES = 100 * 2**20  # what PyPI takes of a file


def package_files(tree: Path) -> set[str]:
    """Every file of the package in the checkout, by its name in the wheel."""
    roots = {"src/toccata": "toccata", **{layer: f"toccata/{layer}" for layer in LAYERS}}
    return {
        f"{name}/{path.relative_to(tree / root).as_posix()}"
        for root, name in roots.items()
        for path in (tree / root).rglob("*")
        if path.is_file()
    }


def problems(dist: Path, tree: Path) -> list[str]:
    """What is wrong with the distributions in `dist`, a line each."""
    (wheel,), (sdist,) = list(dist.glob("*.whl")), list(dist.glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {"/".join(PurePosixPath(name).parts[1:]) for name in archive.getnames()}
    found = []
    expected = package_files(tree)
    packaged = {name for name in in_wheel if not PurePosixPath(name).parts[0].endswith(".dist-info")}
    found += [f"{wheel.name}: lacks {name}" for name in sorted(expected - packaged)]
    found += [f"{wheel.name}: has {name}, which is none of the package" for name in sorted(packaged - expected)]
    found += [f"{sdist.name}: lacks {name}" for name in SDIST_ALSO if name not in in_sdist]
    found += [f"{sdist.name}: has {name}" for name in sorted(in_sdist) if name.startswith(NOT_IN_SDIST)]
    for file, names in ((wheel, in_wheel), (sdist, in_sdist)):
        found += [f"{file.name}: has {name}" for name in sorted(names) if any(part in name for part in NEVER)]
        size = file.stat().st_size
        found += [f"{file.name}: has {size:,} bytes, at most {MAX_BYTES:,} are taken"] if size > MAX_BYTES else []
        print(f"release: {file.name}: {size / 1e6:.1f} MB, {len(names)} names")
    return found


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]), Path(sys.argv[2]))
    for line in wrong:
        print(f"release: {line}", file=sys.stderr)
    sys.exit(bool(wrong))
