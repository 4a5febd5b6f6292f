from __future__ import annotations

import numpy as np
import pytest

from toccata.reward_models.judges.ensemble import fit_ensemble


def test_least_squares_finds_a_sum() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (800, 4))
    targets = features[:, 0] - features[:, 1]
    ensemble = fit_ensemble(features[:600], targets[:600], logistic=False, steps=200, seed=0)
    predicted = ensemble.predict(features[600:])
    assert np.corrcoef(predicted, targets[600:])[0, 1] > 0.95
    again = fit_ensemble(features[:600], targets[:600], logistic=False, steps=200, seed=0)
    assert np.array_equal(again.predict(features[600:]), predicted)


def test_logistic_outputs_are_log_odds() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(600) < 0.5
    features = rng.normal(size=(600, 3)) + 4 * labels[:, None]
    ensemble = fit_ensemble(features, labels.astype(float), logistic=True, steps=200, seed=0)
    assert ((ensemble.predict(features) > 0) == labels).mean() > 0.97


def test_weights_say_what_is_drawn() -> None:
    features = np.array([[0.0], [0.0]])
    ensemble = fit_ensemble(
        features, np.array([1.0, 5.0]), logistic=False, steps=300, seed=0, weights=np.array([1.0, 0.0])
    )
    assert ensemble.predict(features) == pytest.approx([1, 1], abs=0.3)
