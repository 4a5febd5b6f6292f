"""The panel of judges: what is measured of an agent beside its rewards, by models that it was not trained against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from toccata.envs.pieces import Pieces
from toccata.music.metrics import CORE_METRICS
from toccata.reward_models.judges.bands import band_of, band_share
from toccata.reward_models.judges.note_judges import GoldRating, HeldOutRealism
from toccata.reward_models.judges.typicality import Typicality

BITS, ATYPICALITY, BAND_SHARE = "judge/bits", "judge/atypicality", "judge/band_share"
GOLD, REALISM = "judge/rating", "judge/realism"
JUDGEMENTS = BITS, ATYPICALITY, BAND_SHARE, GOLD, REALISM


@dataclass(frozen=True)
class Panel:
    """Judges that reward no agent.

    Attributes:
        typicality: bits an action under a model that no agent starts from.
        gold: popularity of the melody, from its notes.
        realism: log-odds that a person wrote it, from features of its notes.
    """

    typicality: Typicality
    gold: GoldRating
    realism: HeldOutRealism

    @classmethod
    def load(cls, folder: str | PathLike[str] | None = None) -> Panel:
        """The judges in the folders `typicality`, `gold-rating` and `held-out-realism`; by default those of Toccata.

        Raises:
            WeightsError: when a file is missing or damaged, naming it.
        """
        places = [
            None if folder is None else Path(folder) / judge.name for judge in (Typicality, GoldRating, HeldOutRealism)
        ]
        return cls(Typicality.load(places[0]), GoldRating.load(places[1]), HeldOutRealism.load(places[2]))

    def judge(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """What each judge says of the pieces, (n,) by name."""
        return {BITS: self.typicality.bits(pieces), GOLD: self.gold.score(pieces), REALISM: self.realism.score(pieces)}


def beside_real(values: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where pieces lie beside the 5 to 95 % range of real ones, (n,) by name.

    `judge/atypicality` is the distance of the bits to the range, in its widths; 0 inside. `judge/band_share` is the
    share of the core metrics that lie in their ranges.

    Args:
        values: metrics and judgements of pieces.
        real: the same of real pieces.
    """
    bands = {name: band_of(real[name]) for name in CORE_METRICS}
    return {ATYPICALITY: band_of(real[BITS]).distance(values[BITS]), BAND_SHARE: band_share(values, bands)}


def unlike_music(values: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n,) bool: whether two of three judges place a piece outside the range of real ones.

    They are the bits, outside the 5 to 95 % range; the log-odds, below the 5 % of real pieces; and the share of the
    metrics in their ranges, below the 5 % of real pieces.

    Args:
        values: metrics, judgements and `beside_real` of pieces.
        real: the same of real pieces.
    """
    outside = [
        ~band_of(real[BITS]).contains(values[BITS]),
        values[REALISM] < band_of(real[REALISM]).low,
        values[BAND_SHARE] < band_of(real[BAND_SHARE]).low,
    ]
    return np.sum(outside, axis=0) >= 2
