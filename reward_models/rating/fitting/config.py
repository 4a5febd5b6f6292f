"""Options of `toccata fit-rating`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toccata.errors import ToccataError
from toccata.settings.options import ConfigError, Range, check_fields

RANGES = {
    "seed": Range(0, 2**31),
    "copies": Range(0, 100),
    "epochs": Range(1, 10_000),
    "folds": Range(0, 20),
    "members": Range(1, 16),
    "pessimism": Range(0, 10, whole=False),
    "pair_weight": Range(0, 1000, whole=False),
    "negatives": Range(10, 100_000),
    "min_notes": Range(1, 10_000),
    "synthetic_pieces": Range(10, 10**6),
    "transcriber_epochs": Range(1, 1000),
}


class FitRatingError(ToccataError, ValueError):
    """Data that a rating network cannot be fitted to, or an output folder that already holds one."""


@dataclass(frozen=True)
class FitRatingConfig:
    """Fit a rating network: sound in, predicted popularity out.

    It takes pieces with plays and likes, or votes on pairs of pieces, or both, and writes a reward for
    `train.py --rewards rating:OUT 1.0`.
    """

    data: Path
    """A manifest CSV (file,plays,likes[,genre,split]) with sound or MIDI files, or a public data set; docs/rating.md
    lists them. A folder with pairs.csv gives votes on pairs, beside a manifest or alone."""
    out: Path
    """Folder to write rating.safetensors, config.json, report.md and curves.png into; must not hold a network yet."""
    pairs: Path | None = None
    """CSV file of votes on pairs (first,second,choice or better,worse), a row a vote; its files are in its folder or
    below. By default pairs.csv in the folder of --data, where there is one."""
    pair_weight: float = 1.0
    """Weight of the Bradley-Terry loss of votes on pairs beside the mean squared error of plays and likes."""
    seed: int = 0
    """Random seed; equal seeds on one machine give equal networks."""
    copies: int = 6
    """Augmented copies of each piece: other keys, tempi, loudness, accompaniments; more take longer."""
    epochs: int = 40
    """Passes over the pieces; each member keeps the weights of its best epoch on a validation split."""
    folds: int = 5
    """Folds of the cross-validation; 0 skips it. Not used when the table has a split with test pieces."""
    members: int = 3
    """Networks in the ensemble; of three or more the last is the sibling member, which no agent is trained against."""
    pessimism: float = 1.0
    """Standard deviations of the ensemble that are subtracted from its mean."""
    negatives: int = 1_000
    """Synthetic negatives that are scores, and a tenth as many recordings of noise; fewer take less time."""
    min_notes: int = 8
    """Scores of fewer notes are left out: their counts show how an interface was tried out rather than a preference."""
    sound_fonts: tuple[Path, ...] = ()
    """Further sound fonts (SF2 or SF3 files) beside the default one; each augmented copy is played by a random one."""
    supported: tuple[str, ...] = ("bach", "folk")
    """Corpora and folders of music beside the data that is rated in full. From longer pieces that are not like it the
    network abstains: their rating falls towards that of noise. Without any it never abstains."""
    refit_transcribers: bool = False
    """Fit new transcribers to synthetic music instead of using those that come with Toccata; takes minutes more."""
    synthetic_pieces: int = 8_000
    """With --refit-transcribers: synthetic pieces that each transcriber is fitted to."""
    transcriber_epochs: int = 6
    """With --refit-transcribers: passes over the synthetic pieces."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        if self.folds == 1:
            raise ConfigError("folds must be 0 or 2..20, got 1")
