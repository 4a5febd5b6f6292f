"""`toccata listen results`: what the votes of a database say."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from toccata.errors import printable
from toccata.files import refuse_existing, whole_folder, write_atomically
from toccata.listening.results.ballots import Survey, read_survey
from toccata.listening.results.config import ListenResultsConfig
from toccata.listening.results.export import write_data
from toccata.listening.results.models import agreement_with_models, heard_score, scores_of_models
from toccata.listening.results.reliability import agreement_of_listeners
from toccata.listening.results.report import markdown, picture, remarks, terminal_tables
from toccata.listening.results.strengths import piece_strengths, source_strengths, taken_for_person
from toccata.music.score import Score
from toccata.stats import wilson

RESULTS_FILE, REPORT_FILE, PICTURE_FILE, DATA_FOLDER = "results.json", "report.md", "sources.png", "data"


def listen_results(config: ListenResultsConfig, console: Console | None = None) -> dict[str, Any]:
    """Read a database, print what it says, and write results.json, report.md, sources.png and data/.

    Returns:
        what results.json holds.

    Raises:
        ListenResultsError: for what is no database of `toccata listen`.
        RewardSpecError: for a reward that cannot be loaded.
        FileError, OSError: naming the folder that exists or cannot be written.
    """
    console = console or Console()
    refuse_existing(config.out, "another --out")
    survey = read_survey(config.database, config.max_failed)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("reading pieces", total=len(survey.pieces))
        scores: list[Score | None] = []
        for piece in survey.pieces:
            scores.append(heard_score(piece))
            progress.advance(bar)
        progress.update(bar, description="asking models")
        found = results_of(survey, scores, config)
    if config.out is not None:
        with whole_folder(config.out) as folder:
            (folder / DATA_FOLDER).mkdir()
            found["left_out_of_data"] = write_data(folder / DATA_FOLDER, survey, scores, config.seed)
            text = json.dumps(found, indent=2, allow_nan=False) + "\n"
            write_atomically(folder / RESULTS_FILE, text.encode("utf-8", "backslashreplace"))
            write_atomically(folder / REPORT_FILE, markdown(found).encode("utf-8", "backslashreplace"))
            if found["better"]["sources"] or found["person"]["sources"]:
                write_atomically(folder / PICTURE_FILE, picture(found))
    for table in terminal_tables(found):
        console.print(table)
    for line in remarks(found):
        console.print(line, markup=False, highlight=False)
    if config.out is not None:
        say_where(config.out, console)
    return found


def results_of(survey: Survey, scores: list[Score | None], config: ListenResultsConfig) -> dict[str, Any]:
    """What results.json holds, of a database and the scores of its pieces."""
    strengths = piece_strengths(survey)
    models = scores_of_models(survey.pieces, scores, config.models, config.judges)
    agreement = agreement_with_models(survey, strengths, models, config.seed)
    return {
        "listeners": {"counted": survey.listeners, "left_out": survey.left_out},
        "checks": {"answered": survey.checks, "failed": survey.failed},
        "better": {"votes": len(survey.better), **source_strengths(survey, config.seed)},
        "person": {"votes": len(survey.person), **taken_for_person(survey)},
        "radio": _radio(survey),
        "agreement": agreement_of_listeners(survey.better, config.seed),
        "models": agreement,
        "pieces": _pieces(survey, {row["piece"]: row for row in strengths}, models),
        "unread": sum(score is None for score in scores),
        "left_out_of_data": 0,
        "settings": {"max_failed": config.max_failed, "seed": config.seed, "models": list(config.models)},
    }


def say_where(out: Path, console: Console) -> None:
    """Print where the files are, and what can be done with them."""
    lines = [
        f"read: {out / REPORT_FILE}",
        f"fit a rating to it: toccata fit-rating --data {quote(str(out / DATA_FOLDER))} --out my-rating",
    ]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _radio(survey: Survey) -> dict[str, dict[str, Any]]:
    """Plays and likes of each source that was played, and the likes a play with Wilson's interval."""
    source, rows = survey.source_of_pieces(), {}
    for number, name in enumerate(survey.sources):
        plays, likes = int(survey.plays[source == number].sum()), int(survey.likes[source == number].sum())
        if plays:
            share = wilson(likes, plays)
            rows[name] = {"plays": plays, "likes": likes, "share": share.mean, "low": share.low, "high": share.high}
    return rows


def _pieces(
    survey: Survey, strengths: dict[int, dict[str, Any]], models: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """A row for each piece: file, source, votes, strength, plays, likes and what models say."""
    rows = []
    for number, piece in enumerate(survey.pieces):
        fitted = strengths.get(number, {})
        said = {name: float(values[number]) for name, values in models.items() if np.isfinite(values[number])}
        rows.append(
            {
                "file": printable(str(piece.file)),
                "source": piece.source,
                "votes": fitted.get("votes", 0),
                **{name: fitted.get(name) for name in ("strength", "low", "high")},
                "plays": int(survey.plays[number]),
                "likes": int(survey.likes[number]),
                "models": said,
            }
        )
    return rows
