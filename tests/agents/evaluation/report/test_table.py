from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.pages import Page
from toccata.agents.evaluation.comparison import summarise
from toccata.agents.evaluation.report.families import FAMILIES, LIKE_REAL, Row, by_family, row_of
from toccata.agents.evaluation.report.table import MARKS, WIDTH, evaluation_table, range_plot
from toccata.music.metrics import METRICS
from toccata.music.score import Score
from toccata.reward_models.judges.panel import JUDGEMENTS


def estimate(low: float | None, mean: float, high: float | None) -> dict[str, Any]:
    return {"mean": mean, "low": low, "high": high}


def test_marks_lie_on_one_scale() -> None:
    """The scale is 0 to 10, from 8 to 162 of 170 pixels: 15.4 pixels a unit."""
    plot = range_plot({"agent": estimate(0, 5, 10)}, {"low": 2, "high": 4}, MARKS, "x")
    assert (WIDTH, '<rect x="37.8" width="32.8"' in plot) == (170, True)  # 8 + 2 * 15.4 - 1, 2 * 15.4 + 2
    assert 'd="M8.0 4.875H162.0"' in plot
    assert '<circle cx="85.0"' in plot


def test_far_random_play_is_an_arrow() -> None:
    near = {"agent": estimate(0, 1, 2), "random": estimate(3, 3.5, 4)}
    far = {"agent": estimate(0, 1, 2), "random": estimate(30, 35, 40)}
    assert "v6z" not in range_plot(near, None, MARKS, "x")
    assert f'd="M{WIDTH - 1} 17.875l-5 -3v6z"' in range_plot(far, None, MARKS, "x")
    assert "v6z" not in range_plot({"random": estimate(30, 35, 40)}, None, MARKS, "x")


@pytest.mark.parametrize("value", [0.0, 1.0, -5.0, 1e-300, 1e100, -1e100])
def test_a_scale_without_width(value: float) -> None:
    every = {name: estimate(None, value, None) for name in MARKS}
    for band in (None, {"low": value, "high": value}):
        plot = range_plot(every, band, MARKS, "x")
        assert "nan" not in plot
        assert 'cx="85.0"' in plot
    assert range_plot({}, None, MARKS, "x").endswith("</svg>")


def test_every_metric_has_a_family() -> None:
    for metric in (*METRICS, *JUDGEMENTS, "score/mine", "reward/total", "sibling_rating", "diversity", "vendi_score"):
        assert row_of(metric).family in FAMILIES[:-1], metric
        assert row_of(metric).description or metric == "score/mine"
    assert row_of("of_the_future").family == "other"
    families = by_family(["of_the_future", "polyphony", "score/x", "reward/total"])
    assert families == {"rewards": ["reward/total", "score/x"], "texture": ["polyphony"], "other": ["of_the_future"]}


def test_the_table_says_what_is_outside_in_words() -> None:
    values = {"polyphony": np.array([1.0, 3.0]), "<b>": np.array([0.0, 0.0])}
    real = {"polyphony": np.array([4.0, 5.0]), "<b>": np.array([0.0, 0.0])}
    summary = summarise({"agent": values, "reference": values, "random": values, "real": real}, 0)
    summary["vendi_score"] = {"agent": 1.5, "reference": 1.5, "random": 2.0, "real": 2.0}
    page = Page(evaluation_table(summary))
    assert page.text.count("▼ below real") == 1
    assert page.text.count("inside") == 1
    assert "<b>" in page.text  # a name, as text
    assert "vendi score" in page.text
    table = evaluation_table(summary)
    row = re.search(r"<tr><th[^>]*>polyphony.*?</tr>", table)
    assert row and row[0].count("<td") == 7
    assert 'role="region" tabindex="0"' in table


def test_a_registry_that_names_families_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def tension(score: Score) -> float:
        """Tension of a score, in [0, 1].

        More of it.
        """
        return 0.0

    registered = SimpleNamespace(function=tension, family="harmony", unit="share of beats")
    monkeypatch.setitem(METRICS, "tension", registered)
    assert row_of("tension") == Row("harmony", "share of beats", LIKE_REAL, "Tension of a score, in [0, 1].")
    registered.family = "of_the_future"
    assert row_of("tension").family == "other"
