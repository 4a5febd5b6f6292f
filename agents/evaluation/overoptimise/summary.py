"""The figures of a study: rows of start, best-of-n, arms and real music, the limit, and the curves of Gao et al."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toccata.agents.evaluation.overoptimise.beside import (
    GAIN,
    SAME_N,
    SHARE,
    Base,
    beside,
    resampled_shares,
    share_of_limit,
    sizes_of,
)
from toccata.agents.evaluation.overoptimise.best_of_n import best_of_n_sets, best_of_n_weights, kl_of_best_of
from toccata.agents.evaluation.overoptimise.config import OveroptimiseConfig
from toccata.agents.evaluation.overoptimise.curves import CurveRun, fit_curve, fit_runs
from toccata.agents.evaluation.overoptimise.evaluator import REWARD
from toccata.agents.evaluation.overoptimise.limit import hold_out
from toccata.agents.evaluation.overoptimise.samples import KL, Sample
from toccata.agents.evaluation.overoptimise.sets import COUNT, SIZE, diversity_of_sets, random_sets
from toccata.agents.evaluation.overoptimise.study import MINUTES, STEPS, RunPoints, Study
from toccata.music.metrics import CORE_METRICS
from toccata.reward_models.judges.bands import band_of
from toccata.reward_models.judges.panel import JUDGEMENTS
from toccata.stats import Interval, mean_of_clusters, percentile_interval

START, REAL = "start", "real"
POOL_RESAMPLES = 200
LIMIT_POINTS = 60  # of the drawn limit
MIN_HELD_OUT = 64  # pieces of a pool whose extrapolation is tried out

Values = Mapping[str, np.ndarray]
Figures = dict[str, Any]


def summarise(study: Study, config: OveroptimiseConfig) -> Figures:
    """What overoptimise.json holds; docs/overoptimisation.md describes it."""
    size = min(SIZE, config.samples)
    bases = {key: Base.of(pool.values[REWARD], config.least_effective) for key, pool in study.pools.items()}
    rng = np.random.default_rng([config.seed, 1])
    sizes = sizes_of(min((len(pool) for pool in study.pools.values()), default=0)) if bases else []
    bands = {name: band_of(study.real.values[name]) for name in CORE_METRICS}
    rows: dict[str, Figures] = {}
    for n in sizes:
        name = START if n == 1 else f"best of {n}"
        figures = _best_of(list(study.pools.values()), list(bases.values()), n, size, rng)
        rows[name] = {"n": n, **_row("start" if n == 1 else "best of n", figures)}
        rows[name]["limit_extrapolated"] = any(kl_of_best_of(n) > base.limit.edge_kl for base in bases.values())
    arms = {}
    for name, runs in study.arms.items():
        described = [_points(run, bases, size, config, rng) for run in runs]
        rows[name] = _row("arm", _arm([each[-1] for each in described], runs, bases, config, rng))
        rows[name]["limit_extrapolated"] = any(each[-1]["limit_extrapolated"] for each in described)
        arms[name] = {
            "settings": study.settings[name],
            "runs": [
                {
                    "folder": str(run.folder),
                    "seed": run.seed,
                    "reference": run.reference,
                    "start": _means(study.pools[run.reference].values) if run.reference else None,
                    "points": _plain(points),
                }
                for run, points in zip(runs, described, strict=True)
            ],
        }
    real = study.real.values | diversity_of_sets(study.real.scores, random_sets(len(study.real), size, rng))
    rows[REAL] = _row("real", {name: mean_of_clusters([each]) for name, each in real.items()})
    for row in rows.values():
        row["outside"] = [
            name for name, band in bands.items() if not band.contains(np.array([row["metrics"][name]["mean"]]))[0]
        ]
    return {
        "proxy_reward": study.proxy_reward,
        "settings": {
            name: getattr(config, name) for name in ("samples", "base", "checkpoints", "least_effective", "seed")
        },
        "pools": {key: len(pool) for key, pool in study.pools.items()},
        "set_size": size,
        "rows": rows,
        "real_range": {name: {"low": band.low, "high": band.high} for name, band in bands.items()},
        "arms": arms,
        "limit": _limit(study, bases, rows, config.least_effective, rng) if bases else None,
        "curves": _curves(study, rows, rng),
        "remarks": [*study.remarks, *_remarks(study)],
    }


def _row(kind: str, metrics: Mapping[str, Interval | Figures]) -> Figures:
    """A row of the table; what has one value in all has no interval."""
    described = {}
    for name, each in metrics.items():
        figures = dict(each._asdict()) if isinstance(each, Interval) else each
        if figures["low"] == figures["high"] == figures["mean"]:
            figures |= {"low": None, "high": None}
        described[name] = figures
    return {"kind": kind, "metrics": described}


def _best_of(
    pools: Sequence[Sample], bases: Sequence[Base], n: int, size: int, rng: np.random.Generator
) -> dict[str, Interval]:
    """Every metric under best-of-n of the pools, which count alike."""
    names = list(pools[0].values)
    weights = [best_of_n_weights(pool.values[REWARD], n) for pool in pools]
    means = {name: [float(own @ pool.values[name]) for own, pool in zip(weights, pools, strict=True)] for name in names}
    if len(pools) > 1:
        found = {name: mean_of_clusters([np.array([value]) for value in each]) for name, each in means.items()}
    elif n == 1:
        found = {name: mean_of_clusters([pools[0].values[name]]) for name in names}
    else:
        found = _resampled_best_of(pools[0].values, n, rng)
    for name, values in _diversity_of_best(pools, n, size, rng).items():
        found[name] = mean_of_clusters(values)
    found[KL] = Interval(*[kl_of_best_of(n)] * 3)
    if n == 1:
        found[GAIN] = Interval(0.0, 0.0, 0.0)
        return found
    starts = [float(pool.values[REWARD].mean()) for pool in pools]
    found[GAIN] = mean_of_clusters(
        [np.array([value - start]) for value, start in zip(means[REWARD], starts, strict=True)]
    )
    shares = [
        share_of_limit(value, kl_of_best_of(n), base.limit) for value, base in zip(means[REWARD], bases, strict=True)
    ]
    if None not in shares:
        found[SHARE] = mean_of_clusters([np.array([share]) for share in shares])
    return found


def _resampled_best_of(values: Values, n: int, rng: np.random.Generator) -> dict[str, Interval]:
    """Every metric under best-of-n of one pool, with bootstrap intervals over its pieces."""
    rewards, names = values[REWARD], list(values)
    table = np.stack([values[name] for name in names], axis=1)
    size = len(rewards)
    counts = rng.multinomial(size, np.full(size, 1 / size), POOL_RESAMPLES)
    resampled = np.array([best_of_n_weights(rewards, n, each) @ table for each in counts])
    estimates = best_of_n_weights(rewards, n) @ table
    return {name: percentile_interval(estimates[i], resampled[:, i]) for i, name in enumerate(names)}


def _diversity_of_best(
    pools: Sequence[Sample], n: int, size: int, rng: np.random.Generator
) -> dict[str, list[np.ndarray]]:
    """(1,) of each pool by name; nothing where the pools are too small for sets."""
    found: dict[str, list[np.ndarray]] = {}
    for pool in pools:
        sets = best_of_n_sets(pool.values[REWARD], n, size, COUNT, rng)
        for name, value in (diversity_of_sets(pool.scores, sets) if sets else {}).items():
            found.setdefault(name, []).append(value)
    return found


def _points(
    run: RunPoints, bases: Mapping[str, Base], size: int, config: OveroptimiseConfig, rng: np.random.Generator
) -> list[Figures]:
    """Of each model of a run its values by metric, (n,) or (1,), and how it stands beside the start."""
    points = []
    base = bases.get(run.reference or "")
    for point in run.points:
        sample = point.sample
        values: dict[str, np.ndarray] = dict(sample.values)
        values |= diversity_of_sets(sample.scores, random_sets(len(sample), size, rng))
        values[STEPS] = np.array([float(point.step)])
        if point.minutes is not None:
            values[MINUTES] = np.array([point.minutes])
        kl = values.get(KL)
        extrapolated = False
        if base is not None:
            stands = beside(values[REWARD], kl, base)
            values |= {name: np.array([value]) for name, value in stands.items() if value is not None}
            extrapolated = kl is not None and float(kl.mean()) > base.limit.edge_kl
        points.append({"values": values, "limit_extrapolated": extrapolated})
    return points


def _arm(
    finals: Sequence[Figures],
    runs: Sequence[RunPoints],
    bases: Mapping[str, Base],
    config: OveroptimiseConfig,
    rng: np.random.Generator,
) -> dict[str, Interval | Figures]:
    """Every metric that all runs of an arm have, over seeds and pieces as `toccata compare` has them."""
    names = [name for name in finals[0]["values"] if all(name in each["values"] for each in finals)]
    found: dict[str, Interval | Figures] = {}
    for name in names:
        by_seed = [each["values"][name] for each in finals]
        means = [float(values.mean()) for values in by_seed]
        if name == SAME_N:  # over seeds the mean of log n; beyond the largest n it has no value
            middle = float(np.exp(np.mean(np.log(means)))) if np.isfinite(means).all() else None
            values = [value if np.isfinite(value) else None for value in means]
            found[name] = {"mean": middle, "low": None, "high": None, "by_seed": values}
            continue
        interval = mean_of_clusters(by_seed)
        if len(runs) == 1 and name in (GAIN, SHARE):
            interval = _of_one_run(name, runs[0], bases, interval, config, rng)
        found[name] = {**interval._asdict(), "by_seed": means}
    return found


def _of_one_run(
    name: str,
    run: RunPoints,
    bases: Mapping[str, Base],
    interval: Interval,
    config: OveroptimiseConfig,
    rng: np.random.Generator,
) -> Interval:
    """Gain or share of one run with a bootstrap interval over its pieces and those of the pool."""
    base, values = bases[run.reference or ""], run.final.sample.values
    if name == SHARE:
        shares = resampled_shares(values[REWARD], values[KL], base, config.least_effective, rng)
        return percentile_interval(interval.mean, shares) if len(shares) else interval
    ours, theirs = values[REWARD], base.rewards
    resampled = [
        rng.choice(ours, len(ours)).mean() - rng.choice(theirs, len(theirs)).mean() for _ in range(POOL_RESAMPLES)
    ]
    return percentile_interval(interval.mean, np.array(resampled))


def _means(values: Values) -> dict[str, float]:
    return {name: float(each.mean()) for name, each in values.items()}


def _plain(points: Sequence[Figures]) -> list[Figures]:
    """The means of the points of a run, for JSON."""
    return [
        {
            "metrics": {
                name: float(values.mean()) if np.isfinite(values).all() else None
                for name, values in point["values"].items()
            },
            "limit_extrapolated": point["limit_extrapolated"],
        }
        for point in points
    ]


def _limit(
    study: Study,
    bases: Mapping[str, Base],
    rows: Mapping[str, Figures],
    least_effective: int,
    rng: np.random.Generator,
) -> Figures:
    """The limit at a range of KL, mean over the pools, and what was found of its extrapolation."""
    limits = {key: base.limit for key, base in bases.items()}
    edge = min(limit.edge_kl for limit in limits.values())
    farthest = max((row["metrics"][KL]["mean"] for row in rows.values() if KL in row["metrics"]), default=edge)
    points = [
        point.sample.values[KL].mean()
        for runs in study.arms.values()
        for run in runs
        for point in run.points
        if KL in point.sample.values
    ]
    most = 1.2 * max(farthest, edge, *points)
    distances = np.unique(np.append(np.linspace(0, np.sqrt(most), LIMIT_POINTS), np.sqrt(edge)))
    grid = np.where(np.isclose(distances, np.sqrt(edge)), edge, distances**2)
    judged: dict[str, list[float | None]] = {name: [] for name in JUDGEMENTS}
    for kl in grid:
        weights = {key: limit.weights(kl) for key, limit in limits.items()}
        for name, values in judged.items():
            means = [
                float(own @ study.pools[key].values[name]) if own is not None else None for key, own in weights.items()
            ]
            known = [each for each in means if each is not None]
            values.append(float(np.mean(known)) if len(known) == len(means) else None)
    tried = [
        hold_out(base.rewards, rng, least_effective) for base in bases.values() if len(base.rewards) >= MIN_HELD_OUT
    ]
    return {
        "kl": grid.tolist(),
        "reward": [float(np.mean([limit.reward(kl) for limit in limits.values()])) for kl in grid],
        "extrapolated": [bool(kl > edge) for kl in grid],
        "judges": judged,
        "edge_kl": edge,
        "pools": {
            key: {
                "edge_kl": limit.edge_kl,
                "edge_reward": limit.edge_reward,
                "std": float(limit.rewards.std()),
            }
            for key, limit in limits.items()
        },
        "hold_out": {name: float(np.mean([each[name] for each in tried])) for name in tried[0]} if tried else None,
    }


def _curves(study: Study, rows: Mapping[str, Figures], rng: np.random.Generator) -> Figures:
    """The fits of each arm, and of best-of-n, by name and metric."""
    found: dict[str, Figures] = {}
    names = (REWARD, *JUDGEMENTS)
    best = [row for row in rows.values() if row["kind"] in ("start", "best of n")]
    if len(best) > 2:
        d = np.sqrt([row["metrics"][KL]["mean"] for row in best])
        found["best of n"] = {}
        for name in names:
            means = np.array([row["metrics"][name]["mean"] for row in best])
            alpha, beta = fit_curve(d, means - means[0], "best-of-n")
            found["best of n"][name] = {"alpha": {"mean": alpha}, "beta": {"mean": beta}}
    for arm, runs in study.arms.items():
        measured = [run for run in runs if run.reference is not None and KL in run.final.sample.values]
        if len(measured) < len(runs):
            continue
        found[arm] = {
            name: fit_runs(
                [
                    CurveRun(
                        study.pools[run.reference or ""].values[name],
                        tuple(point.sample.values[name] for point in run.points),
                        tuple(point.sample.values[KL] for point in run.points),
                    )
                    for run in measured
                ],
                rng,
            )
            for name in names
        }
    return found


def _remarks(study: Study) -> list[str]:
    """Lines about what the figures do not say."""
    lines = []
    single = [name for name, runs in study.arms.items() if len(runs) == 1]
    if single:
        lines.append(f"{', '.join(single)}: one seed; its intervals cover pieces only, not how runs differ by seed")
    if len(study.pools) > 1:
        lines.append(
            f"start, best-of-n and the limit are means over {len(study.pools)} reference policies; gain, share of the "
            "limit and the n of the same reward are of each run beside its own"
        )
    return lines
