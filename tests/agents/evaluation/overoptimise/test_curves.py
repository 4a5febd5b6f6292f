"""The curves of Gao et al. 2022."""

from __future__ import annotations

import numpy as np
import pytest

from toccata.agents.evaluation.overoptimise.curves import CurveRun, curve, fit_curve, fit_runs, peak_kl, why_not


@pytest.mark.parametrize("kind", ["rl", "best-of-n"])
def test_a_fit_recovers_its_curve(kind: str) -> None:
    d = np.linspace(0, 8, 20)
    gain = curve(d, 0.7, 0.2, kind)  # type: ignore[arg-type]  # parametrised
    assert gain[0] == 0
    assert gain[-1] == pytest.approx(8 * (0.7 - 0.2 * (8 if kind == "best-of-n" else np.log(8))))
    assert fit_curve(d, gain, kind) == pytest.approx((0.7, 0.2))  # type: ignore[arg-type]  # as above


def runs(count: int, spread: float, distances: tuple[float, ...] = (1.0, 2.0, 4.0, 6.0)) -> list[CurveRun]:
    rng, made = np.random.default_rng(0), []
    for _ in range(count):
        alpha = 0.7 + spread * rng.normal()
        gains = curve(np.array(distances), alpha, 0.2, "rl")
        values = tuple(1 + gain + 0.1 * rng.normal(size=200) for gain in gains)
        kl = tuple(distance**2 + rng.normal(size=200) for distance in distances)
        made.append(CurveRun(1 + 0.1 * rng.normal(size=500), values, kl))
    return made


def test_a_fit_of_runs_has_intervals() -> None:
    rng = np.random.default_rng(0)
    pieces, seeds = fit_runs(runs(2, 0.0), rng), fit_runs(runs(6, 0.1), rng)
    for each in (pieces, seeds):
        assert each["alpha"]["low"] < 0.7 < each["alpha"]["high"]
        assert each["beta"]["low"] < 0.2 < each["beta"]["high"]
    assert (pieces["resampled"], seeds["resampled"]) == ("pieces", "runs and pieces")
    assert len(pieces["points"]) == 8
    assert pieces["rms"] < 0.05
    width = [each["alpha"]["high"] - each["alpha"]["low"] for each in (pieces, seeds)]
    assert width[1] > 1.5 * width[0]


def test_few_points_have_no_fit() -> None:
    found = fit_runs(runs(1, 0.0, (1.0, 4.0)), np.random.default_rng(0))
    assert found["reason"] == "2 models are at least 0.1 from the start in sqrt(KL), a fit needs 4"
    assert "alpha" not in found
    assert why_not(np.array([[4.0, 1.0], [4.1, 1.0], [4.2, 1.1], [4.3, 1.0]])) is not None
    assert why_not(np.array([[1.0, 1.0], [2.1, 1.0], [4.2, 1.1], [4.3, 1.0]])) is None


def test_where_a_curve_is_highest() -> None:
    kl = peak_kl(0.7, 0.3)
    assert kl is not None
    d = np.sqrt(kl) + np.array([-0.01, 0, 0.01])
    assert curve(d, 0.7, 0.3, "rl").argmax() == 1
    assert peak_kl(0.7, -0.1) is None
