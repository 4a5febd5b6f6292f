"""The report on a fitted prior: tables of bits per action and per note on held-out works, and the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from toccata.agents.policies.sequence_network import NO_GENRE
from toccata.agents.prior.bits import ALL, Bits, bits
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.markov import Markov, uniform_log_prob
from toccata.agents.prior.prior import Prior, PriorError
from toccata.agents.prior.trajectories import Trajectories, trajectories_of
from toccata.envs.core import GENRES
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus
from toccata.stats import Interval

REPORT_FILE, CURVES_FILE = "report.md", "curves.png"
MARKOV_STEPS = 300_000  # that the Markov chain is fitted on, of a corpus that is not small
STEPS_PER_NOTE = 24  # that it is fitted on at most: each strike and wait in every key
MARKOV_CHUNK = 256  # passages drawn at a time


def whole_works(passages: PassageDataset) -> tuple[list[Piece], list[str]]:
    """What `passages.whole()` gives, and the group of the work that each piece is of."""
    pieces: list[Piece] = []
    groups: list[str] = []
    for work in passages.works:
        alone = PassageDataset(Corpus(work.id, (work,)), passages.bars, passages.piano, max_steps=passages.max_steps)
        own = alone.whole()
        pieces += own
        groups += [work.group or work.id] * len(own)
    return pieces, groups


def unconditional(sequences: Trajectories) -> Trajectories:
    """The same music for someone who is not told its genre."""
    genre = np.full_like(sequences.observations["genre"], NO_GENRE)
    return replace(sequences, observations={**sequences.observations, "genre": genre})


def fitted_markov(train: PassageDataset, seed: int = 0) -> tuple[Markov, int]:
    """An order-3 Markov chain of passages in random keys, and how many steps it was fitted on."""
    rng = np.random.default_rng(seed)
    least_steps = min(MARKOV_STEPS, STEPS_PER_NOTE * sum(len(work.score) for work in train.works))
    pieces: list[Piece] = []
    steps = 0
    while steps < least_steps:
        drawn = train.sample(MARKOV_CHUNK, rng)
        pieces += drawn
        steps += sum(len(piece.actions) for piece in drawn if piece.actions is not None)
    return Markov().fit(trajectories_of(pieces, train.piano)), steps


def table(columns: Mapping[str, Mapping[str, Bits]], unit: str) -> list[list[str]]:
    """A table of text, its head first: a row a genre and one of all, a column a model.

    Args:
        columns: what `bits` gave, by model.
        unit: "action" or "note".
    """
    rows = [["bits per " + unit, "works", unit + "s", *columns]]
    for genre, known in next(iter(columns.values())).items():
        cells = [_cell(getattr(each[genre], f"per_{unit}"), known.works) for each in columns.values()]
        rows.append([genre, f"{known.works:,}", f"{getattr(known, unit + 's'):,}", *cells])
    return rows


def _cell(interval: Interval, works: int) -> str:
    """`2.31 [2.25, 2.38]`; the mean alone where nothing can be resampled."""
    return f"{interval.mean:.2f}" if works == 1 else str(interval)


def write_prior_report(
    prior: Prior,
    train: PassageDataset,
    test: PassageDataset | None,
    folder: Path,
    console: Console,
    beside: Mapping[str, Prior] | None = None,
) -> str:
    """Write report.md and curves.png into `folder`, print the bits per action, and give the report back.

    Args:
        prior: fitted to `train`; its `about` may have the losses by epoch, as `fit_prior` writes them.
        train: the works it was fitted to; the Markov chain is fitted to the same.
        test: works held out from them; None when there is none, and then nothing is measured.
        folder: exists already.
        console: where the table is printed.
        beside: other priors of the same piano to compare with, by name.

    Raises:
        PriorError: for a prior of another piano, or a piano that the passages are not encoded for.
    """
    for name, each in {"the prior": prior, **(beside or {})}.items():
        if each.piano != train.piano:
            raise PriorError(f"{name} plays another piano than the passages are encoded for")
    sections = ["# Report of a prior", _sizes(prior), _works(train, test)]
    if test is None:
        sections.append("No work is held out for the test, so that nothing is measured.")
    else:
        sections += _measured(prior, train, test, console, beside or {})
    losses = prior.about.get("nats_per_action")
    if losses is not None:
        sections += ["## Losses by epoch", _losses(losses), f"![losses by epoch]({CURVES_FILE})"]
        draw_loss_curves(folder / CURVES_FILE, losses)
    text = "\n\n".join(sections) + "\n"
    (folder / REPORT_FILE).write_text(text, encoding="utf-8")
    return text


def _sizes(prior: Prior) -> str:
    """What the network is."""
    shape = prior.network.config
    weights = sum(parameter.numel() for parameter in prior.network.parameters())
    heads = f", {shape.heads} heads" if shape.backbone == "transformer" else ""
    return f"{shape.backbone}, {shape.layers} layers of width {shape.width}{heads}: {weights:,} weights."


def _works(train: PassageDataset, test: PassageDataset | None) -> str:
    """How many works of each genre the prior was fitted to, and how many it is tested on."""
    rows = [["genre", "works fitted to", "their notes", "works held out for the test", "their notes"]]
    for genre in GENRES:
        parts = [[work for work in part.works if work.genre == genre] if part else [] for part in (train, test)]
        counts = [count for part in parts for count in (len(part), sum(len(work.score) for work in part))]
        if any(counts):
            rows.append([genre, *(f"{count:,}" for count in counts)])
    return _markdown(rows)


def _measured(
    prior: Prior, train: PassageDataset, test: PassageDataset, console: Console, beside: Mapping[str, Prior]
) -> list[str]:
    """The tables of bits, and what they are of."""
    pieces, works = whole_works(test)
    music = trajectories_of(pieces, test.piano)
    markov, steps = fitted_markov(train)
    found = {
        "uniform over legal": uniform_log_prob(music),
        "Markov, order 3": markov.log_prob(music),
        "prior": prior.log_prob(music),
        "prior, told no genre": prior.log_prob(unconditional(music)),
        **{name: each.log_prob(music) for name, each in beside.items()},
    }
    columns = {name: bits(log_probs, pieces, works) for name, log_probs in found.items()}
    tables = [table(columns, unit) for unit in ("action", "note")]
    shown = Table(*tables[0][0])
    for row in tables[0][1:]:
        shown.add_row(*row)
    console.print(shown)
    missing = [
        genre for genre in GENRES if genre not in columns["prior"] and any(work.genre == genre for work in train.works)
    ]
    left_out = f" Left out, as no work of it is held out: {', '.join(missing)}." if missing else ""
    heard = ["the prior that this one goes on from"] if prior.about.get("start") else []
    heard += sorted(beside)
    may_know = (
        f" Works go by their names into one part in every fit; those that {' and '.join(heard)} met under other names "
        "may have been fitted to there."
        if heard
        else ""
    )
    note = (
        f"The first passages, of {test.bars} bars each, of works held out from this fit and from the Markov chain, as "
        "written; every model knows which actions are legal. In brackets 95 % bootstrap intervals over works. "
        'Bits per note count those of the waits too. "all" takes all actions alike, so that the genres with most music '
        f"weigh most. The Markov chain was fitted on {steps:,} steps in random keys.{left_out}{may_know}"
    )
    return ["## Bits on works held out", note, *(_markdown(rows) for rows in tables), _ahead(found, pieces, works)]


def _ahead(found: Mapping[str, Sequence[np.ndarray]], pieces: Sequence[Piece], works: Sequence[str]) -> str:
    """By how much the prior is ahead of each other model, on the same music."""
    lines = []
    for name, log_probs in found.items():
        if name != "prior":
            less = [theirs - ours for theirs, ours in zip(log_probs, found["prior"], strict=True)]
            ahead = bits(less, pieces, works)[ALL]
            lines.append(f"- {name}: {_cell(ahead.per_action, ahead.works)}")
    return "\n".join(["Bits per action that the prior needs less, on the same music, than", "", *lines])


def _losses(losses: Mapping[str, Sequence[float]]) -> str:
    """Losses in nats an action; the epoch whose weights were kept is marked."""
    rows = [["epoch", "nats per action, fitted on", "held out"]]
    for epoch, loss in enumerate(losses["train"]):
        kept = ", kept" if epoch == losses["best_epoch"] else ""
        held_out = f"{losses['valid'][epoch]:.4f}" if losses["valid"] else "-"
        rows.append([f"{epoch + 1}{kept}", f"{loss:.4f}", held_out])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, its head first."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def draw_loss_curves(path: Path, losses: Mapping[str, Sequence[float]]) -> None:
    """A picture of the losses by epoch."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, label, style in (("train", "fitted on", "o--"), ("valid", "held out", "o-")):
        if losses[name]:
            axes.plot(range(1, len(losses[name]) + 1), losses[name], style, color="#347dbc", label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss, nats per action")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e2e7ee")
    axes.legend()
    figure.savefig(path, dpi=110)
