"""Fit a rating network on preference data: `toccata fit-rating --data DATA --out DIR`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from toccata.music.score import Score
from toccata.reward_models.agreement import Agreement, agreement, calibration, noise_ceiling, ridge
from toccata.reward_models.fit_rating_config import FitRatingConfig, FitRatingError
from toccata.reward_models.listening import fit_listeners
from toccata.reward_models.made_up import negative, noise_sound
from toccata.reward_models.note_features import note_features
from toccata.reward_models.preferences import (
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
    group_folds,
    read_preferences,
)
from toccata.reward_models.rating import CONFIG_FILE, RATING_LIMIT, RatingModel
from toccata.reward_models.rating_network import RatingConfig, RatingMember
from toccata.reward_models.rating_report import write_report
from toccata.reward_models.sound_windows import mels_of_audio
from toccata.reward_models.tasting import Curve, Heard, Sound, fit_ensemble, listen, renditions

LEAST_PIECES = 10  # fewer cannot even be split into pieces to fit on, to stop by and to test on
NEGATIVE_PIECES = 1000  # pieces nobody would want to hear, and
NOISES = 100  # sounds that are no music
FINAL = 1000  # the number of the last fit, of which the seed is made; those of the folds come before
SECONDS = 64  # of each piece are loaded at most: `MOST_WINDOWS` windows


@dataclass(frozen=True)
class Rated:
    """The pieces of a fit, those that could be read, and what the listeners made of them.

    Args:
        preferences: n of them.
        scores: those that are scores, the others being recordings.
        heard: the same n pieces in all renditions.
        features: (n, k) for the ridge regression.
        popularity: (n,) p of each.
    """

    preferences: tuple[Preference, ...]
    scores: tuple[Score, ...]
    heard: Heard
    features: np.ndarray
    popularity: np.ndarray

    @property
    def groups(self) -> list[str]:
        """(n,) what stays on one side of every split."""
        return [preference.group for preference in self.preferences]

    def targets(self) -> Tensor:
        """(n,) float32 p with mean 0 and variance 1."""
        spread = self.popularity.std()
        return torch.from_numpy(((self.popularity - self.popularity.mean()) / spread).astype(np.float32))

    def of_split(self, *splits: str | None) -> np.ndarray:
        """Indices of the pieces of these splits; None for those of none."""
        return np.flatnonzero([preference.split in splits for preference in self.preferences])


def hear_pieces(
    config: FitRatingConfig, table: PreferenceTable, members: list[RatingMember], progress: Progress
) -> tuple[Rated, list[LeftOut]]:
    """Let the members hear the pieces of a table; also those that could not be read or say nothing.

    Raises:
        FitRatingError: when too few pieces are left, or all are as popular.
    """
    rng = np.random.default_rng(config.seed)
    kept: list[Preference] = []
    scores: list[Score] = []
    left_out: list[LeftOut] = []
    bar = progress.add_task("listening", total=len(table.preferences))

    def sounds() -> Iterator[list[Sound]]:
        for preference in table.preferences:
            progress.advance(bar)
            try:
                piece = preference.load(SECONDS)
            except PreferenceError as error:
                left_out.append(LeftOut(preference.name, "unreadable file", str(error)))
                continue
            if isinstance(piece, Score) and (reason := _too_little(piece, config.least_notes)):
                left_out.append(LeftOut(preference.name, reason, f"{len(piece)} notes"))
                continue
            kept.append(preference)
            if isinstance(piece, Score):
                scores.append(piece)
            yield renditions(piece, config.copies, rng)
        if len(kept) < LEAST_PIECES:
            everything = PreferenceTable(tuple(kept), (*table.left_out, *left_out))
            raise FitRatingError(
                f"{config.data}: at least {LEAST_PIECES} pieces are needed, a few thousand to learn anything; "
                f"there are {everything.summary()}"
            )

    heard = listen(members, sounds())
    popularity = np.array([preference.popularity for preference in kept])
    if popularity.std() < 1e-6 * max(popularity.mean(), 1e-6):
        raise FitRatingError(
            f"{config.data}: every piece has p = likes / plays * log(likes) = {popularity[0]:.4g}, so there is nothing "
            "to tell apart; p is 0 wherever a piece was liked once or never"
        )
    if sum(preference.split in (None, "train") for preference in kept) < LEAST_PIECES:
        raise FitRatingError(
            f"{config.data}: fewer than {LEAST_PIECES} pieces are left beside its valid and test split"
        )
    only_scores = len(scores) == len(kept)
    features = np.array([note_features(score) for score in scores]) if only_scores else _loudness(heard)
    return Rated(tuple(kept), tuple(scores), heard, features, popularity), left_out


def _too_little(score: Score, least_notes: int) -> str | None:
    """Why a score is not judged, None where it is; a single key over and over is what a negative is."""
    pitch = score.notes["pitch"]
    if len(pitch) < least_notes:
        return f"fewer than {least_notes} notes"
    return "one key only" if pitch.min() == pitch.max() else None


def _loudness(heard: Heard) -> np.ndarray:
    """(n, 2 * mels) mean and standard deviation of each mel band of each piece, what recordings are told apart by.

    The silence behind the end of a short one counts, so its length does too.
    """
    parts = [
        heard.coarse[first : first + count].float().transpose(1, 2).flatten(0, 1)
        for first, count in zip(heard.first[:, 0], heard.count[:, 0], strict=True)
    ]
    return torch.stack([torch.cat([part.mean(0), part.std(0)]) for part in parts]).numpy()


Split = tuple[np.ndarray, np.ndarray, np.ndarray]  # indices to fit on, to stop by (perhaps none), to test on


def splits(config: FitRatingConfig, rated: Rated) -> list[Split]:
    """What is fitted on and what is held out: the table's own test pieces, else folds of whole groups, or nothing."""
    rest, valid, test = rated.of_split(None, "train"), rated.of_split("valid"), rated.of_split("test")
    if len(test):
        return [(rest, valid, test)]
    if not config.folds:
        return []
    everything = np.concatenate([rest, valid])
    groups = [rated.groups[index] for index in everything]
    if len(set(groups)) < 2:
        return []
    fold = group_folds(groups, min(config.folds, len(set(groups))), config.seed)
    return [(everything[fold != k], valid[:0], everything[fold == k]) for k in range(fold.max() + 1)]


def held_out(
    config: RatingConfig,
    rated: Rated,
    parts: list[Split],
    fit_members: Callable[[int, np.ndarray, np.ndarray], list[RatingMember]],
) -> dict[str, object]:
    """Figures of pieces that the judges were not fitted on.

    Returns:
        `agreement` by who predicts: the `score`, the `mean` of the rewarding members, the `gold rater`, the mean of
        `all members`, a `ridge` regression and a `constant`; the mean also by the `source` of the counts.
        `calibration` of the mean by decile, in p.
    """
    known = rated.targets().numpy()
    names = ("score", "mean", "gold rater", "all members", "ridge")
    predicted = {name: np.zeros(len(known), np.float32) for name in names}
    constant = np.zeros(len(known), np.float32)
    for number, (train, valid, test) in enumerate(parts):
        members = fit_members(number, train, valid)
        judged = np.stack([rated.heard.rated(member, i, test) for i, member in enumerate(members)], 1)
        rewarding = judged[:, : config.rewarding]
        predicted["mean"][test] = rewarding.mean(1)
        score = rewarding.mean(1) - config.pessimism * rewarding.std(1)
        predicted["score"][test] = np.clip(score, -RATING_LIMIT, RATING_LIMIT)
        predicted["gold rater"][test] = judged[:, -1]
        predicted["all members"][test] = judged.mean(1)
        predicted["ridge"][test] = ridge(rated.features[train], known[train], rated.features[test])
        constant[test] = known[train].mean()
    if config.rewarding == config.members:
        del predicted["gold rater"]
    tested = np.concatenate([test for _, _, test in parts])
    groups = np.array(rated.groups)
    figures = {name: agreement(values[tested], known[tested], groups[tested]) for name, values in predicted.items()}
    mse = float(np.mean((constant[tested] - known[tested]) ** 2))
    figures["constant"] = Agreement(0.0, (0.0, 0.0), 0.0, mse, len(tested))
    sources = np.array([preference.source or "" for preference in rated.preferences])
    for source in sorted(set(sources[tested])) if len(set(sources[tested])) > 1 else ():
        some = tested[sources[tested] == source]
        figures[f"mean, {source}"] = agreement(predicted["mean"][some], known[some], groups[some])
    mean, spread = rated.popularity.mean(), rated.popularity.std()
    return {
        "agreement": {name: asdict(figure) for name, figure in figures.items()},
        "calibration": calibration(mean + spread * predicted["mean"][tested], rated.popularity[tested]),
        "noise_ceiling": noise_ceiling([rated.preferences[index] for index in tested]),
    }


def fit(
    config: FitRatingConfig, table: PreferenceTable, console: Console
) -> tuple[RatingModel, dict[str, object], list[Curve], Rated]:
    """Fit a rating network.

    Returns:
        The frozen model; what is known of the fit: counts, scale, hearing, and held-out figures unless nothing was
        held out; the learning curve of each member; the pieces.

    Raises:
        FitRatingError: when the pieces cannot be learnt from.
    """
    shape = RatingConfig(members=config.members, pessimism=config.pessimism)
    with Progress(console=console) as progress:
        if config.hear_anew:
            listeners, hearing = fit_listeners(
                shape, config.made_up_pieces, config.hearing_epochs, config.seed, progress
            )
        else:
            listeners, hearing = _shipped_listeners(shape), None
        rated, left_out = hear_pieces(config, table, listeners, progress)
        if left_out:
            heard = PreferenceTable(rated.preferences, tuple(left_out)).summary()
            console.print(f"heard: {heard}", soft_wrap=True, markup=False)
        rng = np.random.default_rng([config.seed, 1])
        worst = (renditions(negative(rng), 0, rng) for _ in range(NEGATIVE_PIECES))
        negatives = listen(listeners, chain(worst, ([mels_of_audio(noise_sound(rng))] for _ in range(NOISES))))
        targets = rated.targets()
        parts = splits(config, rated)
        bar = progress.add_task("fitting", total=config.members * (len(parts) + 1))

        def fit_members(number: int, train: np.ndarray, valid: np.ndarray) -> tuple[list[RatingMember], list[Curve]]:
            return fit_ensemble(
                listeners,
                rated.heard,
                negatives,
                rated.groups,
                targets,
                train,
                valid,
                config.epochs,
                seed=config.seed + number,
                on_member=lambda: progress.advance(bar),
            )

        figures = held_out(shape, rated, parts, lambda *part: fit_members(*part)[0]) if parts else {}
        final = (rated.of_split(None, "train"), rated.of_split("valid"))
        members, curves = fit_members(FINAL, *final)
    facts = {
        "pieces": len(rated.preferences),
        "left_out": dict(Counter(row.reason for row in (*table.left_out, *left_out))),
        "sources": dict(Counter(preference.source for preference in rated.preferences if preference.source)),
        "groups": len(set(rated.groups)),
        "p_mean": float(rated.popularity.mean()),
        "p_std": float(rated.popularity.std()),
        "hearing": hearing or "the listeners that come with Toccata",
        "held_out": figures,
        "options": {key: value for key, value in asdict(config).items() if key not in ("data", "out")},
    }
    return RatingModel(nn.ModuleList(members), shape), facts, curves, rated


def _shipped_listeners(shape: RatingConfig) -> list[RatingMember]:
    """Members that can hear, with the listeners of the shipped weights; the gold rater's is used by no other."""
    *rewarding, gold = list(RatingModel.load().network)
    chosen = [rewarding[index % len(rewarding)] for index in range(shape.rewarding)]
    chosen += [gold] * (shape.members - shape.rewarding)
    members = []
    for index, source in enumerate(chosen):
        torch.manual_seed(index)
        member = RatingMember(shape)
        member.load_state_dict(source.hearing(), strict=False)  # type: ignore[operator]  # ModuleList holds RatingMembers
        members.append(member.eval())
    return members


def main(config: FitRatingConfig) -> None:
    """Fit, write the network and a report, and print the report.

    Raises:
        PreferenceError: when the data cannot be read.
        FitRatingError: when they cannot be learnt from, or `config.out` already holds a network.
    """
    if (config.out / CONFIG_FILE).exists():
        raise FitRatingError(f"{config.out}: already holds a rating network; choose another folder")
    console = Console(stderr=True)
    table = read_preferences(config.data)
    console.print(f"{config.data}: {table.summary()}", soft_wrap=True, markup=False)
    model, facts, curves, rated = fit(config, table, console)
    model.save(config.out, facts)
    report = write_report(config.out, model, facts, curves, rated.scores)
    print(report)
    print(f"\nfitted: {config.out}\nuse it with: python train.py --rewards rating:{config.out} 1.0 realism 1.0")
