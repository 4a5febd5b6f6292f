"""The settings of `toccata overoptimise`. No torch here, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from toccata.settings.options import SEED, Range, check_fields

RANGES = {
    "samples": Range(2, 65_536),
    "base": Range(2, 2**20),
    "checkpoints": Range(0, 1000),
    "least_effective": Range(2, 10_000),
    "seed": SEED,
}


@dataclass(frozen=True)
class OveroptimiseConfig:
    """Show whether runs over-optimise their reward: what the reward and the judges say, against the KL that it cost.

    Samples pieces of each run's final model and of some of its checkpoints, and a base pool of the reference policies.
    From the pool follow best-of-n and the exact optimum at every KL, pi(x) ~ reference(x) exp(reward(x) / beta). All
    are scored by one frozen reward, by the judges, which reward no agent, and by the metrics. Runs that differ in
    nothing but the seed are one arm. Writes frontier.png and .svg, table.md and .csv, and overoptimise.json.

    What was sampled stays in OUT/cache: a call that was stopped goes on where it was, and one with more runs, or other
    rewards, samples only what is not there.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, or folders of `train --seeds`, which hold several. They need no evaluation."""

    out: Path
    """Folder to write; one that an earlier call wrote is gone on with."""

    samples: int = 256
    """Pieces of each model, and real ones. The standard error of a mean is a sixteenth of the standard deviation."""

    base: int = 2048
    """Pieces of the reference policies, shared out evenly among those that differ: cloning has the seed of the run, so
    runs of several seeds have several. Each has at least --samples."""

    checkpoints: int = 4
    """Checkpoints of each run, evenly spaced, beside its final model; 0: the final model alone."""

    rewards: tuple[tuple[str, float], ...] | None = None
    """Reward models that measure all runs, and their weights, as in training. By default those of the first run, as
    they were at its start: what is trained along with one run is no measure of others."""

    least_effective: int = 30
    """Effective sample size down to which the exact optimum is taken from the pool; beyond, it is extrapolated."""

    seed: int = 0
    """One seed gives one result."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    trust: bool = False
    """Run the code of reward models and policies that somebody else's run names."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
