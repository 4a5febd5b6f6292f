"""The results as tables in the terminal and in Markdown, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from toccata.errors import shortened

TOO_FEW = "too few"
LONGEST_NAME = 60
Results = Mapping[str, Any]
Rows = list[list[str]]


def tables(results: Results) -> dict[str, Rows]:
    """The tables by their title, each with its header first."""
    sources = [["source", "strength [95 %]", "preferred", "votes"]]
    sources += [
        [_name(name), _interval(row, "strength"), f"{row['share']:.2f}", str(row["votes"])]
        for name, row in results["better"]["sources"].items()
    ]
    person = [["source", "taken for a person's [95 %]", "votes"]]
    person += [
        [_name(name), _interval(row, "share"), str(row["votes"])] for name, row in results["person"]["sources"].items()
    ]
    if results["person"]["right"]:
        right = results["person"]["right"]
        person.append(["right answers, of all", _interval(right, "share"), str(right["votes"])])
    radio = [["source", "plays", "likes", "likes a play [95 %]"]]
    radio += [
        [_name(name), str(row["plays"]), str(row["likes"]), _interval(row, "share")]
        for name, row in results["radio"].items()
    ]
    models = [["model", "correlation with strength [95 %]", "pieces", "with like rate [95 %]", "pieces"]]
    models += [
        [
            _name(name),
            *(
                cell
                for kind in ("strength", "like rate")
                for cell in (_interval(row[kind], "correlation"), str(row[kind]["pieces"]))
            ),
        ]
        for name, row in results["models"].items()
    ]
    found = {
        "Which is better": sources,
        "Which was written by a person": person,
        "Radio": radio,
        "Agreement of models with listeners": models,
    }
    return {title: rows for title, rows in found.items() if len(rows) > 1}


def remarks(results: Results) -> list[str]:
    """What the tables do not say, a line each."""
    listeners, checks, listening = results["listeners"], results["checks"], results["agreement"]
    lines = [
        f"{listeners['counted']} listeners; {listeners['left_out']} left out who failed more than "
        f"{100 * results['settings']['max_failed']:g} % of their attention checks ({checks['failed']} of "
        f"{checks['answered']} answers wrong, of all listeners).",
        f"{results['better']['votes']} votes on which is better, {results['person']['votes']} on which a person wrote. "
        f"Intervals of strengths: {results['better']['interval']}.",
    ]
    if listening["alpha"] is None:
        lines.append(f"Agreement of listeners: {TOO_FEW}, {listening['pairs']} pairs with two or more votes.")
    else:
        lines.append(
            f"Agreement of listeners on {listening['pairs']} pairs with two or more votes: "
            f"{100 * listening['agreeing']:.0f} % of votes agree (by chance {100 * listening['chance']:.0f} %); "
            f"Krippendorff's alpha {_interval(listening, 'alpha')}."
        )
    if results["unread"]:
        lines.append(f"Pieces that cannot be read as scores, of which models say nothing: {results['unread']}.")
    if results["left_out_of_data"]:
        lines.append(f"Pieces that are not in data/, as their files cannot be read: {results['left_out_of_data']}.")
    return lines


def terminal_tables(results: Results) -> list[Table]:
    """The tables for a terminal."""
    made = []
    for title, (header, *rows) in tables(results).items():
        table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        made.append(table)
    return made


def markdown(results: Results) -> str:
    """report.md."""
    parts = ["# What listeners say", "\n".join(f"- {line}" for line in remarks(results))]
    for title, (header, *rows) in tables(results).items():
        lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
        parts += [f"## {title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    parts.append(
        "Strengths are log-odds: a source with a strength of 1 more is preferred in 73 % of the votes. Shares have "
        "Wilson's interval, for which votes are independent; correlations are Spearman's, over pieces."
    )
    if results["better"]["sources"]:
        parts.append("![sources](sources.png)")
    return "\n\n".join(parts) + "\n"


def picture(results: Results) -> bytes:
    """A PNG of the strengths of the sources with their intervals, and of the shares taken for a person's."""
    from matplotlib.figure import Figure

    better, person = results["better"]["sources"], results["person"]["sources"]
    panels = [
        (better, "strength", "preferred: strength in log-odds", 0.0),
        (person, "share", "taken for a person's: share", 0.5),
    ]
    panels = [panel for panel in panels if panel[0]]
    height = 1.2 + 0.35 * max(len(rows) for rows, *_ in panels)
    figure = Figure(figsize=(4.8 * len(panels), height), layout="constrained")
    for axes, (rows, key, label, neutral) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        _draw(axes, rows, key)
        axes.axvline(neutral, color="0.7", linewidth=1, zorder=0)
        axes.set_xlabel(label)
    png = BytesIO()
    figure.savefig(png, dpi=110)
    return png.getvalue()


def _draw(axes: Any, rows: Mapping[str, Mapping[str, Any]], key: str) -> None:
    """A dot with an interval for each row, the first at the top."""
    names: Sequence[str] = [_name(name) for name in rows]
    height = range(len(names), 0, -1)
    values = [row[key] for row in rows.values()]
    below = [row[key] - row["low"] for row in rows.values()]
    above = [row["high"] - row[key] for row in rows.values()]
    axes.errorbar(values, height, xerr=[below, above], fmt="o", color="C0", capsize=3)
    axes.set_yticks(list(height), [name.replace("$", "\\$") for name in names])  # no mathematics in names
    axes.set_ylim(0.4, len(names) + 0.6)


def _interval(row: Mapping[str, Any], key: str) -> str:
    if row[key] is None:
        return TOO_FEW
    return f"{row[key]:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _name(name: str) -> str:
    return shortened(name, LONGEST_NAME)
