"""How well anything could predict the doodle's counts from notes: `python benchmarks/label_noise.py melodies.jsonl`.

Three things in the number of sessions that typed a melody cannot be told from its notes: noise of counting, the size
of the country where no more than one country's count is known, and what people of one country know and others do not.
The shares of the variance of log(sessions) that they make up are estimated and taken off; the square root of what
remains bounds the correlation of any prediction.
"""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from toccata.stats import spearman

LEAST_NOTES = 8  # of the melodies that the shipped rating is fitted on
LEAST_SHARED = 50  # melodies that two countries must both list for their agreement to be counted


def label_noise(rows: list[dict]) -> dict[str, float]:
    """Variances of log(sessions), agreement between countries, and the bound."""
    countries = [row.get("by_country") or row.get("only_in") or {} for row in rows]
    sessions = np.array(
        [row.get("sessions") or sum(count for _, count in by.values()) for row, by in zip(rows, countries, strict=True)]
    )
    label = np.log(sessions)
    alone = np.array(
        [
            next(iter(by)) if not row.get("sessions") and len(by) == 1 else ""
            for row, by in zip(rows, countries, strict=True)
        ]
    )
    size = {country: label[alone == country].mean() for country in set(alone)}
    effect = np.array([size[country] for country in alone])
    single = alone != ""
    within = (label - effect)[single].var()
    agreement = _agreement(countries)
    shares = {
        "counting": float(np.mean(1 / sessions)),  # a Poisson number n has variance 1 / n in its logarithm
        "size of country": float(single.mean() * effect[single].var()),
        "taste of one country": float(single.mean() * within * (1 - agreement)),
    }
    return {
        "melodies": len(rows),
        "variance": float(label.var()),
        **shares,
        "agreement of countries": agreement,
        "bound of the correlation": float(np.sqrt(1 - sum(shares.values()) / label.var())),
    }


def _agreement(countries: list[dict]) -> float:
    """Mean rank correlation of the sessions of two countries over the melodies that both list, weighed by how many."""
    names = sorted({country for by in countries for country in by})
    found = []
    for one, other in combinations(names, 2):
        pairs = [(by[one][1], by[other][1]) for by in countries if one in by and other in by]
        if len(pairs) >= LEAST_SHARED:
            a, b = np.array(pairs, float).T
            found.append((spearman(a, b), len(pairs)))
    correlations, weights = np.array(found).T
    return float(np.average(correlations, weights=weights))


def main() -> None:
    """Print the figures."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if len(row["notes"]) >= LEAST_NOTES]
    for name, value in label_noise(rows).items():
        print(f"{name:26}{value:10.3f}")


if __name__ == "__main__":
    main()
