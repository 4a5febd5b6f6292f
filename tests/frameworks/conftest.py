"""The scripts of docs/frameworks.md and docs/scale.md, by name."""

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scripts(repository: Path) -> dict[str, str]:
    """The files of the pages: name to text."""
    pages = [(repository / "docs" / name).read_text(encoding="utf-8") for name in ("frameworks.md", "scale.md")]
    return dict(re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", "\n".join(pages), re.DOTALL | re.MULTILINE))
