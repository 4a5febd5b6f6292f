from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.agents.rivals.image_gan.quality import mse_table, picture_figures


def pictures(*pixels: list[float]) -> np.ndarray:
    """Pictures of one row."""
    return np.array(pixels, np.float32)[:, None]


def test_known_squared_errors() -> None:
    error = mse_table({"ours": pictures([1, 0], [0, 0])}, {"real": pictures([1, 0], [1, 1])})["ours"]["real"]
    assert error.pairs == pytest.approx((0 + 1 + 1 + 2) / 4 / 2)
    assert error.nearest == pytest.approx((0 + 1) / 2 / 2)
    assert error.between_means == pytest.approx((0.25 + 0.25) / 2)
    assert (error.output_variance, error.set_variance) == pytest.approx((0.125, 0.125))


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_the_mean_over_pairs_is_that_of_the_definition(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 3, 4)), rng.random((m, 3, 4))
    of_pairs = ((x[:, None] - y[None]) ** 2).mean(axis=(2, 3))
    error = mse_table({"x": x}, {"y": y})["x"]["y"]
    assert error.pairs == pytest.approx(of_pairs.mean())
    assert error.nearest == pytest.approx(of_pairs.min(axis=1).mean())


def test_the_emptiest_set_is_the_nearest_to_every_output() -> None:
    rng = np.random.default_rng(0)
    sets = {
        name: (rng.random((50, 20, 20)) < share).astype(np.float32)
        for name, share in (("sparse", 0.02), ("dense", 0.1))
    }
    outputs = {
        "black": np.zeros((10, 20, 20)),
        "like sparse": (rng.random((50, 20, 20)) < 0.02).astype(np.float32),
        "like dense": (rng.random((50, 20, 20)) < 0.1).astype(np.float32),
    }
    for errors in mse_table(outputs, sets).values():
        assert errors["sparse"].pairs < errors["dense"].pairs


def test_sets_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"real: needs \(n, height, width\) pictures, got an array of shape"):
        mse_table({"ours": pictures([0, 1])}, {"real": np.empty((0, 1, 2))})
    with pytest.raises(ValueError, match="must have one size"):
        mse_table({"ours": pictures([0, 1])}, {"real": pictures([0, 1, 1])})


def test_figures_of_pictures() -> None:
    same = picture_figures(pictures([1, 0.5, 1, 0], [1, 0.5, 1, 0]))
    assert (same.notes, same.sounding, same.distance) == pytest.approx((2, 0.75, 0))
    assert same.effective == pytest.approx(1)
    apart = picture_figures(pictures([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]))
    assert (apart.distance, apart.effective) == pytest.approx((1, 3))
    alone = picture_figures(pictures([0.3, 0.3, 0, 0]))
    assert (alone.notes, alone.distance, alone.effective) == pytest.approx((1, 0, 1))
