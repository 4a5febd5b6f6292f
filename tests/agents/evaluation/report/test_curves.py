from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.pages import Page
from toccata.agents.evaluation.report.curves import MAX_POINTS, Line, chart, constant_of, curves_section, ticks


def line(values: list[float], **band: np.ndarray) -> Line:
    return Line(np.arange(len(values), dtype=float) * 100, np.array(values, float), "red", **band)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 10, [0, 5, 10]),
        (1.1, 2.9, [1, 1.5, 2, 2.5, 3]),
        (-0.15, 0, [-0.15, -0.1, -0.05, 0]),
        (3, 3, [3, 4]),
        (0, 0, [0, 0.5]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high)[0] == pytest.approx(expected[0])
    if low < high:
        assert ticks(low, high) == pytest.approx(expected)


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_ticks_enclose_what_they_mark(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)
    tolerance = 1e-6 * max(abs(low), abs(high), 1e-200)
    assert 2 <= len(found) <= 7
    assert found[0] <= low + tolerance
    assert found[-1] >= high - tolerance
    assert all(a < b for a, b in pairwise(found))
    drawn = chart("reward/x", [line([low, high])], {})
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_constants_are_words() -> None:
    curves = {
        "kl/coef": [line([0.01] * 3)],
        "kl/nats_per_piece": [line([0, 1, 2])],
        "music/polyphony": [line([1, 2, 3])],
    }
    section = curves_section(curves, {"music/polyphony": {"real": 3.5}})
    assert "Constant in training: kl/coef 0.0100." in section
    assert section.count("<figure") == 2
    assert section.count("<details open") == 1  # of the first two groups one has curves
    assert section.count("stroke-dasharray") == 1
    assert "from 0 to 2.00" in section
    Page(section)
    assert curves_section({}, {}) == ""


def test_long_curves_are_averaged() -> None:
    values = np.arange(10 * MAX_POINTS + 3, dtype=float)
    short = Line(values, values, "red", values - 1, values + 1).shortened()
    assert len(short.steps) <= MAX_POINTS
    assert short.values[0] == values[: len(values) // len(short.steps) + 1][:11].mean()
    assert short.low is not None and short.high is not None
    assert (short.low[0], short.high[-1]) == (-1, values[-1] + 1)
    assert line([1, 2]).shortened().values.tolist() == [1, 2]


def test_bands_are_drawn() -> None:
    assert "<polygon" in chart("x", [line([1, 2], low=np.array([0, 1.0]), high=np.array([2, 3.0]))], {})
    assert constant_of([line([1, 1], low=np.array([0, 1.0]), high=np.array([2, 3.0]))]) is None
    assert constant_of([line([1, 1]), line([1, 1])]) == 1
