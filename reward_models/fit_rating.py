"""Fit a rating network on preference data: `python -m toccata.reward_models.fit_rating --data DIR --out DIR`."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from toccata.reward_models.listening import describe, fit_listener, spectrograms
from toccata.reward_models.melodies import FEATURES, negative, note_features, vary
from toccata.reward_models.preferences import Preference, PreferenceError, contour, contour_folds, read_melodies
from toccata.reward_models.rating import (
    CONFIG_FILE,
    Listener,
    RatingConfig,
    RatingModel,
    RatingNetwork,
    Taster,
    mean_by_owner,
)
from toccata.reward_models.rating_report import (
    Agreement,
    agreement,
    extremes_table,
    invariances,
    rank_correlation,
    ridge,
)

REPORT_FILE = "report.md"
EVALUATED_NOTES = 8  # shorter melodies are fitted on, but say little about music: they are left out of the figures
NEGATIVE_RATING = -2.5  # standard deviations; no real melody is rated below -1.6
NEGATIVES_PER_BATCH = 8  # beside 128 melodies
BATCH = 128
NEGATIVE_PIECES = 600
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
    made_up_pieces: int = 12_000
    """Made-up pieces on which the network learns to hear notes, before it sees a popularity."""
    hearing_epochs: int = 10
    """How often each made-up piece is heard."""
    copies: int = 6
    """Varied renditions of each melody: other keys, octaves, tempi, loudness, accompaniments."""
    epochs: int = 20
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
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be in {low}..{high}, got {getattr(self, name)}")
        if self.folds == 1:
            raise ValueError("folds must be 0 or 2..20, got 1")


@dataclass(frozen=True)
class Heard:
    """What a listener made of some renditions: one entry of `copies` for each rendition of all pieces.

    Args:
        copies: `describe`'s (windows, hidden) descriptions and (n + 1,) borders, of each rendition.
        names: (windows, features) the named features, of each rendition.
    """

    copies: list[tuple[Tensor, np.ndarray]]
    names: list[Tensor]

    def batch(self, index: np.ndarray, copy: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Descriptions, features and owners of all windows of pieces `index` in renditions `copy`."""
        spans = [(c, *self.copies[c][1][i : i + 2]) for i, c in zip(index, copy, strict=True)]
        description = torch.cat([self.copies[c][0][a:b] for c, a, b in spans])
        names = torch.cat([self.names[c][a:b] for c, a, b in spans])
        return description, names, torch.repeat_interleave(torch.tensor([b - a for _, a, b in spans]))


def hear(listener: Listener, renditions: list[list[np.ndarray]]) -> Heard:
    """Let the listener hear several renditions of the same pieces."""
    copies = [describe(listener, spectra) for spectra in renditions]
    with torch.no_grad():
        return Heard(copies, [listener.name(description) for description, _ in copies])


def fit_taster(
    config: RatingConfig,
    heard: Heard,
    negatives: Heard,
    targets: Tensor,
    train: np.ndarray,
    valid: np.ndarray,
    epochs: int,
    seed: int,
) -> tuple[Taster, float]:
    """One member of the ensemble, fitted by mean squared error with early stopping.

    Args:
        config: shape of the network.
        heard: the melodies; rendition 0 is the plain one, which validation uses.
        negatives: what no one wants to hear, in one rendition.
        targets: (n,) standardised log-popularity.
        train: indices of the melodies to fit on.
        valid: indices of the melodies that choose the epoch.
        epochs: passes over `train`.
        seed: of the weights and the batches.

    Returns:
        The member as it was after its best epoch, and its rank correlation on `valid` then.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    taster = Taster(config, dropout=0.3)
    taster.edges.copy_(_quantiles(torch.cat([_rows(heard, train, c) for c in range(len(heard.copies))]), config.bins))
    batches_per_epoch = -(-len(train) // BATCH)
    optimizer = torch.optim.AdamW(taster.parameters(), 3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * batches_per_epoch)
    worst = torch.full((NEGATIVES_PER_BATCH,), NEGATIVE_RATING)
    best, best_correlation = None, -np.inf
    for _ in range(epochs):
        taster.train()
        for index in np.array_split(rng.permutation(train), batches_per_epoch):
            description, names, owner = heard.batch(index, rng.integers(0, len(heard.copies), len(index)))
            bad = rng.integers(0, len(negatives.copies[0][1]) - 1, NEGATIVES_PER_BATCH)
            bad_description, bad_names, bad_owner = negatives.batch(bad, np.zeros_like(bad))
            scores = taster(torch.cat([description, bad_description]), torch.cat([names, bad_names]))
            rating = mean_by_owner(scores, torch.cat([owner, bad_owner + len(index)]), len(index) + len(bad))[:, 0]
            loss = ((rating - torch.cat([targets[index], worst])) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        correlation = rank_correlation(taste(taster, heard, valid), targets[valid].numpy())
        if correlation > best_correlation:
            best, best_correlation = {k: v.clone() for k, v in taster.state_dict().items()}, correlation
    taster.load_state_dict(best)
    return taster.eval(), float(best_correlation)


def taste(taster: Taster, heard: Heard, index: np.ndarray) -> np.ndarray:
    """(len(index),) float32 ratings of the plain renditions."""
    taster.eval()
    with torch.no_grad():
        description, names, owner = heard.batch(index, np.zeros(len(index), np.int64))
        return mean_by_owner(taster(description, names), owner, len(index))[:, 0].numpy()


def fit_ensemble(
    config: RatingConfig,
    heard: Heard,
    negatives: Heard,
    preferences: list[Preference],
    targets: Tensor,
    train: np.ndarray,
    epochs: int,
    seed: int,
) -> list[Taster]:
    """The members, each leaving out other contours, a tenth of `train`, to choose its epoch by."""
    splits = min(10, max(2, len(train) // 8))
    fold = contour_folds([preferences[i].score for i in train], splits, seed)
    return [
        fit_taster(
            config,
            heard,
            negatives,
            targets,
            train[fold != member % splits],
            train[fold == member % splits],
            epochs,
            1000 * seed + member,
        )[0]
        for member in range(config.members)
    ]


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
    """Held-out figures on melodies of 8 notes or more, no contour of which was fitted on.

    Returns:
        `network` (the ensemble's mean), `one member`, `ridge` on note features and `constant`; and the network on
        melodies with worldwide and with country counts only.
    """
    fold = contour_folds([preference.score for preference in preferences], folds, seed)
    features = np.array([note_features(preference.score) for preference in preferences])
    judged = np.array([len(preference.score) >= EVALUATED_NOTES for preference in preferences])
    known = standardised(preferences).numpy()
    predicted = {name: np.zeros(len(known)) for name in ("network", "one member", "ridge", "constant")}
    bar = progress.add_task("cross-validation", total=folds)
    for k in range(folds):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        tasters = fit_ensemble(config, heard, negatives, preferences, torch.from_numpy(known), train, epochs, seed + k)
        members = np.stack([taste(taster, heard, test) for taster in tasters])
        predicted["network"][test], predicted["one member"][test] = members.mean(0), members[0]
        train = train[judged[train]]
        predicted["ridge"][test] = ridge(features[train], known[train], features[test])
        predicted["constant"][test] = known[train].mean()
        progress.advance(bar)
    groups = np.unique([contour(p.score) for p in preferences], return_inverse=True)[1]
    worldwide = np.array([preference.worldwide for preference in preferences])
    figures = {name: agreement(p[judged], known[judged], groups[judged]) for name, p in predicted.items()}
    for name, some in (("worldwide counts", judged & worldwide), ("country counts", judged & ~worldwide)):
        if some.sum() > 1:
            figures[f"network, {name}"] = agreement(predicted["network"][some], known[some], groups[some])
    return figures


def standardised(preferences: list[Preference]) -> Tensor:
    """(n,) float32 log-popularity with mean 0 and variance 1."""
    popularity = np.array([preference.popularity for preference in preferences], np.float32)
    return torch.from_numpy((popularity - popularity.mean()) / max(float(popularity.std()), 1e-6))


def _rows(heard: Heard, index: np.ndarray, copy: int) -> Tensor:
    return heard.batch(index, np.full(len(index), copy))[1]


def _quantiles(names: Tensor, bins: int) -> Tensor:
    """(features, bins + 1) edges that put equally many of the (windows, features) into each bin."""
    return torch.from_numpy(np.quantile(names.numpy(), np.linspace(0, 1, bins + 1), axis=0).T.astype(np.float32))


def fit(config: FitRatingConfig, preferences: list[Preference], console: Console) -> tuple[RatingModel, dict]:
    """Fit a rating network.

    Returns:
        The frozen model, and what is known of the fit: counts, hearing, and held-out figures unless `folds` is 0.
    """
    shape = RatingConfig(features=len(FEATURES), members=config.members, pessimism=config.pessimism)
    rng = np.random.default_rng(config.seed)
    scores = [preference.score for preference in preferences]
    with Progress(console=console) as progress:
        listener, hearing = fit_listener(
            shape, scores, config.made_up_pieces, config.hearing_epochs, config.seed, progress
        )
        bar = progress.add_task("listening", total=config.copies + 2)
        renditions = []
        for copy in range(config.copies + 1):
            renditions.append(
                spectrograms([vary(score, rng) for score in scores], rng) if copy else spectrograms(scores)
            )
            progress.advance(bar)
        heard = hear(listener, renditions)
        del renditions
        negatives = hear(listener, [spectrograms([negative(rng) for _ in range(NEGATIVE_PIECES)], rng)])
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
    lines = ["# Fit of a rating network", "", "## Held-out melodies of 8 notes or more", ""]
    lines += [f"- {name}: {Agreement(**figure)}" for name, figure in facts["held_out"].items()]
    lines += ["", "## Extremes", "", extremes_table(model), "", "## Mean absolute change of the score", ""]
    some = [preference.score for preference in preferences[:: max(1, len(preferences) // 200)]]
    lines += [f"- {name}: {change:.3f}" for name, change in invariances(model, some).items()]
    return "\n".join(lines) + "\n"


def main(config: FitRatingConfig) -> None:
    """Fit, write the network and a report, and print the report.

    Raises:
        PreferenceError: when the data cannot be read.
        FileExistsError: when `config.out` already holds a network.
    """
    if (config.out / CONFIG_FILE).exists():
        raise FileExistsError(f"{config.out}: already holds a rating network; choose another folder")
    preferences = read_melodies(config.data)
    if len(preferences) < LEAST_MELODIES:
        raise PreferenceError(f"{config.data}: {len(preferences)} melodies, at least {LEAST_MELODIES} are needed")
    model, facts = fit(config, preferences, Console(stderr=True))
    model.save(config.out, facts)
    text = report(model, facts, preferences)
    (config.out / REPORT_FILE).write_text(text, encoding="utf-8")
    print(text)


def command() -> None:
    """`python -m toccata.reward_models.fit_rating`."""
    import tyro

    try:
        main(tyro.cli(FitRatingConfig))
    except (PreferenceError, FileExistsError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    command()
