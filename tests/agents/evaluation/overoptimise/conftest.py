from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.evaluation.overoptimise.evaluator import REWARD
from toccata.agents.evaluation.overoptimise.samples import KL, Sample
from toccata.agents.evaluation.overoptimise.study import Point, RunPoints, Study
from toccata.agents.evaluation.overoptimise.summary import summarise
from toccata.music.metrics import CORE_METRICS
from toccata.music.score import Score
from toccata.reward_models.judges.panel import JUDGEMENTS

POOL = 1024
CONFIG = OveroptimiseConfig((Path("best"), Path("near")), Path("out"))
STD = 0.5  # of the reward under the reference


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=200)


def made_sample(reward: np.ndarray, kl: float | None = None, gold: float = 0.0) -> Sample:
    """Pieces of known rewards, every judge `gold` and every metric 0."""
    rng = np.random.default_rng(len(reward))
    values = {REWARD: reward} | {name: gold + 0.01 * rng.normal(size=len(reward)) for name in JUDGEMENTS}
    values |= {name: np.zeros(len(reward)) for name in CORE_METRICS}
    if kl is not None:
        values[KL] = np.full(len(reward), kl)
    return Sample(tuple(Score([(0, 24, 60 + i % 12, 80), (24, 24, 62, 80)]) for i in range(len(reward))), values)


@pytest.fixture(scope="session")
def study() -> Study:
    """Two seeds that are the exact optimum of a Gaussian reward at 2 nats, from two references, and one run nearer."""
    rng = np.random.default_rng(0)
    pools = {f"reference {seed}": made_sample(1 + STD * rng.normal(size=POOL)) for seed in range(2)}

    def point(step: int, kl: float, gold: float) -> Point:
        reward = 1 + STD * np.sqrt(2 * kl) + STD * rng.normal(size=256)
        return Point(step, step / 100, made_sample(reward, kl, gold))

    best = tuple(
        RunPoints(
            Path(f"best-s{seed}"),
            seed,
            f"reference {seed}",
            tuple(point(100 * i, kl, gold) for i, (kl, gold) in enumerate([(0.5, 0.3), (1.0, 0.4), (2.0, 0.2)], 1)),
        )
        for seed in range(2)
    )
    near = RunPoints(Path("near"), 0, "reference 0", (point(100, 0.3, 0.1),))
    real = made_sample(3 + STD * rng.normal(size=256), gold=1.0)
    return Study({"best": best, "near": (near,)}, {"best": {}, "near": {"gamma": 0.9}}, pools, real, "1 x rating")


@pytest.fixture(scope="session")
def summary(study: Study) -> dict[str, Any]:
    """The figures of the study."""
    return summarise(study, CONFIG)
