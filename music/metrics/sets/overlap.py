"""Overlapping area and KL divergence of distances inside of a set and between two sets (Yang & Lerch 2020)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GRID = 1024  # points of the common grid
MARGIN = 4  # bandwidths from the outermost distances to the ends of the grid
LEAST_BANDWIDTH = 0.01  # of the range of all distances, as of a constant feature: about nine points of the grid
FLOOR = 1e-9  # density relative to the uniform one, so that the divergence is finite


class Overlap(NamedTuple):
    """How alike a set is to real music in one feature."""

    area: float  # overlapping area, in [0, 1]; 1: the distributions are equal
    divergence: float  # KL divergence of the distances between the sets from those inside of the real one, nats, >= 0


def overlap(values: np.ndarray, real: np.ndarray) -> Overlap:
    """Overlapping area and KL divergence of the distribution of one feature.

    Compared are the distances of each real piece to the other real ones (intra-set, leave-one-out) and to the pieces
    of the other set (inter-set), as densities by Gaussian kernels with Scott's bandwidth, both on one grid. The area is
    the integral of the lower one of the two, the divergence is that of the inter-set from the intra-set density,
    KL(inter || intra).

    A constant feature has distances 0: two sets of one constant are equal (1, 0), of two constants disjoint. Where
    there is no piece in `values`, or there are fewer than two in `real`, nothing can be compared: (0, 0).

    Args:
        values: (n,) feature of the pieces of a set.
        real: (m,) the same of real music.

    Source: Yang & Lerch 2020, "On the evaluation of generative models in music", Neural Computing and Applications 32,
    section 4.2.
    """
    if not len(values) or len(real) < 2:
        return Overlap(0.0, 0.0)
    values, real = np.asarray(values, float), np.asarray(real, float)
    rows, columns = np.triu_indices(len(real), 1)
    intra = np.abs(real[rows] - real[columns])
    inter = np.abs(np.subtract.outer(values, real)).ravel()
    spread = max(float(intra.max()), float(inter.max()))
    if not spread:
        return Overlap(1.0, 0.0)
    intra, inter = intra / spread, inter / spread  # the result does not depend on the unit
    bandwidths = [max(LEAST_BANDWIDTH, float(each.std()) * len(each) ** -0.2) for each in (intra, inter)]
    margin = MARGIN * max(bandwidths)
    grid = np.linspace(-margin, 1 + margin, GRID)
    within, between = (_density(each, width, grid) for each, width in zip((intra, inter), bandwidths, strict=True))
    area = float(np.minimum(within, between).sum())
    divergence = float((between * np.log(between / within)).sum())
    return Overlap(min(area, 1.0), max(divergence, 0.0))


def _density(distances: np.ndarray, bandwidth: float, grid: np.ndarray) -> np.ndarray:
    """(grid,) shares that sum to 1: a Gaussian kernel density of distances in [0, 1], nowhere 0.

    The distances are shared between their two neighbours on the grid first (linear binning, Wand & Jones 1995, "Kernel
    Smoothing", appendix D): of 256 pieces there are tens of thousands.
    """
    step = grid[1] - grid[0]
    place = (distances - grid[0]) / step
    left = np.floor(place).astype(int)
    weights = np.bincount(left, 1 - (place - left), len(grid)) + np.bincount(left + 1, place - left, len(grid))
    reach = np.arange(-len(grid) + 1, len(grid)) * step / bandwidth
    density = np.convolve(weights, np.exp(-0.5 * reach**2), "valid")
    density = density / density.sum() + FLOOR / len(grid)
    return density / density.sum()
