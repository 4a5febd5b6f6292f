"""Fit a rating network on preference data: `toccata fit-rating --data DIR --out DIR`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from toccata.reward_models.listening import fit_listener, spectrograms
from toccata.reward_models.melodies import negative, note_features, vary
from toccata.reward_models.preferences import Preference, PreferenceError, contour, contour_folds, read_melodies
from toccata.reward_models.rating import (
    CONFIG_FILE,
    RatingConfig,
    RatingModel,
    RatingNetwork,
)
from toccata.reward_models.rating_report import (
    Agreement,
    agreement,
    extremes_table,
    invariances,
    ridge,
)
from toccata.reward_models.tasting import Heard, fit_ensemble

REPORT_FILE = "report.md"
LEAST_NOTES = 8  # shorter melodies say more about how the doodle was tried out than about music: they are left out
NEGATIVE_PIECES = 600  # pieces nobody would want; a fifth of the made-up pieces where those are fewer
LEAST_MELODIES = 40  # fewer cannot be split into folds of contours


@dataclass(frozen=True)
class FitRatingConfig:
    """Fit a rating network: sound in, predicted popularity out."""

    data: Path
    """Folder that holds melodies.jsonl, in the format of docs/rating.md."""
    out: Path
    """Folder to write rating.safetensors, config.json and report.md into; must not hold a network yet."""
    seed: int = 0
    """Seed of everything; equal seeds on one machine give equal networks."""
    made_up_pieces: int = 7_000
    """Made-up pieces on which the network learns to hear notes, before it sees a popularity."""
    hearing_epochs: int = 6
    """How often each made-up piece is heard."""
    copies: int = 6
    """Varied renditions of each melody: other keys, octaves, tempi, loudness, accompaniments."""
    epochs: int = 40
    """Passes over the melodies at most; each member keeps its best epoch on melodies held out from it."""
    members: int = 3
    """Networks in the ensemble."""
    pessimism: float = 1.0
    """Standard deviations of the ensemble that the score takes off its mean."""
    folds: int = 5
    """Folds of the cross-validation; 0 leaves it out."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("made_up_pieces", 100, 10**6),
            ("hearing_epochs", 1, 1000),
            ("copies", 1, 100),
            ("epochs", 1, 10_000),
            ("members", 1, 16),
            ("folds", 0, 20),
            ("seed", 0, 2**31),
            ("pessimism", 0, 10),
        ):
            if not low <= getattr(self, name) <= high:
                raise PreferenceError(f"{name} must be in {low}..{high}, got {getattr(self, name)}")
        if self.folds == 1:
            raise PreferenceError("folds must be 0 or 2..20, got 1")


def cross_validate(
    config: RatingConfig,
    heard: Heard,
    negatives: Heard,
    preferences: list[Preference],
    epochs: int,
    folds: int,
    seed: int,
    progress: Progress,
) -> dict[str, Agreement]:
    """Held-out figures: no melody is judged by a network that was fitted on one of its contour.

    Returns:
        `network` (the ensemble's mean), `score` (the mean less the members' standard deviation), `one member`,
        `ridge` on note features and `constant`; and the network on melodies with worldwide and with country counts
        only.
    """
    fold = contour_folds([preference.score for preference in preferences], folds, seed)
    features = np.array([note_features(preference.score) for preference in preferences])
    known = standardised(preferences).numpy()
    predicted = {name: np.zeros(len(known)) for name in ("network", "score", "one member", "ridge", "constant")}
    bar = progress.add_task("cross-validation", total=folds)
    for k in range(folds):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        tasters = fit_ensemble(config, heard, negatives, preferences, torch.from_numpy(known), train, epochs, seed + k)
        members = np.stack([heard.rated(taster, test) for taster in tasters])
        predicted["network"][test], predicted["one member"][test] = members.mean(0), members[0]
        predicted["score"][test] = members.mean(0) - config.pessimism * members.std(0)
        predicted["ridge"][test] = ridge(features[train], known[train], features[test])
        predicted["constant"][test] = known[train].mean()
        progress.advance(bar)
    groups = np.unique([contour(p.score) for p in preferences], return_inverse=True)[1]
    worldwide = np.array([preference.worldwide for preference in preferences])
    figures = {name: agreement(p, known, groups) for name, p in predicted.items()}
    for name, some in (("worldwide counts", worldwide), ("country counts", ~worldwide)):
        if some.sum() > 1:
            figures[f"network, {name}"] = agreement(predicted["network"][some], known[some], groups[some])
    return figures


def standardised(preferences: list[Preference]) -> Tensor:
    """(n,) float32 log-popularity with mean 0 and variance 1."""
    popularity = np.array([preference.popularity for preference in preferences], np.float32)
    return torch.from_numpy((popularity - popularity.mean()) / max(float(popularity.std()), 1e-6))


def _is_judged(preference: Preference) -> bool:
    """Whether a melody is fitted on: long enough, and more than one key, which is what a negative is."""
    pitch = preference.score.notes["pitch"]
    return len(pitch) >= LEAST_NOTES and pitch.min() < pitch.max()


def fit(config: FitRatingConfig, preferences: list[Preference], console: Console) -> tuple[RatingModel, dict]:
    """Fit a rating network.

    Returns:
        The frozen model, and what is known of the fit: counts, hearing, and held-out figures unless `folds` is 0.
    """
    shape = RatingConfig(members=config.members, pessimism=config.pessimism)
    rng = np.random.default_rng(config.seed)
    scores = [preference.score for preference in preferences]
    with Progress(console=console) as progress:
        listener, hearing = fit_listener(
            shape, scores, config.made_up_pieces, config.hearing_epochs, config.seed, progress
        )
        bar = progress.add_task("listening", total=config.copies + 2)

        def renditions() -> Iterator[list[np.ndarray]]:
            for copy in range(config.copies + 1):
                varied = [vary(score, rng) for score in scores] if copy else scores
                yield spectrograms(varied, rng if copy else None)
                progress.advance(bar)

        heard = Heard.by(listener, renditions())
        noises = [negative(rng) for _ in range(min(NEGATIVE_PIECES, config.made_up_pieces // 5))]
        negatives = Heard.by(listener, [spectrograms(noises, rng)])
        progress.advance(bar)
        targets = standardised(preferences)
        figures = {}
        if config.folds:
            figures = cross_validate(
                shape, heard, negatives, preferences, config.epochs, config.folds, config.seed, progress
            )
        bar = progress.add_task("members", total=1)
        everything = np.arange(len(preferences))
        tasters = fit_ensemble(shape, heard, negatives, preferences, targets, everything, config.epochs, config.seed)
        progress.advance(bar)
    network = RatingNetwork(shape)
    network.listener.load_state_dict(listener.state_dict())
    for member, taster in zip(network.tasters, tasters, strict=True):
        member.load_state_dict(taster.state_dict())
    popularity = np.array([preference.popularity for preference in preferences])
    facts = {
        "melodies": len(preferences),
        "melodies_with_worldwide_counts": sum(preference.worldwide for preference in preferences),
        "contours": len({contour(score) for score in scores}),
        "log_sessions_mean": round(float(popularity.mean()), 4),
        "log_sessions_std": round(float(popularity.std()), 4),
        "hearing": hearing,
        "held_out": {name: asdict(figure) for name, figure in figures.items()},
        "options": {key: value for key, value in asdict(config).items() if key not in ("data", "out")},
    }
    return RatingModel(network), facts


def report(model: RatingModel, facts: dict, preferences: list[Preference]) -> str:
    """Markdown: held-out figures, extremes and invariances."""
    lines = ["# Fit of a rating network", "", "## Held-out melodies", ""]
    lines += [f"- {name}: {Agreement(**figure)}" for name, figure in facts["held_out"].items()]
    lines += ["", "## Extremes", "", extremes_table(model), "", "## Mean absolute change of the score", ""]
    some = [preference.score for preference in preferences[:: max(1, len(preferences) // 200)]]
    lines += [f"- {name}: {change:.3f}" for name, change in invariances(model, some).items()]
    return "\n".join(lines) + "\n"


def main(config: FitRatingConfig) -> None:
    """Fit, write the network and a report, and print the report.

    Raises:
        PreferenceError: when the data cannot be read.
        PreferenceError: when `config.out` already holds a network.
    """
    if (config.out / CONFIG_FILE).exists():
        raise PreferenceError(f"{config.out}: already holds a rating network; choose another folder")
    everything = read_melodies(config.data)
    preferences = [preference for preference in everything if _is_judged(preference)]
    if len(preferences) < LEAST_MELODIES:
        raise PreferenceError(
            f"{config.data}: {len(preferences)} melodies of {LEAST_NOTES} notes or more, {LEAST_MELODIES} are needed"
        )
    model, facts = fit(config, preferences, Console(stderr=True))
    model.save(config.out, facts)
    text = report(model, facts, preferences)
    (config.out / REPORT_FILE).write_text(text, encoding="utf-8")
    print(text)
