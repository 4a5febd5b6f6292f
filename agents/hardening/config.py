"""The settings of `toccata harden`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from toccata.settings.options import MAX_BARS, SEED, ConfigError, Range, check_fields

RANGES = {
    "rounds": Range(0, 100),
    "attack_timesteps": Range(1, 10**9),
    "learning_rate": Range(0, 1, whole=False, open_low=True),
    "num_envs": Range(1, 4096),
    "samples": Range(8, 10_000),
    "best_of": Range(1, 4096),
    "search_steps": Range(0, 10**6),
    "realism_steps": Range(0, 10**6),
    "per_source": Range(8, 10**6),
    "bars": Range(2, MAX_BARS),
    "seed": SEED,
}
RESUMABLE = ("rounds",)  # settings that may change when a folder is resumed


@dataclass(frozen=True)
class HardenConfig:
    """Harden rating and realism: attack them, and fit them again to what the attacks find, round after round.

    In every round agents without a KL penalty, best-of-n and searches maximise the rating, the realism, or their sum.
    What scores above half of the real pieces although the judges, which are never rewards, agree that it is no music
    becomes negatives of both, which are fitted again. After the last round fresh attackers, with another policy and
    twice the steps, attack once more. Writes OUT/rating, OUT/realism, report.md and rounds.json. When OUT is there, its
    rounds are resumed with the settings they began with; --rounds may be raised.
    """

    out: Path
    """Folder to write; one that an earlier call began is resumed."""
    rating: str = "rating"
    """The rating to harden: `rating`, which comes with Toccata, or rating:FOLDER."""
    realism: str = "realism"
    """The realism to harden: `realism`, which comes with Toccata, or realism:FOLDER."""
    rounds: int = 3
    """Rounds of attacks and fits, before the last attacks; 0 only attacks."""
    corpus: tuple[str, ...] = ("bach", "folk")
    """Real music of the fits: corpora and folders. Name those that the weights were fitted to, or they are unlearnt."""
    fakes: tuple[str, ...] = ()
    """Further negatives of the fit of the realism, FAMILY=FOLDER each, such as those that it was fitted to."""
    sound_fonts: tuple[Path, ...] = ()
    """Sound fonts (SF2 or SF3 files) beside the default one, through which the rating hears the pieces of its fit."""
    genre: str = "classical"
    """Genre of the attackers and of the real pieces that they are compared with, from `corpus`."""
    bars: int = 8
    """Bars of a piece."""
    attack_timesteps: int = 131_072
    """Steps of each attacking agent."""
    learning_rate: float = 1e-3
    """Of the attacking agents' Adam: ten times that of `train`, since they should go far."""
    num_envs: int = 64
    """Environments of each attacking agent."""
    samples: int = 128
    """Pieces that are taken from each attack, and real ones that they are compared with."""
    best_of: int = 256
    """Samples of the prior for each piece of best-of-n, of which the best is kept. A search starts with the best of a
    32nd of that."""
    search_steps: int = 200
    """Edits that each search tries on each of its pieces; half of them along the gradient of the realism."""
    realism_steps: int = 400
    """Training steps of the realism in a round."""
    per_source: int = 400
    """Real pieces of each source, and half as many negatives of each kind, in the fits."""
    seed: int = 0
    """One seed gives one result."""
    device: str = "auto"
    """cpu, cuda, or auto."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        for name in ("rating", "realism"):
            if getattr(self, name).partition(":")[0] != name:
                raise ConfigError(f"{name} must be {name} or {name}:FOLDER, got {getattr(self, name)!r}")
        for entry in self.fakes:
            if not all(entry.partition("=")):
                raise ConfigError(f"fakes must be FAMILY=FOLDER each, got {entry!r}")

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(asdict(self), indent=2, default=str)

    def refuse_changes(self, saved: dict[str, Any]) -> None:
        """Raise ConfigError when a folder was begun with other settings.

        Args:
            saved: those of its config.json.
        """
        ours = json.loads(self.to_json())
        for field in fields(self):
            name = field.name
            if name not in ("out", "device", *RESUMABLE) and saved.get(name) != ours[name]:
                flag = name.replace("_", "-")
                raise ConfigError(
                    f"{self.out}: was begun with --{flag} {saved.get(name)}, got {ours[name]}; choose another --out"
                )
