"""Ranges of the numbers in configurations, and the error for what lies outside."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from toccata.errors import ToccataError


class ConfigError(ToccataError, RuntimeError):  # no ValueError: of those tyro makes a box of several lines
    """A configuration that cannot be run; the message says which field and what is allowed."""


@dataclass(frozen=True)
class Range:
    """What a number in a configuration may be."""

    low: float
    high: float = inf
    whole: bool = True
    open_low: bool = False  # greater than `low`, not `low` itself

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError naming the field when `value` is not such a number."""
        number = isinstance(value, int if self.whole else (int, float)) and not isinstance(value, bool)
        if number and self.low <= value <= self.high and isfinite(value) and not (self.open_low and value == self.low):
            return
        kind = "a whole number" if self.whole else "a number"
        least = f"greater than {self.low:g}" if self.open_low else f"at least {self.low:g}"
        most = "" if self.high == inf else f" and at most {self.high:g}"
        raise ConfigError(f"{name} must be {kind}, {least}{most}, got {value!r}")
