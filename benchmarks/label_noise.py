"""Upper bound for predictions of the Bach Doodle's counts: `python benchmarks/label_noise.py melodies.jsonl`.

Three components of the number of sessions that entered a melody cannot be predicted from its notes: counting noise, the
size of the country where only one country's count is available, and preferences of single countries. Their shares of
the variance of log(sessions) are estimated and subtracted; the square root of the rest bounds the correlation of any
prediction.
"""

from __future__ import annotations

import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from toccata.stats import spearman

MIN_NOTES = 8  # of the melodies that the shipped rating is fitted to
MIN_SHARED = 50  # melodies in the lists of two countries for their rank correlation to be used


def label_noise(rows: list[dict]) -> dict[str, float]:
    """Variance of log(sessions) and of its noise components, agreement between countries, and the bound."""
    countries = [row.get("by_country") or row.get("only_in") or {} for row in rows]
    sessions = np.array(
        [
            row.get("sessions") or sum(count for _, count in by_country.values())
            for row, by_country in zip(rows, countries, strict=True)
        ]
    )
    label = np.log(sessions)
    only_country = np.array(
        [
            next(iter(by_country)) if not row.get("sessions") and len(by_country) == 1 else ""
            for row, by_country in zip(rows, countries, strict=True)
        ]
    )
    country_mean = {country: label[only_country == country].mean() for country in set(only_country)}
    size_effect = np.array([country_mean[country] for country in only_country])
    single = only_country != ""
    within = (label - size_effect)[single].var()
    agreement = _country_agreement(countries)
    components = {
        "counting": float(np.mean(1 / sessions)),  # the logarithm of a Poisson count n has variance 1 / n
        "size of country": float(single.mean() * size_effect[single].var()),
        "preferences of one country": float(single.mean() * within * (1 - agreement)),
    }
    return {
        "melodies": len(rows),
        "variance": float(label.var()),
        **components,
        "agreement of countries": agreement,
        "bound of the correlation": float(np.sqrt(1 - sum(components.values()) / label.var())),
    }


def _country_agreement(countries: list[dict]) -> float:
    """Mean rank correlation of the sessions of two countries over the melodies that both list, weighted by number."""
    names = sorted({country for by_country in countries for country in by_country})
    results = []
    for one, other in combinations(names, 2):
        pairs = [(by[one][1], by[other][1]) for by in countries if one in by and other in by]
        if len(pairs) >= MIN_SHARED:
            a, b = np.array(pairs, float).T
            results.append((spearman(a, b), len(pairs)))
    correlations, weights = np.array(results).T
    return float(np.average(correlations, weights=weights))


def main() -> None:
    """Print the results."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if len(row["notes"]) >= MIN_NOTES]
    for name, value in label_noise(rows).items():
        print(f"{name:26}{value:10.3f}")


if __name__ == "__main__":
    main()
