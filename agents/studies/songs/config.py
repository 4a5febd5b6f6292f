"""The settings of `toccata study songs`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toccata.settings.options import BEATS_PER_BAR, SEED, TEMPO_BPM, ConfigError, Range, check_fields

RANGES = {
    "drafts": Range(2, 4096),
    "rewarded": Range(1, 4096),
    "random_drafts": Range(1, 4096),
    "temperature": Range(0, 1000, whole=False, open_low=True),
    "top_p": Range(0, 1, whole=False, open_low=True),
    "beats_per_bar": BEATS_PER_BAR,
    "tempo_bpm": TEMPO_BPM,
    "seed": SEED,
}


@dataclass(frozen=True)
class StudySongsConfig:
    """Songs for poems: random legal play, a prior, and the best of its drafts, beside songs that people wrote.

    Composes songs for each poem, measures words, melody and originality, and writes table.md, melody.md, songs.json and
    the best song for each poem in songs/. What was composed and measured stays in OUT/cache: a call that was stopped
    goes on where it was.
    """

    out: Path
    """Folder to write; one that an earlier call wrote is gone on with."""

    poems: Path | None = None
    """Folder of texts, NAME.txt, a line a phrase. By default the thirty poems that come with Toccata."""

    language: str = "en"
    """Of the poems: a code such as en or de; stress is known of English."""

    voice: Literal["soprano", "alto", "tenor", "bass"] = "soprano"
    """That sings."""

    prior: str = "transformer"
    """A prior that comes with Toccata, or a folder of `toccata fit-prior`; it never saw words."""

    genre: str = "classical"
    """Of the prior."""

    drafts: int = 64
    """Songs of the prior for each poem, of which the best by the reward `lyrics` is one row."""

    rewards: tuple[tuple[str, float], ...] = ()
    """Reward models and their weights: the best of --rewarded drafts by their sum is another row. By default those that
    `toccata compose --lyrics` chooses by."""

    rewarded: int = 16
    """The first so many drafts are scored by the rewards."""

    random_drafts: int = 4
    """Songs of random legal play for each poem."""

    temperature: float = 1.0
    """Of sampling the prior."""

    top_p: float = 0.95
    """Nucleus sampling of the prior; 1 samples from all actions."""

    beats_per_bar: float = 4
    """Quarter notes in a bar."""

    tempo_bpm: float = 100
    """Quarter notes a minute."""

    corpus: tuple[str, ...] = ("bach", "folk")
    """Music whose training works the songs may have copied: names of corpora, or folders."""

    seed: int = 0
    """One seed gives one table."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        if self.rewarded > self.drafts:
            raise ConfigError(f"rewarded must be at most drafts, {self.drafts}, got {self.rewarded}")
