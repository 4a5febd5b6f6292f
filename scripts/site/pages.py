"""Pages of the documentation as prose and fenced blocks, to run them and to make notebooks of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIALS = DOCS / "tutorials"
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A part of a page: prose, where `language` is None, or a fenced block."""

    language: str | None
    text: str
    marks: tuple[str, ...] = ()

    @property
    def file(self) -> str | None:
        """The name of the file of the reader's that the block is, as `file=NAME` says after its language."""
        return next((mark.removeprefix("file=") for mark in self.marks if mark.startswith("file=")), None)


def blocks(page: str) -> list[Block]:
    """The parts of a page in their order; joined with their fences they are the page."""
    found, end = [], 0
    for match in FENCE.finditer(page):
        if match.start() > end:
            found.append(Block(None, page[end : match.start()]))
        found.append(Block(match[1], match[3], tuple(match[2].split())))
        end = match.end()
    if page[end:]:
        found.append(Block(None, page[end:]))
    return found


def tutorials() -> list[Path]:
    """The pages that are tutorials, in alphabetical order."""
    return sorted(path for path in TUTORIALS.glob("*.md") if path.name != "index.md")


def toy_sizes() -> dict[str, Any]:
    """What docs/tutorials/toy.toml says."""
    with (TUTORIALS / "toy.toml").open("rb") as file:
        return tomllib.load(file)


def at_toy_size(shell: str, sizes: Mapping[str, Mapping[str, Any]]) -> str:
    """Shell commands at the size of a test.

    Args:
        shell: text of a `sh` block; lines that go on after a backslash are joined.
        sizes: `replace`, numbers by flag, which take the place of those in the text; `append`, options by command, each
            put at the end of that command where the text does not have the flag.
    """
    shell = re.sub(r"\s*\\\n\s*", " ", shell)
    for flag, number in sizes["replace"].items():
        shell = re.sub(rf"(?<=\s{flag} )[\w.]+", str(number), shell)

    def appended(match: re.Match[str]) -> str:
        command, options = match[0], sizes["append"].get(match[1], {})
        return command + "".join(
            f" {flag} {value}" for flag, value in options.items() if f"{flag} " not in f"{command} "
        )

    return re.sub(r"toccata ([a-z-]+)[^;#\n]*?(?=\s*(?:;|#|$))", appended, shell, flags=re.MULTILINE)
