"""The settings of `toccata fit-rival`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from toccata.settings.options import MAX_EPOCHS, SEED, ConfigError, Range, check_fields

RANGES = {
    "epochs": Range(1, MAX_EPOCHS),
    "minutes": Range(0, 10_000, whole=False, open_low=True),
    "order": Range(0, 4),
    "seed": SEED,
}


@dataclass(frozen=True)
class FitRivalConfig:
    """Fit a composer that agents are compared with, one model for each genre of the music.

    markov: a Markov chain of the last actions. chord-lstm: an LSTM over classes of notes and chords. dcgan, wgan-gp:
    adversarial networks over pictures of scores. Writes weights and MODEL_CARD.md, which
    `toccata compose --with NAME:OUT` takes.
    """

    rival: tyro.conf.Positional[Literal["markov", "chord-lstm", "dcgan", "wgan-gp"]]
    """What to fit."""

    out: Path
    """Folder to write; it must not exist."""

    data: tuple[str, ...] = ("bach", "folk")
    """Music to fit to: bach, ryan, oneill, aird (they come with music21), classical (bach), folk (the other three), or
    folders of MIDI or MusicXML files, by genre (GENRE/**/*.mid, or midi/ and a metadata.csv with columns file and
    genre) or all of one. About a tenth of the works of a genre stops the fit, another tenth is for the card."""

    genre: str = "classical"
    """Genre of the works of a folder without genres."""

    genres: tuple[str, ...] = ()
    """Genres of the data to fit to; by default all that it has."""

    epochs: int | None = None
    """Most epochs of each genre, of all but markov. By default 40 of chord-lstm, which stops sooner when the validation
    loss rises, and 8 of dcgan and 4 of wgan-gp, of 50 updates each."""

    minutes: float | None = None
    """Time for all genres together, shared out evenly; not of markov. Two fits then differ, as their machines do."""

    order: int = 3
    """Of markov: actions of context."""

    seed: int = 0
    """Seed of everything; equal seeds on one machine give equal weights."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    resume: bool = False
    """Go on with an interrupted fit of the same options (OUT.checkpoint/)."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        for name in ("epochs", "minutes") if self.rival == "markov" else ():
            if getattr(self, name) is not None:
                raise ConfigError(f"markov: is fitted by counting once, in seconds; leave out --{name}")
        if self.rival != "markov" and self.order != FitRivalConfig.order:
            raise ConfigError(f"{self.rival}: has no order, which is of markov; leave out --order")
