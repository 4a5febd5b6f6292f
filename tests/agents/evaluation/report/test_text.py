from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.agents.evaluation.report.text import between, decimals_of, number, safe


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1, "1.00"),
        (-0.123456, "−0.123"),
        (0.0123, "0.0123"),
        (3.14159, "3.14"),
        (99.96, "100.0"),
        (1234.5, "1,234"),
        (5e-5, "5.0e−05"),
        (2e6, "2.00e+06"),
        (-3e100, "−3.00e+100"),
        (float("nan"), "none"),
        (float("inf"), "none"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_row_has_one_number_of_decimals() -> None:
    decimals = decimals_of([0.5, 12.34, float("nan")])
    assert decimals == 1
    assert [number(value, decimals) for value in (12.34, 0.5, -0.04, 0)] == ["12.3", "0.5", "0.0", "0"]
    assert between(-0.001, 0.25, 2) == "0.00 to 0.25"
    assert decimals_of([]) == decimals_of([0.0, 1e-9]) == 0


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 4))
def test_zero_has_no_sign(value: float, decimals: int) -> None:
    for text in (number(value), number(value, decimals)):
        assert not (text.startswith("−") and not text.strip("−0.,"))
        assert "-" not in text


@given(st.text())
def test_no_text_is_html(text: str) -> None:
    tags: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert [name for name, _ in attrs] == ["title"]

    Parser().feed(f'<p title="{safe(text)}">{safe(text)}')
    assert tags == ["p"]


def test_the_home_folder_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    assert safe("/home/ada/runs/x<1>") == "~/runs/x&lt;1&gt;"
    assert safe("caf\udce9\n") == "caf\\xe9\\n"
    assert len(safe("x" * 10_000)) < 2100
