"""The settings of `toccata study rivals`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toccata.settings.options import BEATS_PER_BAR, MAX_BARS, SEED, TEMPO_BPM, ConfigError, Range, check_fields, shown

RANGES = {
    "samples": Range(2, 65_536),
    "bars": Range(1, MAX_BARS),
    "drafts": Range(1, 4096),
    "beats_per_bar": BEATS_PER_BAR,
    "tempo_bpm": TEMPO_BPM,
    "seed": SEED,
}
COMPOSERS = (
    "random",
    "markov",
    "lstm",
    "wavenet",
    "transformer",
    "best-of-n",
    "chord-lstm",
    "dcgan",
    "wgan-gp",
    "dream",
    "dream-realism",
)


@dataclass(frozen=True)
class StudyRivalsConfig:
    """Every composer beside the agent, in one table: the same judges, metrics and rewards for all.

    Composes and measures pieces of each composer and agent and of real music, and writes table.md, table.csv,
    rivals.json and rolls.png, the first pieces of each. What was composed and measured stays in OUT/cache: a call that
    was stopped goes on where it was, and one with more composers only measures these.
    """

    out: Path
    """Folder to write; one that an earlier call wrote is gone on with."""

    composers: tuple[str, ...] = COMPOSERS
    """Names, or NAME:FOLDER with weights of your own, as `toccata compose --with` takes them. What was fitted to other
    music than the agent is judged beside the agent's."""

    runs: tuple[Path, ...] = ()
    """Runs of the agent, or folders of `train --seeds`: those that differ in nothing but the seed are one row, and so
    are their policies before RL and best-of-n of these. Genre, metre, tempo, length and real music are then those of
    the first."""

    samples: int = 256
    """Pieces of each composer and run, and real ones."""

    bars: int = 8
    """Bars of a piece, without runs."""

    beats_per_bar: float = 4
    """Quarter notes in a bar, without runs."""

    tempo_bpm: float = 120
    """Quarter notes a minute, without runs."""

    genre: str = "classical"
    """Genre to ask for, of composers that know it, and of real music; without runs."""

    corpus: tuple[str, ...] = ()
    """Real music, without runs, as in training: by default music21's of the genre."""

    drafts: int = 16
    """Drafts of each piece of best-of-n, that of the runs' policies before RL too. RL with the default settings samples
    and scores about as many pieces as 256 times 4 drafts."""

    seed: int = 0
    """One seed gives one table."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    trust: bool = False
    """Run the code of policies that somebody else's run names."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        if twice := [each for i, each in enumerate(self.composers) if each in self.composers[:i]]:
            raise ConfigError(f"composers: {shown(twice[0])} is named twice")
