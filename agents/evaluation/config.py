"""The settings of evaluations, comparisons and `toccata metrics`. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import tyro

from toccata.agents.generation.sound_options import DEFAULT_SOUND, SoundOptions
from toccata.settings.options import BEATS_PER_BAR, MAX_BARS, SEED, TEMPO_BPM, ConfigError, Range, check_fields, shown

EVALUATE_RANGES = {
    "pieces": Range(1, 10_000),
    "samples": Range(2, 65_536),
    "seed": SEED,
    "bars": Range(1, MAX_BARS),
    "beats_per_bar": BEATS_PER_BAR,
    "tempo_bpm": TEMPO_BPM,
}
METRICS_RANGES = {"jobs": Range(1, 1024)}


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a trained agent, or a folder of music: MIDI, sound, pictures, notation, and metrics versus real music.

    A folder with a config.json is a run; everything is written to its folder evaluation/, and genre, corpus, rewards,
    metre and tempo are those of the run. Any other folder is music of whatever made it, MIDI or MusicXML files.
    """

    folder: tyro.conf.Positional[Path]
    """Run folder that training wrote, or folder of MIDI or MusicXML files."""

    pieces: int = 8
    """Pieces to write out as MIDI, WAV, PNG and MusicXML."""

    samples: int = 64
    """Pieces of each composer in the table; at least --pieces. Of a folder of music at most one of each file."""

    seed: int = 0
    """One seed gives one set of pieces."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    trust: bool = False
    """Run the code of reward models that somebody else's run names. Runs made by you on this machine need no trust."""

    out: Path | None = None
    """Folder to write; it must not exist. By default evaluation/ in the run folder, which is replaced; of a folder of
    music the next free one in evaluations/."""

    genre: str | None = None
    """Of a folder of music: its genre, and that of the real music. By default classical."""

    corpus: tuple[str, ...] | None = None
    """Of a folder of music: the real music, as in training. By default music21's of the genre."""

    rewards: tuple[tuple[str, float], ...] | None = None
    """Of a folder of music: reward models that score it, and their weights, as in training, `+` included. By default
    training's."""

    bars: int | None = None
    """Bars of the pieces: of a run by default as in training, and of other lengths to its evaluation-BARS-bars/; of a
    folder of music by default 8."""

    beats_per_bar: float | None = None
    """Of a folder of music: quarter notes in a bar; files in other metres are left out. By default 4."""

    tempo_bpm: float | None = None
    """Of a folder of music: quarter notes a minute of all pieces. By default 120."""

    sound: Annotated[SoundOptions, tyro.conf.OmitArgPrefixes] = DEFAULT_SOUND

    def __post_init__(self) -> None:
        check_fields(self, EVALUATE_RANGES)


@dataclass(frozen=True)
class CompareConfig:
    """Compare evaluated runs: metrics with intervals over seeds and pieces, differences, and training curves.

    Runs that differ in nothing but the seed are one group; the others are compared with the first group.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, each evaluated before, or folders of `train --seeds`, which hold several."""

    out: Path | None = None
    """Folder to write; it must not exist. By default the next free one in comparisons/."""

    def __post_init__(self) -> None:
        check_fields(self, {})


@dataclass(frozen=True)
class MetricsConfig:
    """Measure MIDI and MusicXML files: the metrics of one file, mean and range of several, or a row for each as CSV.

    A file that cannot be read is named with the reason, and the others are measured.
    """

    files: tyro.conf.Positional[tuple[Path, ...]]
    """MIDI or MusicXML files, and folders of them; at most 1,000 names, but a folder may have any number of files."""

    csv: Path | None = None
    """CSV file to write, which must not exist: a row a file, a column a metric."""

    metrics: tuple[str, ...] | None = None
    """Names of the metrics. By default all."""

    jobs: int | None = None
    """Greatest number of processes. By default one a core."""

    def __post_init__(self) -> None:
        check_fields(self, METRICS_RANGES)
        if not self.files:
            raise ConfigError("files must name at least one file or folder")
        if self.metrics is not None:
            from toccata.music.metrics import METRICS

            if not self.metrics:
                raise ConfigError("metrics must name at least one metric")
            for name in self.metrics:
                if name not in METRICS:
                    near = get_close_matches(name, METRICS, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else f": there are {', '.join(METRICS)}"
                    raise ConfigError(f"metrics: no metric is called {shown(name)}{hint}")
