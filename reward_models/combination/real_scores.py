"""What a reward model says of real music: thresholds and scales that combinations of rewards take from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

PERCENTILE = 5  # of real pieces: the threshold of a constraint, which nineteen of twenty pass


@dataclass(frozen=True)
class RealScores:
    """Statistics of the scores of real pieces by one reward model.

    Raises:
        ValueError: for a number that is not finite, or a negative standard deviation.
    """

    low: float  # the 5th percentile
    median: float
    mean: float
    std: float  # standard deviation; 0 when all scores are equal

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
                raise ValueError(f"{field.name} of real scores must be a finite number, got {value!r}")
        if self.std < 0:
            raise ValueError(f"std of real scores must be at least 0, got {self.std}")

    @classmethod
    def of(cls, scores: np.ndarray) -> RealScores:
        """The statistics of at least one score.

        Raises:
            ValueError: without a score.
        """
        if not len(scores):
            raise ValueError("statistics of real scores need at least one real piece")
        values = np.asarray(scores, np.float64)
        std = float(values.std()) if (values != values[0]).any() else 0.0  # not the rounding of equal scores
        return cls(float(np.percentile(values, PERCENTILE)), float(np.median(values)), float(values.mean()), std)

    @classmethod
    def from_data(cls, data: Any) -> RealScores:
        """The inverse of `dataclasses.asdict`.

        Raises:
            ValueError: for anything else.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(data, Mapping) or set(data) != names:
            raise ValueError(f"real scores have {', '.join(sorted(names))}, got {str(data)[:100]}")
        return cls(**data)
