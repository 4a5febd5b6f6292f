"""What a comparison looks like: the table in a terminal, and compare.html with the curves of all groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape as escape_markup
from rich.table import Table

from toccata.agents.evaluation.comparison import short
from toccata.agents.evaluation.report.curves import Line, curves_section
from toccata.agents.evaluation.report.families import by_family, spoken
from toccata.agents.evaluation.report.style import document, scrolling
from toccata.agents.evaluation.report.table import Marks, cell, legend, meanings, range_plot, row_decimals, row_header
from toccata.agents.evaluation.report.text import listed, safe
from toccata.agents.evaluation.run_groups import Group
from toccata.files import write_atomically

FIRST_CURVES = ("reward/total", "kl/nats_per_piece")
COLOURS = ("#347dbc", "#d1662b", "#3f9b5c", "#8b5fbf", "#c23b5a", "#6b7685")  # of pictures; pages have --group-0 to -5
SHAPES = ("circle", "square", "diamond", "cross")  # of groups in plots
CURVES_NOTE = "The mean over the seeds of each group, and a band from the least to the greatest."


def table_of(summary: dict[str, Any]) -> Table:
    """The summary as a table; with two groups it fits a terminal of 80 columns."""
    groups, differences = summary["groups"], summary["differences"]
    title = "means, ± half of the 95 % interval; differences with the interval"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", no_wrap=True)
    for name in (*groups, *differences):
        table.add_column(name, justify="right", no_wrap=True)
    for metric in _metrics(summary):
        cells = [_plus_minus(group["metrics"].get(metric)) for group in groups.values()]
        cells += [_interval(each["metrics"].get(metric)) for each in differences.values()]
        table.add_row(escape_markup(metric.replace("_", " ")), *cells)
    return table


def _metrics(summary: dict[str, Any]) -> list[str]:
    """The metrics that any group has, in the order of the first that has them."""
    return list(dict.fromkeys(metric for group in summary["groups"].values() for metric in group["metrics"]))


def _plus_minus(each: dict[str, Any] | None) -> str:
    if each is None:
        return ""
    return short(each["mean"]) + (
        "" if each["low"] is None else f" [dim]±{short((each['high'] - each['low']) / 2)}[/dim]"
    )


def _interval(each: dict[str, Any] | None) -> str:
    if each is None:
        return ""
    return short(each["mean"]) + ("" if each["low"] is None else f" \\[{short(each['low'])}, {short(each['high'])}]")


def write_page(groups: Sequence[Group], summary: dict[str, Any], folder: Path) -> None:
    """Write compare.html: groups, the table with a plot of each row, remarks, and the curves of all groups."""
    marks = {name: (SHAPES[index % len(SHAPES)], colour_of(index)) for index, name in enumerate(summary["groups"])}
    note = f'<p class="quiet">{safe(CURVES_NOTE)}</p>{legend(marks, band=False)}'
    described = "".join(
        f"<h3>{safe(group.describe())}</h3>{listed(safe(run.folder) for run in group.runs)}" for group in groups
    )
    remarks = "".join(f"<p>{safe(line)}</p>" for line in summary["remarks"])
    body = (
        "<header><h1>Comparison</h1><p>Evaluated runs, in groups that differ in nothing but the seed.</p></header>"
        f"<section><h2>Groups</h2>{described}</section>"
        f"<section><h2>Measured</h2>{legend(marks, band=False)}{comparison_table(summary, marks)}{remarks}"
        "<p>Means over seeds with 95 % t intervals, which take the means of the seeds to be independent and "
        "normal; with two or three seeds they are wide.</p></section>"
        f"{curves_section(lines_of(groups), {}, note)}"
    )
    write_atomically(folder / "compare.html", document("Comparison of runs", f"<main>{body}</main>"))


def comparison_table(summary: dict[str, Any], marks: Marks) -> str:
    """The table of a comparison."""
    groups, differences = summary["groups"], summary["differences"]
    head = "".join(f'<th scope="col">{safe(name)}</th>' for name in (*groups, *differences))
    columns = len(groups) + len(differences) + 2
    body = []
    metrics = _metrics(summary)
    for family, names in by_family(metrics).items():
        body.append(f'<tr><th scope="rowgroup" colspan="{columns}">{safe(family.capitalize())}</th></tr>')
        for metric in names:
            means = {name: group["metrics"][metric] for name, group in groups.items() if metric in group["metrics"]}
            decimals = row_decimals(means.values())
            each = [*(means.get(name) for name in groups)]
            each += [difference["metrics"].get(metric) for difference in differences.values()]
            cells = "".join(f"<td>{cell(estimate, decimals)}</td>" for estimate in each)
            plot = range_plot(means, None, marks, f"{spoken(metric)} of each group")
            body.append(f"<tr>{row_header(metric)}<td>{plot}</td>{cells}</tr>")
    table = (
        f'<table><thead><tr><th scope="col">metric</th><th scope="col" class="side">plot</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
    return f"{scrolling(table, 'metrics of each group')}{meanings(metrics)}"


def colour_of(index: int) -> str:
    """The colour of a group in a page."""
    return f"var(--group-{index % len(COLOURS)})"


def lines_of(groups: Sequence[Group]) -> dict[str, list[Line]]:
    """By quantity a curve for each group: the mean over seeds, and a band from the least to the greatest."""
    found = {name for group in groups for run in group.runs for name in run.curves}
    curves: dict[str, list[Line]] = {}
    for name in (*(name for name in FIRST_CURVES if name in found), *sorted(found - set(FIRST_CURVES))):
        for index, group in enumerate(groups):
            steps, values = over_seeds([run.curves[name] for run in group.runs if name in run.curves])
            if len(steps):
                band = (values.min(axis=0), values.max(axis=0)) if len(values) > 1 else (None, None)
                curves.setdefault(name, []).append(Line(steps, values.mean(axis=0), colour_of(index), *band))
    return curves


def over_seeds(curves: Sequence[Sequence[tuple[float, float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (n,) and the values (runs, n) of curves there, interpolated between their own steps.

    The steps are those of all curves in the range that each of them covers; none where there is no such range.
    """
    sorted_curves = [np.array(sorted(curve)) for curve in curves if curve]
    if not sorted_curves:
        return np.empty(0), np.empty((0, 0))
    steps = np.unique(np.concatenate([curve[:, 0] for curve in sorted_curves]))
    first, last = max(curve[0, 0] for curve in sorted_curves), min(curve[-1, 0] for curve in sorted_curves)
    steps = steps[(steps >= first) & (steps <= last)]
    return steps, np.stack([np.interp(steps, curve[:, 0], curve[:, 1]) for curve in sorted_curves])
