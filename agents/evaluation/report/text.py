"""Text and numbers in pages: everything from files is escaped, and numbers have three significant digits."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import floor, isfinite, log10
from pathlib import Path

from toccata.errors import shortened

LONGEST = 2000  # characters of one text from a file
MINUS = "\N{MINUS SIGN}"
DIGITS = 3  # significant ones
MAX_DECIMALS = 4


def safe(text: object, longest: int = LONGEST) -> str:
    """A text in one line of HTML, also in an attribute; the user's home folder is written as ~."""
    line, home = str(text), str(Path.home())
    return escape(shortened(line.replace(home, "~") if len(home) > 1 else line, longest))


def decimals_of(values: Iterable[float]) -> int:
    """Decimals with which the largest of the values has `DIGITS` significant digits; of zeros 0."""
    largest = max((abs(value) for value in values if isfinite(value)), default=0.0)
    if largest < 10.0**-MAX_DECIMALS:
        return 0
    return min(max(DIGITS - 1 - floor(log10(largest)), 0), MAX_DECIMALS)


def number(value: float, decimals: int | None = None) -> str:
    """A number; by default with `DIGITS` significant digits. Zero has no sign; beyond a million it has an exponent."""
    if not isfinite(value):
        return "none"
    if value == 0:
        return "0"
    if decimals is None:
        if 0 < abs(value) < 1e-3:
            return f"{value:.1e}".replace("-", MINUS)
        decimals = decimals_of([value])
    text = f"{value:,.{decimals}f}" if abs(value) < 1e6 else f"{value:.2e}"
    return text.removeprefix("-") if not text.strip("-0.,") else text.replace("-", MINUS)


def between(low: float, high: float, decimals: int | None = None) -> str:
    """`0.12 to 0.34`."""
    return f"{number(low, decimals)} to {number(high, decimals)}"


def listed(items: Iterable[str]) -> str:
    """Items of HTML as a list."""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"
