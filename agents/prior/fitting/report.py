"""The report on a fitted prior: tables of bits per action and per note on held-out works, and the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from toccata.agents.prior.bits import ALL, Bits, bits
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.fitting.markov_chain import fit_markov
from toccata.agents.prior.markov import uniform_log_prob
from toccata.agents.prior.prior import Prior, PriorError
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.pieces import Piece
from toccata.files import write_atomically
from toccata.music.corpus import Corpus
from toccata.stats import Interval

REPORT_FILE, CURVES_FILE = "report.md", "curves.png"


def passages_with_works(dataset: PassageDataset) -> tuple[list[Piece], list[str]]:
    """The passages of `dataset.first_passages()`, and the group (the versions of one work) that each is of."""
    pieces: list[Piece] = []
    groups: list[str] = []
    for work in dataset.works:
        corpus = Corpus(work.id, (work,))
        single = PassageDataset(corpus, dataset.bars, dataset.piano, max_steps=dataset.max_steps, genres=dataset.genres)
        passages = single.first_passages()
        pieces += passages
        groups += [work.group or work.id] * len(passages)
    return pieces, groups


def bits_table(columns: Mapping[str, Mapping[str, Bits]], unit: str) -> list[list[str]]:
    """A table of text, its head first: a row for each genre and one for all, a column for each model.

    Args:
        columns: results of `bits`, by model.
        unit: "action" or "note".
    """
    rows = [["bits per " + unit, "works", unit + "s", *columns]]
    for genre, first in next(iter(columns.values())).items():
        cells = [_cell(getattr(each[genre], f"per_{unit}"), first.works) for each in columns.values()]
        rows.append([genre, f"{first.works:,}", f"{getattr(first, unit + 's'):,}", *cells])
    return rows


def _cell(interval: Interval, works: int) -> str:
    """`2.31 [2.25, 2.38]`; the mean alone for a single work, which cannot be resampled."""
    return f"{interval.mean:.2f}" if works == 1 else str(interval)


def write_prior_report(
    prior: Prior,
    train: PassageDataset,
    test: PassageDataset | None,
    folder: Path,
    console: Console,
    compare: Mapping[str, Prior] | None = None,
) -> str:
    """Write report.md and curves.png into `folder`, and print the bits per action.

    Args:
        prior: fitted to `train`; its `about` may have the losses by epoch, as `fit_prior` writes them.
        train: the training works; the Markov chain is fitted to the same.
        test: works held out from them; None when there is none: then the report has no bits.
        folder: exists already.
        console: where the table is printed.
        compare: other priors of the same piano to compare with, by name.

    Returns:
        the text of report.md.

    Raises:
        PriorError: for a prior of another piano than that of the datasets.
    """
    compare = compare or {}
    for name, each in {"the prior": prior, **compare}.items():
        if each.piano != train.piano:
            raise PriorError(f"{name} plays another piano than the passages are encoded for")
    sections = ["# Report of a prior", _network_description(prior), _work_counts(train, test)]
    if test is None:
        sections.append("No work is held out for the test, so there are no bits to report.")
    else:
        sections += _bits_sections(prior, train, test, console, compare)
    losses = prior.about.get("nats_per_action")
    if losses is not None:
        sections += ["## Losses by epoch", _loss_table(losses), f"![losses by epoch]({CURVES_FILE})"]
        write_atomically(folder / CURVES_FILE, draw_loss_curves(losses))
    text = "\n\n".join(sections) + "\n"
    write_atomically(folder / REPORT_FILE, text.encode("utf-8", "backslashreplace"))
    return text


def _network_description(prior: Prior) -> str:
    """Backbone and size of the network."""
    config = prior.network.config
    weights = sum(parameter.numel() for parameter in prior.network.parameters())
    heads = f", {config.heads} heads" if config.backbone == "transformer" else ""
    return f"{config.backbone}, {config.layers} layers of width {config.width}{heads}: {weights:,} weights."


def _work_counts(train: PassageDataset, test: PassageDataset | None) -> str:
    """Table of the works and notes of each genre in the two splits."""
    rows = [["genre", "training works", "their notes", "test works", "their notes"]]
    for genre in train.genres:
        splits = [[work for work in split.works if work.genre == genre] if split else [] for split in (train, test)]
        counts = [count for works in splits for count in (len(works), sum(len(work.score) for work in works))]
        if any(counts):
            rows.append([genre, *(f"{count:,}" for count in counts)])
    return markdown_table(rows)


def _bits_sections(
    prior: Prior, train: PassageDataset, test: PassageDataset, console: Console, compare: Mapping[str, Prior]
) -> list[str]:
    """The tables of bits, and how they were measured."""
    pieces, works = passages_with_works(test)
    trajectories = record_trajectories(pieces, test.piano, test.genres)
    markov, steps = fit_markov(train)
    log_probs = {
        "uniform over legal": uniform_log_prob(trajectories),
        "Markov, order 3": markov.log_prob(trajectories),
        "prior": prior.log_prob(trajectories),
        "prior, unconditional": prior.log_prob(trajectories.with_genres(())),
        **{name: each.log_prob(trajectories) for name, each in compare.items()},
    }
    columns = {name: bits(each, pieces, works) for name, each in log_probs.items()}
    tables = [bits_table(columns, unit) for unit in ("action", "note")]
    printed = Table(*tables[0][0])
    for row in tables[0][1:]:
        printed.add_row(*row)
    console.print(printed)
    missing = [
        genre
        for genre in train.genres
        if genre not in columns["prior"] and any(work.genre == genre for work in train.works)
    ]
    left_out = f" Left out, as no work of it is held out: {', '.join(missing)}." if missing else ""
    others = ["the prior that this one was initialised from"] if prior.about.get("init_from") else []
    others += sorted(compare)
    leakage = (
        " Works are assigned to splits by their names: some of these may be, under other names, in the training data "
        f"of {' and '.join(others)}."
        if others
        else ""
    )
    note = (
        f"The first passages, of {test.bars} bars each, of works held out from this fit and from the Markov chain, "
        "untransposed; every model is given the masks of the legal actions. In brackets 95 % bootstrap intervals over "
        'works. Bits per note include those of the rests. "all" weights all actions equally, so that the genres with '
        f"most music weigh most. The Markov chain was fitted to {steps:,} steps in random keys.{left_out}{leakage}"
    )
    differences = _differences(log_probs, pieces, works)
    return ["## Bits on held-out works", note, *(markdown_table(rows) for rows in tables), differences]


def _differences(log_probs: Mapping[str, Sequence[np.ndarray]], pieces: Sequence[Piece], works: Sequence[str]) -> str:
    """Difference in bits per action between every other model and the prior, as a list."""
    lines = []
    for name, theirs in log_probs.items():
        if name != "prior":
            difference = [other - ours for other, ours in zip(theirs, log_probs["prior"], strict=True)]
            result = bits(difference, pieces, works)[ALL]
            lines.append(f"- {name}: {_cell(result.per_action, result.works)}")
    return "\n".join(["Bits per action of other models minus those of the prior, on the same music:", "", *lines])


def _loss_table(losses: Mapping[str, Sequence[float]]) -> str:
    """Losses in nats an action; the epoch whose weights were kept is marked."""
    rows = [["epoch", "training loss, nats per action", "validation loss"]]
    for epoch, loss in enumerate(losses["train"]):
        kept = ", kept" if epoch == losses["best_epoch"] else ""
        valid = f"{losses['valid'][epoch]:.4f}" if losses["valid"] else "-"
        rows.append([f"{epoch + 1}{kept}", f"{loss:.4f}", valid])
    return markdown_table(rows)


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its head first."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def draw_loss_curves(losses: Mapping[str, Sequence[float]]) -> bytes:
    """A PNG of the losses by epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, label, style in (("train", "training", "o--"), ("valid", "validation", "o-")):
        if losses[name]:
            axes.plot(range(1, len(losses[name]) + 1), losses[name], style, color="#347dbc", label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss, nats per action")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e2e7ee")
    axes.legend()
    png = BytesIO()
    figure.savefig(png, dpi=110)
    return png.getvalue()
