"""Does a realism critic punish what is popular? `python benchmarks/dilemma.py --doodle FOLDER --run RUN`.

Of the melodies of the Bach Doodle, and with `--billboard` of songs in the charts, those that a critic rejects at the
threshold where it accepts 90 % of them, by decile of popularity; rating and realism of the best of n pieces of the
run's reference policy by several rules that combine both; and what three remedies change. Writes results-dilemma.json,
dilemma.md and dilemma.png into the folder `--out`, and keeps there the critics that it fits and the pool of pieces,
which the next call reads. Takes tens of minutes on one core; docs/dilemma.md has the results.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before the imports that read it

import numpy as np
import torch
from dilemma_critics import (
    CrossFitted,
    conditioned,
    cross_fit,
    feature_fitter,
    halves_of,
    network_fitter,
    predicted_popularity,
    shipped_critics,
)
from dilemma_front import BEST_OF, Axes, front, gate, hinge, judged_volumes, product, weighted_sum
from dilemma_music import (
    BARS,
    MELODY_BARS,
    SEVERAL,
    WORLDWIDE,
    RatedMusic,
    chord_negatives,
    melodies_in,
    own_corpus,
    read_billboard,
    read_doodle,
    read_pool,
)
from dilemma_report import plot, report
from dilemma_statistics import (
    REJECTED,
    auc_interval,
    by_decile,
    control_design,
    decile_weights,
    partial_spearman,
    rejected,
    resampled,
    weighted_auc,
)

from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.panel import BITS, GOLD, REALISM, Panel
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.realism.model import Realism
from toccata.stats import Interval, bootstrap_mean, spearman

MELODY_NEGATIVES, SONG_NEGATIVES = 400, 100  # of each kind, for critics of melodies and of songs

Scope = tuple[np.ndarray, np.ndarray]  # indices (m,) of pieces, and (m,) offsets of the logarithm of their counts


def rejection(
    music: RatedMusic,
    scores: np.ndarray,
    rng: np.random.Generator,
    *,
    accepted: float = 1 - REJECTED,
    threshold: float | None = None,
    scope: Scope | None = None,
    redraw: bool = False,
) -> dict:
    """What a critic rejects by popularity, with intervals that resample clusters.

    Args:
        music: the pieces.
        scores: (n,) of the critic.
        rng: random number generator.
        accepted: share of all pieces that the threshold accepts.
        threshold: of the scores; by default from `accepted`.
        scope: a part of the pieces; by default all.
        redraw: counts are drawn anew, too.
    """
    rows, offset = (np.arange(len(music)), np.zeros(len(music))) if scope is None else scope
    are_counts = bool((music.counts > 0).all())
    design = control_design(music.controls[rows])

    def statistic(index: np.ndarray, counts: np.ndarray) -> np.ndarray:
        of_index = rows[index]
        popularity = np.log(np.maximum(counts, 0.5)) - offset[index] if are_counts else counts
        values = scores[of_index]
        cut = np.quantile(values, 1 - accepted) if threshold is None else threshold
        means = by_decile(popularity, rejected(values, cut))
        correlation = spearman(popularity, values)
        partial = partial_spearman(popularity, values, design[index])
        return np.array([means[-1] - means[0], correlation, partial, *means])

    clusters = [music.clusters[row] for row in rows.tolist()]
    difference, correlation, partial, *deciles = resampled(
        statistic, music.counts[rows], clusters, rng, redraw=redraw and are_counts
    )
    return {
        "popular": deciles[-1],
        "unpopular": deciles[0],
        "difference": difference,
        "rank_correlation": correlation,
        "partial_rank_correlation": partial,
        "deciles": deciles,
    }


def change_of_popular(
    music: RatedMusic, before: np.ndarray, after: np.ndarray, rng: np.random.Generator, accepted: float
) -> Interval:
    """Rejected of the popular tenth by one critic (n,), minus that by another one (n,) that accepts 90 %."""

    def statistic(index: np.ndarray, counts: np.ndarray) -> np.ndarray:
        cuts = np.quantile(after[index], 1 - accepted), np.quantile(before[index], REJECTED)
        outcome = rejected(after[index], float(cuts[0])) - rejected(before[index], float(cuts[1]))
        return by_decile(counts, outcome)[-1:]

    return resampled(statistic, music.counts, music.clusters, rng, redraw=False)[0]


def scopes_of(music: RatedMusic) -> dict[str, Scope]:
    """Melodies counted worldwide; and those counted in one country, each relative to the mean of its country."""
    logs = np.log(music.counts)
    worldwide = np.flatnonzero(music.source == WORLDWIDE)
    single = np.flatnonzero((music.source != WORLDWIDE) & (music.source != SEVERAL))
    means = {country: logs[music.source == country].mean() for country in set(music.source[single].tolist())}
    offsets = np.array([means[country] for country in music.source[single].tolist()])
    return {"counted worldwide": (worldwide, np.zeros(len(worldwide))), "counted in one country": (single, offsets)}


def two_sided(scores: np.ndarray) -> np.ndarray:
    """(n,) how far a score is from the nearer end of the order of all; low at both ends."""
    share = (np.argsort(np.argsort(scores)) + 0.5) / len(scores)
    return np.minimum(share, 1 - share)


def against_generated(critic: CrossFitted, rng: np.random.Generator, accepted: float = 1 - REJECTED) -> dict:
    """AUC of real pieces over generated melodies, and the share of these that the threshold accepts."""
    generated, cut = critic.first_generated(), np.quantile(critic.real, 1 - accepted)
    return {
        "auc": auc_interval(critic.real, generated, rng),
        "generated_accepted": bootstrap_mean(1 - rejected(generated, float(cut)), rng),
    }


def rewards_by_rule(
    music: RatedMusic, prediction: CrossFitted, critics: dict[str, CrossFitted], seed: int
) -> dict[str, dict[str, Interval]]:
    """Whether a reward of predicted popularity and a critic still prefers the popular decile, and real melodies.

    `popular` is the AUC of the popular over the unpopular decile, `real` that of real over generated melodies.
    """
    critic = critics["plain"]
    count = len(music)

    def axes(realism: CrossFitted) -> Axes:
        return Axes(
            np.append(prediction.real, prediction.first_generated()),
            np.append(realism.real, realism.first_generated()),
            prediction.real,
            realism.real,
        )

    plain = axes(critic)
    rewards = {
        "rating alone": plain.rating,
        "realism alone": plain.realism,
        "weighted sum": weighted_sum(plain, 1.0),
        "product": product(plain, 1.0),
        "hinge, 10 %": hinge(plain, 10),
        "gate, 5 %": gate(plain, 5),
        "gate, 10 %": gate(plain, 10),
        "weighted sum, reals by sessions": weighted_sum(axes(critics["by sessions"]), 1.0),
        "weighted sum, conditioned": weighted_sum(axes(critics["conditioned"]), 1.0),
    }
    stacked = np.stack(list(rewards.values()))

    def statistic(index: np.ndarray, counts: np.ndarray) -> np.ndarray:
        weights = decile_weights(counts)
        return np.array([weighted_auc(each[index], weights[-1], each[index], weights[0]) for each in stacked])

    popular = resampled(statistic, music.counts, music.clusters, np.random.default_rng(seed), redraw=False)
    return {
        name: {"popular": interval, "real": auc_interval(each[:count], each[count:], np.random.default_rng(seed))}
        for (name, each), interval in zip(rewards.items(), popular, strict=True)
    }


@dataclass(frozen=True)
class DoodleScores:
    """What all critics say of the melodies of the Bach Doodle.

    Attributes:
        scores: (n,) by critic.
        thresholds: 10 % of other real music, by critic and music.
        prediction: predicted popularity of every melody, by a fit that did not know it.
        fitted: critics of the domain, by remedy.
    """

    scores: dict[str, np.ndarray]
    thresholds: dict[tuple[str, str], float]
    prediction: CrossFitted
    fitted: dict[str, CrossFitted]


def score_doodle(music: RatedMusic, pool: Sequence[Sequence[Score]], out: Path, seed: int) -> DoodleScores:
    """Score the melodies by the shipped critics, and by critics that are fitted to half of them."""
    own = own_corpus(np.random.default_rng(seed))
    own_melodies = [melodies[0] for melodies in map(melodies_in, own) if melodies]
    scores, thresholds = {}, {}
    for name, critic in shipped_critics().items():
        print(f"scoring: {name}", flush=True)
        scores[name] = critic(music.scores)
        for corpus, pieces in (("own corpus, eight bars", own), ("own corpus, two bars of melody", own_melodies)):
            thresholds[name, corpus] = float(np.quantile(critic(pieces), REJECTED))
    scores["typicality, both sides"] = two_sided(scores["typicality"])

    halves = halves_of(music.scores, music.clusters, MELODY_BARS, pool, None, seed, MELODY_NEGATIVES)
    print("predicting popularity", flush=True)
    prediction = predicted_popularity(music.scores, music.popularity, halves, pool, seed)
    print("critics of the domain", flush=True)
    fit, fit_by_sessions = (
        network_fitter(music.scores, out / "critics", name, seed) for name in ("melodies", "melodies-by-sessions")
    )
    plain = cross_fit(fit, music.scores, halves, pool)
    fitted = {
        "plain": plain,
        "by sessions": cross_fit(fit_by_sessions, music.scores, halves, pool, music.counts),
        "conditioned": conditioned(plain, prediction),
    }
    scores["fitted to melodies"] = plain.real
    return DoodleScores(scores, thresholds, prediction, fitted)


def of_doodle(music: RatedMusic, scored: DoodleScores, seed: int) -> dict:
    """Results on the Bach Doodle."""

    def rng() -> np.random.Generator:  # the same resamples for every critic
        return np.random.default_rng(seed)

    scores, prediction, fitted = scored.scores, scored.prediction, scored.fitted
    print("intervals", flush=True)
    critics = {
        name: {
            **rejection(music, values, rng()),
            "counts_redrawn": rejection(music, values, rng(), redraw=True)["difference"],
            "scopes": {
                where: rejection(music, values, rng(), scope=scope) for where, scope in scopes_of(music).items()
            },
        }
        for name, values in scores.items()
    }
    plain = fitted["plain"]
    tried = [(remedy, critic, 1 - REJECTED) for remedy, critic in fitted.items()]
    remedies = {
        remedy: {
            **rejection(music, critic.real, rng(), accepted=accepted),
            **against_generated(critic, rng(), accepted),
            "change_of_popular": change_of_popular(music, plain.real, critic.real, rng(), accepted),
        }
        for remedy, critic, accepted in [*tried, ("gate at 5 %", plain, 0.95)]
    }
    shape = ("notes", "beats", "keys", "range", "interval", "repeated", "off the beat", "note values")
    return {
        "pieces": len(music),
        "clusters": len(set(music.clusters)),
        "shape": {
            name: {
                "rank_correlation": spearman(music.popularity, column),
                "deciles": by_decile(music.popularity, column),
            }
            for name, column in zip(shape, music.controls.T, strict=True)
        },
        "critics": critics,
        "other_thresholds": {
            f"{name}; {corpus}": rejection(music, scores[name], rng(), threshold=cut)
            for (name, corpus), cut in scored.thresholds.items()
        },
        "negatives": {kind: auc_interval(plain.real, values, rng()) for kind, values in plain.negatives.items()},
        "prediction": {
            "rank_correlation": spearman(prediction.real, music.popularity),
            "with_critics": {name: spearman(prediction.real, values) for name, values in scores.items()},
        },
        "remedies": remedies,
        "rewards": rewards_by_rule(music, prediction, fitted, seed),
    }


def of_billboard(folder: Path, seed: int) -> dict:
    """Results on songs in the charts, their chords as block chords."""
    rng = np.random.default_rng(seed)
    music, chords = read_billboard(folder)
    scores = {name: critic(music.scores) for name, critic in shipped_critics().items()}

    def extra(rows: np.ndarray, rng: np.random.Generator) -> dict[str, list[Score]]:
        return chord_negatives([chords[row] for row in rows.tolist()], rng)

    halves = halves_of(music.scores, music.clusters, BARS, (), extra, seed, SONG_NEGATIVES)
    critic = cross_fit(feature_fitter(music.scores, seed), music.scores, halves, ())
    scores["fitted to songs, features"] = critic.real
    return {
        "pieces": len(music),
        "clusters": len(set(music.clusters)),
        "rank_correlation_with_year": spearman(music.popularity, music.controls[:, 0]),
        "critics": {name: rejection(music, each, rng) for name, each in scores.items()},
        "negatives": {kind: auc_interval(critic.real, each, rng) for kind, each in critic.negatives.items()},
    }


def judged_values(pool: Sequence[Score], out: Path, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Ratings, realism and judgements, (n,) by name, of the "pool" and of "real" excerpts; kept in files."""
    names = {"pool": lambda: pool, "real": lambda: own_corpus(np.random.default_rng(seed))}
    values = {}
    for name, scores in names.items():
        path = out / f"{name}-values.npz"
        if not path.exists():
            print(f"scoring: {name}", flush=True)
            pieces = Pieces(scores())
            rewards = {"rating": RatingModel.load().score(pieces), "realism": Realism.load().score(pieces)}
            np.savez(path, **rewards, **Panel.load().judge(pieces))  # type: ignore[arg-type]  # arrays by name
        with np.load(path) as file:
            values[name] = {key: file[key].astype(float) for key in file.files}
    return values


def of_pool(values: dict[str, dict[str, np.ndarray]], fitted: dict, seed: int) -> dict:
    """The fronts of rating and realism, and of the judges, of the best of n pieces of the pool."""
    of_pool, of_real = values["pool"], values["real"]
    axes = Axes(of_pool["rating"], of_pool["realism"], of_real["rating"], of_real["realism"])
    judges = np.column_stack([of_pool[GOLD], of_pool[REALISM], of_pool[BITS]])
    critics = {"shipped discriminator": axes} | {
        remedy: Axes(axes.rating, critic.of_pool(), axes.real_rating, critic.real) for remedy, critic in fitted.items()
    }
    print("fronts", flush=True)
    names = ("rating", "realism", GOLD, REALISM, BITS)
    return {
        "pieces": len(of_pool["rating"]),
        "axes": names,
        "start": {name: [of_pool[name].mean(), of_pool[name].std()] for name in names},
        "real": {name: [of_real[name].mean(), of_real[name].std()] for name in names},
        "rank_correlations": {
            f"{a} - {b}": spearman(of_pool[a], of_pool[b]) for i, a in enumerate(names) for b in names[i + 1 :]
        },
        "best_of": {str(n): front(axes, judges, n, np.random.default_rng(seed)) for n in BEST_OF},
        "remedies": {str(n): judged_volumes(critics, judges[:, :2], n, np.random.default_rng(seed)) for n in BEST_OF},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doodle", type=Path, required=True, help="folder with melodies.jsonl of the Bach Doodle")
    parser.add_argument("--run", type=Path, required=True, help="run folder whose reference policy writes the pool")
    parser.add_argument("--billboard", type=Path, help="folder with songs.jsonl of the McGill Billboard annotations")
    parser.add_argument("--pieces", type=int, default=1536, help="in the pool")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/dilemma"), help="folder for all that is written")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    pool = read_pool(options.run, options.pieces, options.seed, options.out / "pool.npz")
    results: dict = {}
    music = read_doodle(options.doodle)
    scored = score_doodle(music, [melodies_in(score) for score in pool], options.out, options.seed)
    results["doodle"] = of_doodle(music, scored, options.seed)
    results["pool"] = of_pool(judged_values(pool, options.out, options.seed), scored.fitted, options.seed)
    if options.billboard is not None:
        results["billboard"] = of_billboard(options.billboard, options.seed)
    text = json.dumps(results, indent=1, default=_plain)
    (options.out / "results-dilemma.json").write_text(text + "\n", encoding="utf-8")
    tables = report(json.loads(text))
    (options.out / "dilemma.md").write_text(tables, encoding="utf-8")
    plot(json.loads(text), options.out / "dilemma.png")
    print(tables)


def _plain(value: np.ndarray | np.generic) -> object:
    """Arrays and numbers of NumPy as those of JSON."""
    return value.tolist()


if __name__ == "__main__":
    main()
