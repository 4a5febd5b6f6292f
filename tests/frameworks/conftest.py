"""The scripts of docs/frameworks.md, by name."""

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scripts(repository: Path) -> dict[str, str]:
    """The files of the page: name to text."""
    page = (repository / "docs" / "frameworks.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
