"""Fréchet distance of two sets of embeddings, and the Inception Score of class probabilities."""

from __future__ import annotations

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of two Gaussians with the means and covariances of two sets, at least 0.

    |mean_a - mean_b|^2 + Tr(A + B - 2 (A^1/2 B A^1/2)^1/2), where A and B are the covariances with n - 1 in the
    denominator; those of one piece are 0. The trace of the root is the sum of the singular values of the product of
    the centred sets, so no root of a matrix is needed, and sets of fewer pieces than dimensions need no shrinkage: the
    result is exact, finite and symmetric. It is biased upwards by 1/n (Binkowski et al. 2018, "Demystifying MMD GANs"):
    compare sets of one size, beside the distance of real music from real music.

    Args:
        a: (n, d) embeddings, n at least 1.
        b: (m, d) embeddings, m at least 1.

    Raises:
        ValueError: when a set is empty, or the dimensions differ.

    Source: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6; Dowson & Landau 1982.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 2 or b.ndim != 2 or not len(a) or not len(b) or a.shape[1] != b.shape[1]:
        raise ValueError(f"need two sets (n, d) and (m, d) of at least one piece, got {a.shape} and {b.shape}")
    roots = [_covariance_root(each) for each in (a, b)]
    root_trace = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    traces = sum(float((root**2).sum()) for root in roots)
    means = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    return max(0.0, means + traces - 2 * float(root_trace))


def _covariance_root(points: np.ndarray) -> np.ndarray:
    """(min(n, d), d) R with R^T R the covariance of points (n, d)."""
    centred = (points - points.mean(axis=0)) / np.sqrt(max(1, len(points) - 1))
    if len(points) <= points.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))


def inception_score(probabilities: np.ndarray) -> float:
    """The exponential of the mean KL divergence of each piece's classes from those of the set, in [1, k].

    k where each piece is clearly of one class and all classes are equally frequent; 1 where all pieces have the same
    probabilities, of one class or of all. 1 of no piece.

    Args:
        probabilities: (n, k) of the classes of each piece, with rows that sum to 1.

    Source: Salimans et al. 2016, "Improved Techniques for Training GANs", section 4; its classifier of images is
    replaced by one of music.
    """
    if not len(probabilities):
        return 1.0
    p = np.asarray(probabilities, float)
    mean = p.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(mean)), 0.0)
    return float(np.clip(np.exp(terms.sum(axis=1).mean()), 1.0, p.shape[1]))
