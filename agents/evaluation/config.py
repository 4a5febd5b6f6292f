"""The settings of an evaluation. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from toccata.options import SEED, Range, check_fields

EVALUATE_RANGES = {"pieces": Range(1, 10_000), "samples": Range(2, 65_536), "seed": SEED}


@dataclass(frozen=True)
class EvaluateConfig:
    """Generate pieces with a trained agent: MIDI, sound, pictures, notation, and a table of metrics versus real music.

    Everything is written to RUN_DIR/evaluation.
    """

    run_dir: tyro.conf.Positional[Path]
    """Run folder that training wrote."""

    pieces: int = 8
    """Pieces of the agent to write out as MIDI, WAV, PNG and MusicXML."""

    samples: int = 64
    """Pieces of each composer in the table; at least --pieces."""

    seed: int = 0
    """One seed gives one set of pieces."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    trust: bool = False
    """Run the code of reward models that somebody else's run names. Runs made by you on this machine need no trust."""

    def __post_init__(self) -> None:
        check_fields(self, EVALUATE_RANGES)
