"""A classifier of genres: multinomial logistic regression on features of pieces, calibrated on other works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from toccata.stats import RESAMPLES, Interval, percentile_interval

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # half the squared norm of the weights times this, beside the mean loss
BINS = 10  # of confidence
LOG_TEMPERATURES = (-1.0, 3.0)  # few pieces that are all right would ask for no bound below
FAR = 5.0  # standard deviations that a feature counts at most: those of generated pieces may be far outside


@dataclass(frozen=True)
class GenreClassifier:
    """Probabilities of genres given features.

    Attributes:
        genres: the classes, in the order of the columns.
        mean, scale: (d,) of the features of the training pieces.
        weights: (d, genres).
        bias: (genres,).
        temperature: that the logits are divided by.
    """

    genres: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    temperature: float = 1.0

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(n, genres) for features (n, d)."""
        standard = np.clip((features - self.mean) / self.scale, -FAR, FAR)
        return (standard @ self.weights + self.bias) / self.temperature

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(n, genres) for features (n, d), with rows that sum to 1."""
        return np.asarray(softmax(self.logits(features), axis=1))


def fit_classifier(
    train: tuple[np.ndarray, np.ndarray], valid: tuple[np.ndarray, np.ndarray], genres: Sequence[str]
) -> GenreClassifier:
    """The maximum-likelihood classifier with an L2 penalty; penalty and temperature are the best on other works.

    Args:
        train: features (n, d) and classes (n,), indices of `genres`; genres count equally whatever their numbers.
        valid: of other works. The temperature is that of Guo et al. 2017, "On Calibration of Modern Neural Networks",
            section 4.2.
        genres: the names of the classes.

    Raises:
        ValueError: when a genre has no training piece.
    """
    features, classes = train
    counts = np.bincount(classes, minlength=len(genres))
    if not counts.all():
        raise ValueError(f"no training piece of genre {genres[int(counts.argmin())]}")
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    empty = GenreClassifier(
        tuple(genres), mean, scale, np.zeros((features.shape[1], len(genres))), np.zeros(len(genres))
    )
    standard = np.clip((features - mean) / scale, -FAR, FAR)
    shares = (1 / counts / len(genres))[classes]
    best, best_loss, start = empty, np.inf, np.zeros((features.shape[1] + 1) * len(genres))
    for penalty in sorted(PENALTIES, reverse=True):  # each fit starts from that before
        start = minimize(_loss, start, (standard, classes, shares, penalty), jac=True, method="L-BFGS-B").x
        table = start.reshape(-1, len(genres))
        candidate = _calibrated(replace(empty, weights=table[:-1], bias=table[-1]), *valid)
        loss = log_loss(candidate.logits(valid[0]), valid[1])
        if loss < best_loss:
            best, best_loss = candidate, loss
    return best


def log_loss(logits: np.ndarray, classes: np.ndarray) -> float:
    """Mean cross-entropy of the classes in nats; 0 for no pieces."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(classes)), classes].mean()) if len(classes) else 0.0


def _loss(
    flat: np.ndarray, standard: np.ndarray, classes: np.ndarray, shares: np.ndarray, penalty: float
) -> tuple[float, np.ndarray]:
    """The penalised loss, and its gradient with respect to the weights and the bias, flattened."""
    table = flat.reshape(standard.shape[1] + 1, -1)
    logits = standard @ table[:-1] + table[-1]
    log_probs = log_softmax(logits, axis=1)
    rows = np.arange(len(classes))
    error = np.exp(log_probs) * shares[:, None]
    error[rows, classes] -= shares
    gradient = np.vstack((standard.T @ error + penalty * table[:-1], error.sum(axis=0)))
    loss = -(shares * log_probs[rows, classes]).sum() + penalty / 2 * (table[:-1] ** 2).sum()
    return float(loss), gradient.ravel()


def _calibrated(classifier: GenreClassifier, features: np.ndarray, classes: np.ndarray) -> GenreClassifier:
    """The classifier with the temperature that fits these pieces best; as it is without any."""
    if not len(classes):
        return classifier
    logits = classifier.logits(features)
    found = minimize_scalar(
        lambda log: log_loss(logits / np.exp(log), classes), bounds=LOG_TEMPERATURES, method="bounded"
    )
    return replace(classifier, temperature=float(np.exp(found.x)))


def calibration_error(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """Expected calibration error in [0, 1]: how far confidence and accuracy are apart, over bins of confidence.

    Source: Guo et al. 2017, equation 3, with ten bins of equal width. 0 for no pieces.
    """
    if not len(classes):
        return 0.0
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == classes
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, right - confidence, BINS)).sum() / len(classes))


@dataclass(frozen=True)
class Accuracy:
    """How often a classifier is right on pieces of works that it has not seen.

    Attributes:
        share: of the pieces that are right; works are resampled for the interval.
        confusion: (genres, genres) shares of the pieces of each genre, a row, that are taken for each.
        intervals: of the diagonal of the confusion matrix.
        calibration_error: expected, in [0, 1].
        log_loss: mean, nats.
    """

    share: Interval
    confusion: np.ndarray
    intervals: tuple[Interval, ...]
    calibration_error: float
    log_loss: float


def accuracy(
    classifier: GenreClassifier, features: np.ndarray, classes: np.ndarray, works: np.ndarray, rng: np.random.Generator
) -> Accuracy:
    """How often the classifier is right.

    Args:
        classifier: fitted to other works.
        features: (n, d), n at least 1.
        classes: (n,) indices of its genres.
        works: (n,) the work of each piece; works are resampled for the intervals.
        rng: of the bootstrap.
    """
    probabilities = classifier.probabilities(features)
    found = probabilities.argmax(axis=1)
    size = len(classifier.genres)
    confusion = np.zeros((size, size))
    np.add.at(confusion, (classes, found), 1)
    confusion /= np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    right = found == classes
    intervals = tuple(_share(right[classes == each], works[classes == each], rng) for each in range(size))
    return Accuracy(
        _share(right, works, rng),
        confusion,
        intervals,
        calibration_error(probabilities, classes),
        log_loss(classifier.logits(features), classes),
    )


def _share(right: np.ndarray, works: np.ndarray, rng: np.random.Generator) -> Interval:
    """The share of pieces that are right, with an interval that resamples works; 0 for no pieces."""
    if not len(right):
        return Interval(0.0, 0.0, 0.0)
    _, number = np.unique(works, return_inverse=True)
    sums = np.stack((np.bincount(number, right), np.bincount(number)))  # (2, works)
    count = sums.shape[1]
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES) @ sums.T
    return percentile_interval(float(right.mean()), drawn[:, 0] / drawn[:, 1])
