"""How the WAV files of pieces sound: options of `evaluate` and `compose`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from toccata.settings.options import Range, check_fields

NO_LOUDNESS = "none"
SOUND_RANGES = {"loudness": Range(-60, 0, whole=False)}


def _loudness(arguments: list[str]) -> float | None:
    """The argument of `--loudness`."""
    return None if arguments[0].lower() == NO_LOUDNESS else float(arguments[0])


LOUDNESS_ARGUMENT = tyro.constructors.PrimitiveConstructorSpec[float | None](
    nargs=1,
    metavar=f"LUFS|{NO_LOUDNESS}",
    instance_from_str=_loudness,
    is_instance=lambda value: value is None or isinstance(value, (int, float)),
    str_from_instance=lambda value: [NO_LOUDNESS if value is None else f"{value:g}"],
)


@dataclass(frozen=True)
class SoundOptions:
    """How the WAV files of pieces are rendered. Networks hear another rendering, which this does not change."""

    loudness: Annotated[float | None, LOUDNESS_ARGUMENT] = -18.0
    """Integrated loudness of the WAV files in LUFS (ITU-R BS.1770-4), less where the true peak would exceed -1 dBTP;
    none: as the sound font is recorded, below the same peak."""

    soundfont: Path | None = None
    """SF2 or SF3 file whose program 0 plays the WAV files. By default the piano that networks hear, TimGM6mb."""

    stereo: bool = False
    """WAV files in stereo."""

    reverb: bool = True
    """A little reverb in the WAV files."""

    expression: bool = True
    """Dynamics by rules in the WAV files, where a piece has one velocity; MIDI and MusicXML stay as composed."""

    def __post_init__(self) -> None:
        check_fields(self, SOUND_RANGES)

    def describe(self) -> str:
        """The options in one line of a report."""
        parts = [
            "dynamics by rules, not composed" if self.expression else "velocities as composed",
            "stereo" if self.stereo else "mono",
            "reverb" if self.reverb else "no reverb",
            "loudness of the sound font" if self.loudness is None else f"{self.loudness:g} LUFS",
        ]
        return ", ".join([*parts, *([self.soundfont.name] if self.soundfont else [])])


DEFAULT_SOUND = SoundOptions()
