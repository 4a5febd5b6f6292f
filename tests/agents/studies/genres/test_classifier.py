"""The classifier of genres, on features with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from toccata.agents.studies.genres.classifier import accuracy, calibration_error, fit_classifier, log_loss

GENRES = ("classical", "folk", "jazz")


def clusters(count: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three normal clusters in five dimensions, of which two tell the class."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 3
    centres = np.array([[0, 0], [4, 0], [0, 4]])[classes]
    features = np.concatenate((centres + spread * rng.normal(size=(count, 2)), rng.normal(size=(count, 3))), axis=1)
    return features * [1, 100, 1, 0.01, 1], classes


def test_clusters_are_told_apart():
    classifier = fit_classifier(clusters(300, 0.5, 0), clusters(90, 0.5, 1), GENRES)
    features, classes = clusters(300, 0.5, 2)
    found = accuracy(classifier, features, classes, np.arange(300) // 6, np.random.default_rng(0))
    assert found.share.mean > 0.98
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1)
    assert found.calibration_error < 0.05
    assert found.log_loss < 0.1


def test_noise_has_probabilities_near_the_frequencies():
    rng = np.random.default_rng(0)
    train, valid, test = (rng.normal(size=(count, 20)) for count in (90, 900, 900))
    classifier = fit_classifier((train, np.arange(90) % 3), (valid, np.arange(900) % 3), GENRES)
    probabilities = classifier.probabilities(test)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.abs(probabilities - 1 / 3).mean() < 0.1
    assert log_loss(classifier.logits(test), np.arange(900) % 3) == pytest.approx(np.log(3), abs=0.05)


def test_calibrated_on_overlapping_clusters():
    classifier = fit_classifier(clusters(300, 2.0, 0), clusters(300, 2.0, 1), GENRES)
    features, classes = clusters(3000, 2.0, 2)
    assert calibration_error(classifier.probabilities(features), classes) < 0.06


def test_a_rare_class_counts_as_much_as_others():
    features, classes = clusters(300, 1.0, 0)
    keep = (classes != 2) | (np.arange(300) < 30)
    classifier = fit_classifier((features[keep], classes[keep]), clusters(300, 1.0, 1), GENRES)
    found = classifier.probabilities(clusters(300, 1.0, 2)[0]).argmax(axis=1)
    assert (found == 2).mean() == pytest.approx(1 / 3, abs=0.05)


def test_features_far_outside_give_no_certainty_beyond_the_range():
    classifier = fit_classifier(clusters(300, 0.5, 0), clusters(90, 0.5, 1), GENRES)
    far = np.full((1, 5), 1e12)
    assert np.isfinite(classifier.logits(far)).all()
    np.testing.assert_array_equal(classifier.logits(far), classifier.logits(far * 10))


def test_calibration_error_has_known_values():
    sure = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert calibration_error(sure, np.array([0, 0, 0, 0])) == 0
    assert calibration_error(sure, np.array([0, 0, 1, 1])) == pytest.approx(0.5)
    assert calibration_error(np.empty((0, 2)), np.empty(0, int)) == 0


def test_a_genre_without_pieces_is_named():
    features, classes = clusters(30, 0.5, 0)
    with pytest.raises(ValueError, match="no training piece of genre jazz"):
        fit_classifier((features[classes < 2], classes[classes < 2]), (features, classes), GENRES)
