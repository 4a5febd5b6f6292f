"""The settings of `toccata listen`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from toccata.agents.generation.sound_options import SoundOptions
from toccata.settings.options import SEED, ConfigError, Range, check_fields

LOUDNESS = -23.0  # LUFS, of broadcasts (EBU R 128): so low that nearly every piano piece reaches it below -1 dBTP
RANGES = {
    "port": Range(0, 65_535),
    "pieces": Range(1, 1_000),
    "seconds": Range(2, 600, whole=False),
    "seed": SEED,
}


@dataclass(frozen=True)
class ListenConfig:
    """Let people compare and like pieces in their browsers, and keep their votes in a database.

    `toccata listen results DB` says what the votes say.
    """

    folders: tyro.conf.Positional[tuple[str, ...]] = ()
    """What is heard: run folders (the agent's pieces in their evaluation), folders that compose, evaluate or anything
    else wrote, at any depth, of MIDI, MusicXML, WAV, OGG and FLAC files. Each is a source, of the folder's name."""

    people: tuple[str, ...] = ()
    """The same, of music that people wrote; also bach, ryan, oneill, aird, classical and folk from music21's corpus.
    Without any nobody is asked which piece a person wrote."""

    db: Path = Path("listening.sqlite")
    """Database of the votes, made where it does not exist."""

    host: str = "127.0.0.1"
    """Address to listen at. Another than loopback, such as 0.0.0.0, lets other machines in, but only with the token of
    the printed address."""

    port: int = 8420
    """Port; 0 is any free one."""

    names: tuple[str, ...] = ()
    """Names that browsers may use for this server, as behind a proxy: piano.example.org. The token is needed then."""

    pieces: int = 24
    """Most pieces of a source, chosen at random."""

    seconds: float = 30.0
    """Longer pieces are heard as long as this, from their first note. Music by people is heard as long as the median of
    the others at most, so that its length tells nothing."""

    format: Literal["opus", "wav"] = "opus"
    """Of the sound: Opus in Ogg, or WAV, which is ten times as large and plays in Safari before 18.4 too."""

    consent: Path | None = None
    """Text file, UTF-8, that listeners agree to in place of the text that comes with Toccata."""

    seed: int = 0
    """Of the choice of pieces and of what listeners are asked."""

    sound: Annotated[SoundOptions, tyro.conf.OmitArgPrefixes] = field(
        default_factory=lambda: SoundOptions(loudness=LOUDNESS)
    )

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        if not self.folders and not self.people:
            raise ConfigError("folders must name at least one folder of pieces, or --people one of music by people")
