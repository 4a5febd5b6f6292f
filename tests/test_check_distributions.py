"""The check of sdist and wheel finds what is missing in them and what does not belong there."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

ALSO = ["pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"]


def lines_of(repository: Path, folder: Path, wheel: list[str], sdist: list[str]) -> list[str]:
    """What the script says of distributions with these files, of a package of the two modules below."""
    tree, dist = folder / "tree", folder / "dist"
    for path in (tree / "music/score.py", tree / "src/toccata/cli.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    dist.mkdir(exist_ok=True)
    with zipfile.ZipFile(dist / "t.whl", "w") as archive:
        for name in wheel:
            archive.writestr(name, b"")
    with tarfile.open(dist / "t.tar.gz", "w:gz") as tar:
        for name in sdist:
            tar.addfile(tarfile.TarInfo(f"toccata-0/{name}"), BytesIO())
    command = [sys.executable, "scripts/check_distributions.py", str(dist), str(tree)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == bool(done.stderr)
    return done.stderr.splitlines()


def test_what_is_as_it_should_be(repository: Path, tmp_path: Path) -> None:
    wheel = ["toccata/music/score.py", "toccata/cli.py", "toccata-0.dist-info/METADATA"]
    assert lines_of(repository, tmp_path, wheel, [*ALSO, "agents/runs/config.py"]) == []


def test_what_is_not(repository: Path, tmp_path: Path) -> None:
    wheel = ["toccata/music/score.py", "toccata/stray.py", "toccata-0.dist-info/METADATA"]
    assert lines_of(repository, tmp_path, wheel, [*ALSO[1:], "tests/test_cli.py", "music/__pycache__/score.pyc"]) == [
        "release: t.whl: lacks toccata/cli.py",
        "release: t.whl: has toccata/stray.py, which is none of the package",
        "release: t.tar.gz: lacks pyproject.toml",
        "release: t.tar.gz: has tests/test_cli.py",
        "release: t.tar.gz: has music/__pycache__/score.pyc",
    ]
