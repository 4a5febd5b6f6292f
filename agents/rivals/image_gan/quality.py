"""What sets of pictures are like: how full, how different from each other, and how near to other sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toccata.agents.rivals.image_gan.pictures import HELD, ONSET

THRESHOLD = HELD / 2  # above it a pixel sounds
BATCH = 64  # pictures whose distances to a set are computed at a time


@dataclass(frozen=True)
class PictureFigures:
    """Figures of a set of pictures.

    Attributes:
        notes: mean onsets in a picture, as `score_of` reads them in the middle of one.
        sounding: share of the pixels that sound, in [0, 1].
        distance: mean over all pairs of one minus the cosine similarity of the pixels that sound, in [0, 1]; 0 if all
            are equal, and of a single picture.
        effective: effective number of different pictures, in [1, n]: the Vendi score of the same similarities.
    """

    notes: float
    sounding: float
    distance: float
    effective: float


def picture_figures(pictures: np.ndarray) -> PictureFigures:
    """Figures of (n, SIZE, SIZE) pictures in [0, 1]; n must be at least 1.

    Source of the last one: Friedman & Dieng 2023, "The Vendi Score", equation 2.
    """
    sounds = np.asarray(pictures >= THRESHOLD)
    before = np.pad(sounds, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    struck = (pictures >= (HELD + ONSET) / 2) | (sounds & ~before)
    flat = sounds.reshape(len(sounds), -1).astype(np.float64)
    empty = np.asarray(~flat.any(axis=1))
    flat = np.concatenate([flat, empty[:, None]], axis=1)  # silent pictures are equal to each other, and to no other
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    similarity = np.clip(flat @ flat.T, 0.0, 1.0)
    pairs = max(1, len(flat) * (len(flat) - 1))
    eigenvalues = np.linalg.eigvalsh(similarity / len(flat))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return PictureFigures(
        notes=float(struck.sum(axis=(1, 2)).mean()),
        sounding=float(sounds.mean()),
        distance=float(max(0.0, (1 - similarity).sum() - (1 - np.diag(similarity)).sum()) / pairs),
        effective=float(np.clip(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()), 1, len(flat))),
    )


@dataclass(frozen=True)
class MeanSquaredErrors:
    """Mean squared errors between a set of outputs and a set of real pictures, a pixel.

    Attributes:
        pairs: mean over all pairs of an output and a real picture.
        nearest: mean over the outputs of that to the nearest real picture. It falls with the size of the set: compare
            sets of one size.
        between_means: squared distance of the mean pictures of both.
        output_variance: of the outputs about their mean picture, over all pixels.
        set_variance: of the real pictures, likewise.
    """

    pairs: float
    nearest: float
    between_means: float
    output_variance: float
    set_variance: float


def mse_table(
    outputs: Mapping[str, np.ndarray], sets: Mapping[str, np.ndarray]
) -> dict[str, dict[str, MeanSquaredErrors]]:
    """Mean squared errors of the outputs of each generator to each set of real pictures.

    For outputs x and pictures y the mean over all pairs is

        E |x - y|^2 = |E x - E y|^2 + Var x + Var y,

    so that the last term, in which the outputs have no part, decides where sets differ more in it than in their means:
    pictures of scores are black for the most part, and the set with the fewest notes, whose pictures vary least about a
    nearly black mean, is the nearest to whatever is generated, noise and black pictures too. A mean squared error
    is therefore no measure of genre. Rows of real pictures held out from the sets, as further `outputs`, show as much.

    Args:
        outputs: (n, SIZE, SIZE) pictures in [0, 1] of each generator.
        sets: (m, SIZE, SIZE) pictures in [0, 1] of each genre; of one m, or `nearest` cannot be compared.

    Returns:
        the errors, by the names of outputs and of sets.

    Raises:
        ValueError: for a set without pictures, and for pictures of different sizes.
    """
    for name, pictures in (*outputs.items(), *sets.items()):
        if pictures.ndim != 3 or not len(pictures):
            raise ValueError(f"{name}: needs (n, height, width) pictures, got an array of shape {pictures.shape}")
    return {
        name: {genre: _squared_error(pictures, real) for genre, real in sets.items()}
        for name, pictures in outputs.items()
    }


def _squared_error(outputs: np.ndarray, real: np.ndarray) -> MeanSquaredErrors:
    """The errors of one set of outputs to one set of pictures."""
    if outputs.shape[1:] != real.shape[1:]:
        raise ValueError(f"pictures must have one size, got {outputs.shape[1:]} and {real.shape[1:]}")
    x, y = (pictures.reshape(len(pictures), -1).astype(np.float64) for pictures in (outputs, real))
    nearest = [
        ((part**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * part @ y.T).min(axis=1)
        for part in (x[start : start + BATCH] for start in range(0, len(x), BATCH))
    ]
    between_means = float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).mean())
    output_variance, set_variance = float(x.var(axis=0).mean()), float(y.var(axis=0).mean())
    return MeanSquaredErrors(
        pairs=between_means + output_variance + set_variance,
        nearest=float(np.maximum(0.0, np.concatenate(nearest)).mean() / x.shape[1]),
        between_means=between_means,
        output_variance=output_variance,
        set_variance=set_variance,
    )
