"""The settings of `toccata study genres`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toccata.settings.options import MAX_BARS, MAX_STEPS, SEED, ConfigError, Range, check_fields, shown

RANGES = {
    "minutes_per_fit": Range(0, 10_000, whole=False, open_low=True),
    "agent_steps": Range(0, MAX_STEPS),
    "pieces": Range(16, 65_536),
    "excerpts": Range(1, 1000),
    "bars": Range(1, MAX_BARS),
    "seed": SEED,
}
PRIORS = ("lstm", "wavenet", "transformer")  # fitted by `toccata fit-prior`, one for each genre
RIVALS = ("markov", "chord-lstm", "dcgan", "wgan-gp")  # fitted by `toccata fit-rival`, all genres in one folder
Fitted = Literal["markov", "lstm", "wavenet", "transformer", "chord-lstm", "dcgan", "wgan-gp"]
COMPOSERS: tuple[Fitted, ...] = ("markov", "lstm", "wavenet", "transformer", "chord-lstm", "dcgan", "wgan-gp")
RENEWABLE = ("composers", "runs", "out", "device", "trust", "pieces")  # what may differ when a study is gone on with


@dataclass(frozen=True)
class StudyGenresConfig:
    """Which genre is learnt best, by which kind of composer, and whether a genre that is asked for is heard.

    The works of each genre are cut to the same number and about the same number of notes. Every composer is fitted to
    each genre alone, for the same time, and an agent is trained for each. Held-out works are scored by every composer
    with a likelihood; what they compose is classified by a classifier fitted to other works, and its distance from the
    real music of each genre is measured. Writes genres.json, table.md and rolls.png.

    What was fitted and composed stays in OUT: a call that was stopped goes on where it was.
    """

    out: Path
    """Folder to write; one that an earlier call wrote is gone on with."""

    data: tuple[str, ...] = ("bach", "folk")
    """Music of two genres or more: bach, ryan, oneill, aird (they come with music21), classical (bach), folk (the other
    three), or folders of MIDI or MusicXML files by genre. Other genres than classical and folk need such folders."""

    genres: tuple[str, ...] = ()
    """Genres to compare; by default all that the data have."""

    composers: tuple[Fitted, ...] = COMPOSERS
    """What is fitted to each genre."""

    minutes_per_fit: float = 2.0
    """Time to fit one composer to one genre. A Markov chain takes a moment."""

    agent_steps: int = 65_536
    """Environment steps of the agent of each genre; 0: no agents."""

    runs: tuple[Path, ...] = ()
    """Runs of `train.py --genre` in place of agents trained here, one for each genre."""

    pieces: int = 96
    """Pieces of each composer and genre."""

    excerpts: int = 8
    """Excerpts of each real work."""

    bars: int = 8
    """Bars of a piece and of an excerpt, of four quarters each."""

    seed: int = 0
    """Seed of everything. Fits are limited by time, so two studies differ as their machines do."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    trust: bool = False
    """Run the code of reward models and policies that somebody else's run names."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        for name in ("genres", "composers", "data"):
            values = getattr(self, name)
            if twice := [each for i, each in enumerate(values) if each in values[:i]]:
                raise ConfigError(f"{name}: {shown(twice[0])} is named twice")
