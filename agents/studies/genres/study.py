"""`toccata study genres`: which genre is learnt best by which composer, and if what is composed is of its genre."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.overoptimise.samples import CACHE
from toccata.agents.rivals.image_gan.pictures import picture_of
from toccata.agents.rivals.image_gan.quality import mse_table
from toccata.agents.studies.genres.balance import BySplit, balanced, write_corpus
from toccata.agents.studies.genres.classifier import Accuracy, GenreClassifier, accuracy
from toccata.agents.studies.genres.config import PRIORS, RENEWABLE, StudyGenresConfig
from toccata.agents.studies.genres.features import CONTROLS
from toccata.agents.studies.genres.measure import (
    Sample,
    Setup,
    bits_of_works,
    chord_nats,
    distances,
    sample,
    shares_of_genres,
)
from toccata.agents.studies.genres.sources import (
    Source,
    agent_sources,
    fit_source,
    fitted_source,
    runs_by_genre,
    train_agent,
)
from toccata.agents.studies.genres.tables import markdown
from toccata.agents.studies.genres.verdict import Winner, in_words, winner
from toccata.agents.studies.rivals.rolls import ACROSS, draw_rolls
from toccata.agents.studies.rivals.study import refuse_other_folder
from toccata.files import read_json, write_atomically
from toccata.interrupts import Interrupted
from toccata.music.corpus import load_corpus
from toccata.music.score import Score
from toccata.reward_models.judges.typicality import Typicality
from toccata.settings.options import ConfigError
from toccata.stats import Interval

SUMMARY_FILE, SETTINGS_FILE, MUSIC = "genres.json", "settings.json", "music"
REAL = "real music"
WHOLE = next(iter(CONTROLS))  # the classifier that tells the genre of what is composed

Figures = dict[str, Any]
Named = dict[tuple[str, str], Sample]  # by family and genre


def study_genres(config: StudyGenresConfig, console: Console | None = None) -> Figures:
    """Fit, compose and measure, and write genres.json, table.md and rolls.png.

    Returns:
        what genres.json holds.

    Raises:
        RivalError, CorpusError, ConfigError, RunError, FileError: naming what cannot be studied, before anything is
            fitted.
        Interrupted: after a signal; what was fitted and measured stays.
        OSError: naming the file that cannot be written.
    """
    console = console or Console()
    refuse_other_folder(config.out)
    device = resolve_device(config.device)
    music = balanced(load_corpus(list(config.data)), config.genres, config.seed)
    runs = runs_by_genre(config, tuple(music))
    (config.out / CACHE).mkdir(parents=True, exist_ok=True)
    _keep_settings(config)
    folders = [config.out / MUSIC / genre for genre in music]
    if not (config.out / MUSIC).exists():
        write_corpus(music, config.out / MUSIC)
    try:
        sources = _sources(config, folders, runs, device, console)
        _say(console, "measuring real music")
        judge = Typicality.load()
        setup = Setup(music, judge, config.out / CACHE, config.excerpts, config.bars, config.seed)
        classifiers = {control: setup.classifier(control) for control in CONTROLS}
        samples: Named = {}
        for number, source in enumerate(sources, 1):
            _say(console, f"composing and measuring, {number} of {len(sources)}: {source.family}, {source.genre}")
            samples[source.family, source.genre] = sample(source, config.pieces, setup)
        summary = _summary(config, music, setup, classifiers, sources, samples)
    except KeyboardInterrupt as stop:
        message = f"stopped; what was fitted and measured stays in {config.out}: the same command goes on from there"
        raise Interrupted(message, stop.signal if isinstance(stop, Interrupted) else 2) from None
    text = markdown(summary)
    first = {f"{family}, {genre}": each.scores[:ACROSS] for (family, genre), each in samples.items()}
    files = {
        "table.md": text.encode("utf-8", "backslashreplace"),
        SUMMARY_FILE: (json.dumps(summary, indent=2, allow_nan=False) + "\n").encode(),
    }
    if first:
        files["rolls.png"] = draw_rolls(first)
    for name, data in files.items():
        write_atomically(config.out / name, data)
    for line in (*summary["remarks"], *summary["verdict"], f"read: {config.out / 'table.md'}"):
        _say(console, line)
    return summary


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _keep_settings(config: StudyGenresConfig) -> None:
    """Write the settings of a new study, or see that those of one that is gone on with are the same.

    Raises:
        ConfigError: naming the first that differs.
    """
    path = config.out / SETTINGS_FILE
    settings = {name: value for name, value in asdict(config).items() if name not in RENEWABLE}
    settings = json.loads(json.dumps(settings, default=str))
    if not path.exists():
        write_atomically(path, (json.dumps(settings, indent=2) + "\n").encode())
        return
    kept = read_json(path)
    for name, value in settings.items():
        was = kept.get(name) if isinstance(kept, dict) else None
        if was != value:
            raise ConfigError(f"{config.out}: is of a study with {name} {was!r}, got {value!r}; choose another --out")


def _sources(
    config: StudyGenresConfig, folders: Sequence[Path], runs: Mapping[str, Any], device: Any, console: Console
) -> list[Source]:
    """Everything that composes, fitted or trained where it is not yet."""
    genres = [folder.name for folder in folders]
    sources: list[Source] = []
    for name in config.composers:
        for genre in genres:
            if name in PRIORS or genre == genres[0]:
                _say(console, f"{name}, {genre if name in PRIORS else 'all genres'}")
            place = fit_source(name, genre, folders, config, console)
            sources.append(fitted_source(name, genre, place, config, device))
    for genre in genres:
        if genre in runs:
            sources += agent_sources(runs[genre], config, device)
        elif config.agent_steps:
            _say(console, f"agent, {genre}")
            sources += agent_sources(train_agent(genre, folders, config, console), config, device)
    return sources


def _summary(
    config: StudyGenresConfig,
    music: Mapping[str, BySplit],
    setup: Setup,
    classifiers: Mapping[str, GenreClassifier],
    sources: Sequence[Source],
    samples: Named,
) -> Figures:
    """All figures of the study."""
    genres = setup.genres
    held_out = setup.real["test"]
    checked = {
        control: accuracy(
            classifier,
            setup.features_of_real("test", control),
            held_out.classes,
            held_out.works,
            np.random.default_rng(config.seed),
        )
        for control, classifier in classifiers.items()
    }
    bits: dict[str, Figures] = {}
    for source in sources:
        if source.log_prob is not None:
            found = bits_of_works(source, setup)
            bits.setdefault(source.family, {})[source.genre] = {
                genre: {"per_action": found[genre].per_action, "per_note": found[genre].per_note} for genre in genres
            }
    chords = {
        source.genre: chord_nats(source, music[source.genre], setup)
        for source in sources
        if source.family == "chord-lstm"
    }
    sets = [_rows_of(setup, "train", index, config.pieces) for index in range(len(genres))]
    rows = {(REAL, genre): _rows_of(setup, "test", index, config.pieces) for index, genre in enumerate(genres)}
    rows |= {key: each.features for key, each in samples.items()}
    recognised, far = [], []
    for (family, genre), features in rows.items():
        shares = shares_of_genres(features, classifiers[WHOLE], config.seed)
        recognised.append(_row(family, genre, dict(zip(genres, shares, strict=True))))
        far.append(_row(family, genre, dict(zip(genres, distances(features, sets, config.seed), strict=True))))
    winners = _winners(genres, bits, chords, recognised, far)
    return _plain(
        {
            "genres": list(genres),
            "settings": json.loads(json.dumps(asdict(config), default=str)),
            "remarks": _remarks(config, genres),
            "minutes": {
                family: [source.minutes for source in sources if source.family == family]
                for family in dict.fromkeys(source.family for source in sources)
            },
            "music": {
                genre: {
                    split: {"works": len(works), "notes": sum(len(work.score) for work in works)}
                    for split, works in by_split.items()
                }
                for genre, by_split in music.items()
            },
            "classifier": {control: _of_accuracy(each) for control, each in checked.items()},
            "bits": bits,
            "chord_nats": {genre: vars(each) for genre, each in chords.items()},
            "recognised": recognised,
            "distances": far,
            "mse": _errors_of_pictures(setup, samples),
            "works": _works(setup, classifiers[WHOLE]),
            "winners": [vars(each) for each in winners],
            "verdict": in_words(winners) if winners else [],
        }
    )


def _rows_of(setup: Setup, split: str, genre: int, count: int) -> np.ndarray:
    """(n, d) features of at most `count` excerpts of a genre, spread over its works."""
    own = np.flatnonzero(setup.real[split].classes == genre)
    drawn = np.random.default_rng([setup.seed, genre]).permutation(own)[:count]
    return setup.features_of_real(split, WHOLE)[np.sort(drawn)]


def _works(setup: Setup, classifier: GenreClassifier) -> list[Figures]:
    """What the excerpts of each held-out work are taken for."""
    held_out = setup.real["test"]
    found = classifier.probabilities(setup.features_of_real("test", WHOLE)).argmax(axis=1)
    rows = []
    for number, title in enumerate(held_out.titles):
        own = held_out.works == number
        shares = np.bincount(found[own], minlength=len(setup.genres)) / own.sum()
        genre = setup.genres[held_out.classes[own][0]]
        rows.append({"title": title, "genre": genre, "shares": dict(zip(setup.genres, shares.tolist(), strict=True))})
    return rows


def _row(family: str, genre: str, values: Mapping[str, Interval]) -> Figures:
    return {"family": family, "genre": genre, "values": dict(values)}


def _winners(
    genres: Sequence[str],
    bits: Mapping[str, Figures],
    chords: Mapping[str, Any],
    recognised: Sequence[Figures],
    far: Sequence[Figures],
) -> list[Winner]:
    """The best genre by each measure, of each family that has all genres."""
    found: list[Winner] = []
    for unit, name in (("per_action", "bits an action"), ("per_note", "bits a note")):
        for family, table in bits.items():
            own = {genre: table[genre][genre][unit] for genre in genres if genre in table}
            if len(own) == len(genres):
                found.append(winner(f"{name}, {family}", own, higher=False))
    if len(chords) == len(genres):
        found.append(
            winner("nats a class, chord-lstm", {genre: each.nats for genre, each in chords.items()}, higher=False)
        )
    beyond = _beyond_held_out(far)
    for rows, name, higher in (
        (recognised, "taken for its genre", True),
        (beyond, "distance beyond real music", False),
    ):
        for family in dict.fromkeys(row["family"] for row in rows if row["family"] != REAL):
            own = {row["genre"]: row["values"][row["genre"]] for row in rows if row["family"] == family}
            if len(own) == len(genres):
                found.append(winner(f"{name}, {family}", own, higher=higher))
    return found


def _beyond_held_out(far: Sequence[Figures]) -> list[Figures]:
    """The rows with each genre's distances less that of its held-out works: some genres are more varied than others."""
    floors = {row["genre"]: row["values"][row["genre"]].mean for row in far if row["family"] == REAL}
    return [
        _row(
            row["family"],
            row["genre"],
            {genre: Interval(*(end - floors[genre] for end in value)) for genre, value in row["values"].items()},
        )
        for row in far
    ]


def _errors_of_pictures(setup: Setup, samples: Named) -> list[Figures]:
    """Mean squared errors between the pictures of what is composed, and of held-out works, and those of real works."""
    outputs = {key: _pictures(each.scores) for key, each in samples.items()}
    size = min((len(each) for each in outputs.values()), default=0)
    if not size:
        return []

    def real(split: str, genre: int) -> np.ndarray:
        pieces = setup.real[split].pieces
        own = np.flatnonzero(setup.real[split].classes == genre)
        drawn = np.random.default_rng([setup.seed, genre]).permutation(own)[:size]
        return _pictures([pieces[index].score for index in drawn])

    sets = {genre: real("train", index) for index, genre in enumerate(setup.genres)}
    held_out = {(REAL, genre): real("test", index) for index, genre in enumerate(setup.genres)}
    nothing = {("black picture", "none"): np.zeros_like(next(iter(outputs.values()))[:1])}
    rows = []
    for (family, genre), pictures in (held_out | outputs | nothing).items():
        errors = mse_table({genre: pictures}, sets)[genre]
        values = {name: float(error.pairs) for name, error in errors.items()}
        rows.append({"family": family, "genre": genre, "values": values})
    return rows


def _pictures(scores: Sequence[Score]) -> np.ndarray:
    return np.stack([picture_of(score) for score in scores])


def _of_accuracy(found: Accuracy) -> Figures:
    return {
        "accuracy": found.share,
        "recall": list(found.intervals),
        "confusion": found.confusion.tolist(),
        "calibration_error": found.calibration_error,
        "log_loss": found.log_loss,
    }


def _remarks(config: StudyGenresConfig, genres: Sequence[str]) -> list[str]:
    """What is to be known of the figures."""
    lines = []
    if set(genres) <= {"classical", "folk"}:
        lines.append("classical and folk only: other genres need folders of music of your own, --data bach FOLDER")
    if config.composers:
        lines.append("one fit for each composer and genre: intervals are over works or pieces, not over fits")
    return lines


def _plain(value: Any) -> Any:
    """The value with intervals as dictionaries, for JSON."""
    if isinstance(value, Interval):
        return value._asdict()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
