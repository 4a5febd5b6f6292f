"""What mkdocs does to the pages of docs/, which are written for GitHub, when it makes a site of them.

Files of the repository that pages link to are part of the site; pages of the API are made from `__all__` of packages;
links to sounds become players.
"""

from __future__ import annotations

import ast
import html
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "build" / "site-package" / "toccata"  # laid out as it is installed, where mkdocstrings looks
FOLDERS = ("music", "envs", "reward_models", "agents", "listening")
API = ("music", "music.metrics", "envs", "reward_models", "agents")  # packages whose `__all__` is documented
ALSO = ("CONTRIBUTING.md", "CHANGELOG.md")  # in the navigation
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
SOUND = re.compile(r'<a href="([^"]+\.(?:ogg|wav|mp3))"[^>]*>(.*?)</a>', re.DOTALL)


def on_startup(**_: Any) -> None:
    """Lay the package out as it is installed."""
    shutil.rmtree(PACKAGE.parent, ignore_errors=True)
    for source in [*(ROOT / "src" / "toccata").iterdir(), *(ROOT / folder for folder in FOLDERS)]:
        if source.is_symlink() or source.name == "__pycache__":
            continue
        if source.is_dir():
            shutil.copytree(source, PACKAGE / source.name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
        else:
            PACKAGE.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, PACKAGE)


# Files of the repository outside docs/


def place_of(path: str) -> str:
    """Where a file of the repository is in the site, by its path from the root: `docs/` itself is the site's root."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    shown_as_page = path.endswith((".py", ".json")) or path == "LICENSE"
    return f"repository/{path}{'.md' if shown_as_page else ''}"


def linked(text: str, path: str) -> Iterator[str]:
    """Paths from the root of the repository of the files that a page links to; `path` is that of the page."""
    for _, target, _ in LINK.findall(without_code(text)):
        yield posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def without_code(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def relinked(text: str, path: str) -> str:
    """A page with its links as they are in the site; those to folders, which the site does not have, are left out."""
    folder = posixpath.dirname(place_of(path))

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
        return match[1] + posixpath.relpath(place_of(target), folder or ".") + match[3]

    def to_folder(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
        return match[1] if (ROOT / target).is_dir() else match[0]

    text = re.sub(r"\[([^\]]*)\]\(([^)\s#:]+)\)", to_folder, text)
    return LINK.sub(link, text)


def as_page(path: Path) -> str:
    """The Markdown of a file that is shown as a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return f"# {path.name}\n\n```{path.suffix.removeprefix('.') or 'text'}\n{text.rstrip()}\n```\n"


def outside_files(pages: dict[str, str]) -> dict[str, str]:
    """Markdown by path of the files outside docs/ that these pages link to, directly or not, and of `ALSO`."""
    found: dict[str, str] = {}
    waiting = [*ALSO, *(target for path, text in pages.items() for target in linked(text, path))]
    while waiting:
        path = waiting.pop()
        if path in found or path.startswith(("docs/", "..")) or not (ROOT / path).is_file():
            continue
        found[path] = as_page(ROOT / path)
        waiting += linked(found[path], path)
    return found


# API


def exported(package: str) -> dict[str, str]:
    """The names in `__all__` of a package of Toccata, with the module that each is imported from."""
    source = ROOT / package.replace(".", "/") / "__init__.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    modules = {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__"
    )
    return {name: modules.get(name, f"toccata.{package}") for name in names}


def api_page(package: str) -> str:
    """A page with the docstring of a package and of everything in its `__all__` that no package before it has."""
    source = ROOT / package.replace(".", "/") / "__init__.py"
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    parts = [f"# toccata.{package}\n\n{docstring}\n"]
    earlier = {place: each for each in API[: API.index(package)] for place in exported(each).items()}
    for name, module in exported(package).items():
        if (name, module) in earlier:
            page = f"toccata.{earlier[name, module]}"
            parts.append(f"`{name}` is documented as [`{page}.{name}`]({page}.md#{module}.{name}).\n")
            continue
        is_module = (ROOT / module.removeprefix("toccata.").replace(".", "/") / f"{name}.py").is_file()
        options = "\n    options:\n      members: true" if is_module else ""
        parts.append(f"::: {module}.{name}{options}\n")
    return "\n".join(parts)


# What mkdocs calls


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages of the API and the files outside docs/ that are linked to."""
    pages = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    for path, text in outside_files(pages).items():
        files.append(File.generated(config, place_of(path), content=relinked(text, path)))
    for package in API:
        files.append(File.generated(config, f"api/toccata.{package}.md", content=api_page(package)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Write fences and links as mkdocs reads them."""
    if not page.file.src_uri.startswith(("repository/", "api/")):
        markdown = relinked(markdown, f"docs/{page.file.src_uri}")
    markdown = re.sub(r"^```(\w+) file=(\S+)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
    return re.sub(r"^```(\w+) no-run$", r"```\1", markdown, flags=re.MULTILINE)


def on_page_content(content: str, **_: Any) -> str:
    """Put players below the paragraphs that link to sounds, and beside such links in lists and tables."""

    def players(part: str) -> str:
        found = [(place, html.escape(re.sub(r"<[^>]+>", "", text), quote=True)) for place, text in SOUND.findall(part)]
        return "".join(
            f'<audio controls preload="none" src="{place}" aria-label="{label}"></audio>' for place, label in found
        )

    return re.sub(rf"<p>.*?</p>|{SOUND.pattern}", lambda match: match[0] + players(match[0]), content, flags=re.DOTALL)
