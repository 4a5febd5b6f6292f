from __future__ import annotations

import numpy as np
import pytest

from toccata.reward_models.judges.bands import Band, band_of, band_share


def test_distance_is_in_widths_of_the_band() -> None:
    band = Band(2.0, 4.0)
    assert band.distance(np.array([2.0, 3.0, 4.0, 5.0, 1.0, 8.0])).tolist() == [0, 0, 0, 0.5, 0.5, 2]
    assert band.contains(np.array([1.9, 2.0, 4.0, 4.1])).tolist() == [False, True, True, False]


def test_a_band_without_width_has_width_one() -> None:
    assert Band(1.0, 1.0).distance(np.array([1.0, 1.5])).tolist() == [0, 0.5]


def test_the_band_of_real_music_holds_nine_tenths() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    assert band_of(values).contains(values).mean() == pytest.approx(0.9, abs=0.002)


@pytest.mark.parametrize(("low", "high"), [(2.0, 1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_impossible_bands_are_errors(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="a band needs finite low <= high"):
        Band(low, high)


def test_band_share() -> None:
    metrics = {"a": np.array([0.5, 2.0]), "b": np.array([0.0, 9.0]), "unknown": np.array([7.0, 7.0])}
    assert band_share(metrics, {"a": Band(0, 1), "b": Band(-1, 1)}).tolist() == [1, 0]
