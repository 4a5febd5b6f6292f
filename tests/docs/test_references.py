"""Whoever a page or docstring cites for a formula is on the references page."""

import re

import pytest
from pages import DOCS, ROOT

CITATION = r"\b([A-Z]\w+)(?: et al\.| & [A-Z]\w+)?,? \(?((?:19|20)\d\d)(?!\d|\.\d)"
ROWS = (DOCS / "references.md").read_text(encoding="utf-8").splitlines()


def cited(text: str) -> set[tuple[str, str]]:
    """A surname and the year of each citation."""
    return set(re.findall(CITATION, text))


def missing(citations: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those that no row of the references has."""
    return {each for each in citations if not any(all(part in row for part in each) for row in ROWS)}


def test_citations_are_found() -> None:
    text = (
        "Source: Wu & Yang 2020, so Gao et al. (2022) and Yin, Reuben & Collins 2022, as Vitter 1985. arXiv 1909.08593"
    )
    assert cited(text) == {("Wu", "2020"), ("Gao", "2022"), ("Reuben", "2022"), ("Vitter", "1985")}
    assert missing({("Wu", "2020"), ("Nobody", "2020")}) == {("Nobody", "2020")}


@pytest.mark.parametrize(
    "page", ["metrics", "sets", "agents", "overoptimisation", "originality", "notation", "rewards"]
)
def test_the_sources_of_a_page_are_references(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert not missing(cited(text))


def test_the_sources_of_the_formulas_of_metrics_and_losses_are_references() -> None:
    sources = set()
    for folder in ("music/metrics", "agents/ppo", "agents/rivals", "reward_models/combination"):
        for path in (ROOT / folder).rglob("*.py"):
            for line in re.findall(r"Sources?: (.*)", path.read_text(encoding="utf-8")):
                sources |= cited(line)
    assert len(sources) > 20
    assert not missing(sources)
