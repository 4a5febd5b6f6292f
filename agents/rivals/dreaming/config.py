"""The settings of `toccata dream`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toccata.settings.options import SEED, ConfigError, Range, check_fields, check_product

MAX_SECONDS_OF_PIECES = 300  # of all dreams, which are ascended together: some 15 GB; 8 s need about 400 MB
RANGES = {
    "seconds": Range(1, 300, whole=False),
    "pieces": Range(1, 256),
    "steps": Range(1, 100_000),
    "realism_weight": Range(0, 1000, whole=False),
    "jitter_frames": Range(0, 100),
    "jitter_bands": Range(0, 20),
    "total_variation": Range(0, 1000, whole=False),
    "frequency_penalty": Range(0, 1000, whole=False),
    "blur": Range(0, 20, whole=False),
    "seed": SEED,
}
REGULARISERS = ("jitter_frames", "jitter_bands", "total_variation", "frequency_penalty", "blur", "decorrelated")


@dataclass(frozen=True)
class DreamConfig:
    """Dream sound: gradient ascent from white noise to what the rating likes.

    Writes a WAV file of each dream, a picture of its spectrogram over the steps, curves of the ratings, and dream.json
    into a new folder. When it is stopped, it writes what it has reached.
    """

    seconds: float = 8.0
    """Length of a dream."""

    domain: Literal["mel", "waveform"] = "mel"
    """What is ascended: the log-mel spectrogram, which is then inverted to sound, or the samples of the sound."""

    with_realism: bool = False
    """Maximise realism too: the log-probability, by a discriminator that is trained along, of being real music."""

    realism_weight: float = 4.0
    """With --with-realism: weight of the realism, beside the rating."""

    corpus: tuple[str, ...] = ("bach", "folk")
    """With --with-realism: real music of the discriminator, corpora and folders."""

    rating: Path | None = None
    """Folder of another rating than the one that comes with Toccata, as `toccata fit-rating` writes it."""

    steps: int = 300
    """Steps of gradient ascent."""

    pieces: int = 2
    """How many dreams, each from other noise."""

    regularise: bool = True
    """Use the regularisers of feature visualisation, which follow; without them the ascent is naive."""

    jitter_frames: int = 8
    """Greatest random shift in time at each step, in frames of 32 ms."""

    jitter_bands: int = 1
    """Greatest random shift in pitch at each step, in mel bands."""

    total_variation: float = 0.1
    """Weight of the mean absolute difference of neighbours in the spectrogram."""

    frequency_penalty: float = 0.1
    """Weight of the power of fast modulations in the spectrogram."""

    blur: float = 1.0
    """Standard deviation of the Gaussian that blurs the gradient on the spectrogram, in frames and bands."""

    decorrelated: bool = True
    """Ascend Fourier coefficients, scaled by their wavelength, instead of values."""

    seed: int = 0
    """One seed gives one set of dreams."""

    out: Path | None = None
    """Folder to write; it must not exist. By default the next free one in dreams/."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        check_product(self, ("pieces", "seconds"), MAX_SECONDS_OF_PIECES, "seconds of all dreams")
        for name in REGULARISERS if not self.regularise else ():
            if getattr(self, name) != getattr(DreamConfig, name):
                raise ConfigError(f"{name} is one of the regularisers: leave it out, or --no-regularise")
        for name in ("realism_weight", "corpus") if not self.with_realism else ():
            if getattr(self, name) != getattr(DreamConfig, name):
                raise ConfigError(f"{name} is of the realism: leave it out, or give --with-realism too")
