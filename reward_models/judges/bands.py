"""Bands: the range in which most real music lies, and how much of a piece lies inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LOW, HIGH = 5, 95  # percentiles of real music


@dataclass(frozen=True)
class Band:
    """A closed range of a value.

    Raises:
        ValueError: when it is not low <= high, or not finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low <= self.high):
            raise ValueError(f"a band needs finite low <= high, got {self.low} and {self.high}")

    def contains(self, values: np.ndarray) -> np.ndarray:
        """(n,) bool."""
        return (values >= self.low) & (values <= self.high)

    def distance(self, values: np.ndarray) -> np.ndarray:
        """(n,) distance of each value to the band, in its widths; 0 inside. A band without width counts as 1 wide."""
        outside = np.maximum(0.0, np.maximum(self.low - values, values - self.high))
        return outside / ((self.high - self.low) or 1.0)


def band_of(values: np.ndarray) -> Band:
    """The 5 to 95 % range of the values of real music, of which there must be some."""
    low, high = np.percentile(values, [LOW, HIGH])
    return Band(float(low), float(high))


def band_share(metrics: Mapping[str, np.ndarray], bands: Mapping[str, Band]) -> np.ndarray:
    """(n,) share of the metrics of each piece that lie in the bands of real music, in [0, 1].

    Of real pieces it is about 0.9. It says nothing about how metrics go together: see docs/judges.md.

    Args:
        metrics: (n,) values of n pieces by name.
        bands: by name of the metric; others are left out.
    """
    return np.mean([band.contains(metrics[name]) for name, band in bands.items()], axis=0)
