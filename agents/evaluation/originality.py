"""What composers share with the works that agents are trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toccata.agents.runs.builders import run_corpus
from toccata.agents.runs.config import TrainConfig
from toccata.envs.pieces import Piece, Pieces
from toccata.music.corpus import Work
from toccata.music.originality import Match, OriginalityIndex, metric_values, originality


def training_works(config: TrainConfig) -> tuple[Work, ...]:
    """The works of a run's corpus that its agent is trained on, whatever their metre.

    Those of the training split; all of a corpus without one, as in training. "real" music is then among them.

    Raises:
        ConfigError, CorpusError: as `run_corpus`.
    """
    corpus = run_corpus(config)
    return corpus.split("train").works or corpus.works


def originality_of(
    composed: Mapping[str, Sequence[Piece]], works: Sequence[Work]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, list[Match]]]:
    """How much each piece shares with the training works, by composer.

    What an agent wrote is compared, without a primer. Real music is what to compare the numbers with: held-out works
    share passages with training works too. They must not be among `works`, or they are found to copy themselves.

    Args:
        composed: pieces of each composer.
        works: whole works; see `training_works`.

    Returns:
        (n,) values by composer and metric, as rows of metrics.json, and the matches by composer, one a piece, with the
        names and the bars of what is shared.
    """
    index = OriginalityIndex.build([work.score for work in works], [work.id for work in works])
    matches = {name: originality(Pieces(pieces).own, index) for name, pieces in composed.items()}
    return {name: metric_values(each) for name, each in matches.items()}, matches
