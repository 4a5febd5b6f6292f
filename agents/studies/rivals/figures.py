"""The figures of a row of the table, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toccata.agents.evaluation.measuring.set_metrics import FLOOR
from toccata.agents.studies.rivals.measure import MINUTES, REAL_BITS, SECONDS, Sample, Setup, bits_of_real
from toccata.agents.studies.rivals.subjects import Subject
from toccata.reward_models.judges.panel import beside_real
from toccata.stats import bootstrap_mean, mean_of_clusters

Figure = dict[str, float | None]  # mean, low and high; the last two are None where there is no interval


def row_of(samples: Sequence[Sample], real: Sample, seed: int) -> dict[str, Figure]:
    """The means of what was measured of pieces.

    Args:
        samples: of one composer, or of runs that differ in the seed only: then intervals are over these.
        real: real music. It is compared with itself by other excerpts of other works: see `set_metrics`.
        seed: of bootstraps.
    """
    values = [each.values | beside_real(each.values, real.values) for each in samples]
    row: dict[str, Figure] = {}
    row[SECONDS] = _alone(float(np.mean([each[SECONDS].mean() for each in values])))
    for name in (each for each in values[0] if each != SECONDS):
        by_subject = [each[name] for each in values]
        several = len(by_subject) > 1
        interval = (
            mean_of_clusters(by_subject) if several else bootstrap_mean(by_subject[0], np.random.default_rng(seed))
        )
        row[name] = interval._asdict()
    for name, value in samples[0].sets.items():
        if name.startswith(f"{FLOOR}/"):
            continue
        if samples[0] is real:
            row[name] = _alone(real.sets.get(f"{FLOOR}/{name}", value))
        else:
            row[name] = _of_runs([each.sets[name] for each in samples])
    return row


def fits_of(subjects: Sequence[Subject], setup: Setup) -> dict[str, Figure]:
    """Bits of real music under the subjects of a row, and minutes of their fits, where they are known."""
    row: dict[str, Figure] = {}
    own = [bits_of_real(each.identity, each.log_prob, setup) for each in subjects if each.log_prob is not None]
    if len(own) == len(subjects):
        row[REAL_BITS] = own[0]._asdict() if len(own) == 1 else _of_runs([each.mean for each in own])
    minutes = [each.minutes for each in subjects if each.minutes is not None]
    if len(minutes) == len(subjects):
        row[MINUTES] = _alone(float(np.mean(minutes)))
    return row


def _of_runs(values: Sequence[float]) -> Figure:
    """The mean of one figure a run, with its interval over them where there are several."""
    if len(values) == 1:
        return _alone(values[0])
    return mean_of_clusters([np.array([value]) for value in values])._asdict()


def _alone(value: float) -> Figure:
    """A figure without an interval."""
    return {"mean": float(value), "low": None, "high": None}
