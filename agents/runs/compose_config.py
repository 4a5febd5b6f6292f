"""The settings of `toccata compose`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from toccata.agents.generation.sound_options import DEFAULT_SOUND, SoundOptions
from toccata.settings.genres import checked_additions
from toccata.settings.options import (
    BEATS_PER_BAR,
    MAX_BARS,
    SEED,
    TEMPO_BPM,
    ConfigError,
    Range,
    check_fields,
    check_product,
)

DEFAULT_BARS = 8
MAX_BARS_OF_PIECES = 2**20  # of all pieces, which are in memory together
RANGES = {
    "bars": Range(1, MAX_BARS),
    "pieces": Range(1, 10_000),
    "drafts": Range(1, 4096),
    "temperature": Range(0, 1000, whole=False, open_low=True),
    "top_p": Range(0, 1, whole=False, open_low=True),
    "beats_per_bar": BEATS_PER_BAR,
    "tempo_bpm": TEMPO_BPM,
    "seed": SEED,
}


@dataclass(frozen=True)
class ComposeConfig:
    """Compose with a prior, a trained agent or another composer, unconditionally or continuing a piece of your own.

    Writes piece-000.mid .wav .png .musicxml ... into a new folder.
    """

    primer: Path | None = None
    """MIDI or MusicXML file to continue from its last bar line; the network is given at most its last 64 bars. Of
    composers --with, only chord-lstm takes one."""

    genre: str | None = None
    """Genre to condition on: classical, folk, jazz, popular, rock, electronic, and those that the prior or the run has
    in addition; composers --with have their own (docs/rivals.md). By default none (unconditional); with --run the genre
    of the run."""

    genres: tuple[str, ...] = ()
    """Names of further genres, which the network was not fitted to: their embeddings are the mean of the known ones."""

    lyrics: Path | None = None
    """Text file of words to sing, one line a phrase: the highest line of the piece carries its syllables, and the best
    of --drafts is written with the words. Not with a primer or --with. See docs/lyrics.md."""

    voice: Literal["soprano", "alto", "tenor", "bass"] = "soprano"
    """Of --lyrics: who sings."""

    language: str = "en"
    """Of --lyrics: code of the language, such as de or it. English has syllables and stress from a dictionary, others
    are hyphenated."""

    sketch: bool = False
    """Of --lyrics: write piece-000-sketch.wav too, the words at the pitches of their notes by the speech synthesizer
    eSpeak NG (the program espeak-ng): a sketch of where the words are, not singing."""

    bars: int | None = None
    """Bars to compose, after the primer. By default 8, with --lyrics as many as the words need."""

    pieces: int = 4
    """How many different ones."""

    prior: str | None = None
    """Network: a prior that comes with Toccata (transformer, lstm, wavenet), or a folder that `toccata fit-prior`
    wrote. By default transformer."""

    run: Path | None = None
    """A run folder instead: the agent that was trained there, with policy transformer, lstm or wavenet."""

    composer: Annotated[str | None, tyro.conf.arg(name="with")] = None
    """Another composer instead, by NAME, or NAME:FOLDER with weights of your own: random, markov, lstm, wavenet,
    transformer, best-of-n, dream, dream-realism, chord-lstm, dcgan, wgan-gp. See docs/rivals.md."""

    drafts: int = 16
    """Of --with best-of-n and --lyrics: drafts that each piece is chosen from; 1 chooses none."""

    temperature: float = 1.0
    """Of sampling: below 1 likely actions become likelier, above 1 less likely. Not of random, dreams and GANs, which
    sample from no distribution over actions; nor is --top-p."""

    top_p: float = 0.95
    """Nucleus sampling: each action is drawn from the smallest set with this probability; the unlikely remainder holds
    most of the wrong notes and leaps. 1 samples from all."""

    beats_per_bar: float | None = None
    """Quarter notes in a bar. By default the primer's, without one the run's or 4."""

    tempo_bpm: float | None = None
    """Quarter notes a minute. By default the primer's, without one the run's or 120."""

    seed: int = 0
    """One seed gives one set of pieces."""

    out: Path | None = None
    """Folder to write; it must not exist. By default the next free one in composed/."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    sound: Annotated[SoundOptions, tyro.conf.OmitArgPrefixes] = DEFAULT_SOUND

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        object.__setattr__(self, "genres", checked_additions(self.genres))  # frozen for everyone else
        if self.bars is None and self.lyrics is None:
            object.__setattr__(self, "bars", DEFAULT_BARS)
        if self.bars is not None:
            check_product(self, ("pieces", "bars"), MAX_BARS_OF_PIECES, "bars of all pieces")
        given = {"prior": self.prior, "run": self.run, "with": self.composer}
        named = [f"--{name} {value}" for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise ConfigError(f"give one of --prior, --run and --with, got {' and '.join(named)}")
        for name, value in (("primer", self.primer), ("with", self.composer)):
            if self.lyrics is not None and value is not None:
                raise ConfigError(f"--lyrics is for a prior or a run, without a primer; got --{name} {value} too")
        if self.sketch and self.lyrics is None:
            raise ConfigError("--sketch is of the words of --lyrics, of which there are none")
        if self.composer is not None and self.genres:
            raise ConfigError(f"--genres adds to a prior or a run; --with {self.composer} has its own genres")
