"""The documentation site builds without a warning, and no page of it asks for anything from outside."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocs", reason="of the extra docs")

from hooks import as_page, exported, outside_files, place_of, relinked

LOADED = {
    "script": "src",
    "img": "src",
    "audio": "src",
    "source": "src",
    "iframe": "src",
    "embed": "src",
    "object": "data",
}


class Addresses(HTMLParser):
    """What a page loads when it is opened, what it links to, and the ids that links can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if "id" in attributes:
            self.ids.add(attributes["id"])
        if tag in LOADED and attributes.get(LOADED[tag]):
            self.loaded.add(attributes[LOADED[tag]])
        if tag == "link" and attributes.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.add(attributes["href"])
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])

    handle_startendtag = handle_starttag


def test_the_site(repository: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    pages = {
        path: Addresses(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"
    }
    assert len(pages) > 40
    for path, page in pages.items():
        for address in page.loaded:
            assert not urlsplit(address).scheme or address.startswith("data:"), f"{path}: {address[:80]}"
            assert not address.startswith("//"), f"{path}: {address}"
        for address in page.loaded | page.links:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path}: {address}"
            if parts.fragment and target in pages and path.is_relative_to(site / "tutorials"):
                assert unquote(parts.fragment) in pages[target].ids, f"{path}: {address}"
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", path.read_text(encoding="utf-8")), path
    home = (site / "index.html").read_text(encoding="utf-8")
    assert '<audio controls preload="none" src="audio/piece.ogg"' in home
    text = re.sub(r"<[^>]+>", "", home.partition("<article")[2])
    assert text.index("pip install") < text.index("hear it") < text.index("toccata compose")
    assert "mermaid" not in "".join(path.read_text(encoding="utf-8") for path in pages)  # its script is from outside
    assert "PianoEnv" in (site / "api/toccata.envs.html").read_text(encoding="utf-8")
    assert "var __index" in (site / "search/search_index.js").read_text(encoding="utf-8")  # of pages opened as files


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("docs/rating.md", "rating.md"),
        ("docs/tutorials/index.md", "tutorials/index.md"),
        ("CONTRIBUTING.md", "repository/CONTRIBUTING.md"),
        ("examples/sweep.py", "repository/examples/sweep.py.md"),
        ("docs/audio/piece.mid", "audio/piece.mid"),
    ],
)
def test_place_of(path: str, place: str) -> None:
    assert place_of(path) == place


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("docs/a.md", "[b](b.md#c) [d](../examples/sweep.py)", "[b](b.md#c) [d](repository/examples/sweep.py.md)"),
        ("docs/tutorials/a.md", "[b](../b.md)", "[b](../b.md)"),
        ("CONTRIBUTING.md", "[a](docs/a.md)", "[a](../a.md)"),
        ("README.md", "[folder](music) [page](docs/index.md)", "folder [page](../index.md)"),
        ("docs/a.md", "[w](https://example.org) [h](#here)", "[w](https://example.org) [h](#here)"),
        ("docs/a.md", "![p](images/piece.png)", "![p](images/piece.png)"),
    ],
)
def test_links_as_they_are_in_the_site(path: str, text: str, expected: str) -> None:
    assert relinked(text, path) == expected


def test_files_outside_docs_are_found_through_each_other(repository: Path) -> None:
    found = outside_files({"docs/a.md": "[x](../examples/sweep.py) [y](nowhere.md)\n```sh\n[no](../LICENSE)\n```\n"})
    assert {"examples/sweep.py", "CONTRIBUTING.md", "CHANGELOG.md"} <= set(found)
    assert found["examples/sweep.py"] == as_page(repository / "examples/sweep.py")
    assert found["examples/sweep.py"].startswith("# sweep.py\n\n```py\n")
    assert not any(path.startswith("docs/") for path in found)


def test_what_a_package_exports() -> None:
    assert exported("agents")["ComposerPPO"] == "toccata.agents.ppo.composer_ppo"
    assert exported("envs")["PianoEnv"] == "toccata.envs.env"
