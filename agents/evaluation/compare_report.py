"""What a comparison looks like: the table, compare.html, and training curves of all groups in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape as escape_markup
from rich.table import Table

from toccata.agents.evaluation.comparison import short
from toccata.agents.evaluation.report import STYLE
from toccata.agents.evaluation.run_groups import Group
from toccata.errors import printable
from toccata.files import write_atomically

MAX_LABEL = 100  # characters of a legend
FIRST_CURVES = ("reward/total", "kl/nats_per_piece")
COLOURS = ("#347dbc", "#d1662b", "#3f9b5c", "#8b5fbf", "#c23b5a", "#6b7685")


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


def write_page(groups: Sequence[Group], summary: dict[str, Any], folder: Path, *, has_curves: bool) -> None:
    """Write compare.html."""
    runs = "".join(
        f"<p>{escape(printable(group.describe()))}<br><small>"
        f"{'<br>'.join(escape(printable(str(run.folder))) for run in group.runs)}</small></p>"
        for group in groups
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in (*summary["groups"], *summary["differences"]))
    rows = []
    for metric in _metrics(summary):
        each = [group["metrics"].get(metric) for group in summary["groups"].values()]
        each += [difference["metrics"].get(metric) for difference in summary["differences"].values()]
        rows.append(f"<tr><td>{escape(metric.replace('_', ' '))}</td>{''.join(map(_cell, each))}</tr>")
    remarks = "".join(f"<p>{escape(line)}</p>" for line in summary["remarks"])
    curves = '<section><h2>Training</h2><img src="curves.png" alt="training curves"></section>' if has_curves else ""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>comparison</title><style>{STYLE}</style>"
        f"<h1>Comparison</h1><section>{runs}</section><section><h2>Measured</h2>"
        f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>{remarks}"
        "<p><small>Means over seeds with 95 % t intervals, which take the means of the seeds to be independent and "
        "normal; with two or three seeds they are wide.</small></p></section>"
        f"{curves}</html>\n"
    )
    write_atomically(folder / "compare.html", page.encode("utf-8", "backslashreplace"))


def _cell(each: dict[str, Any] | None) -> str:
    if each is None:
        return "<td></td>"
    interval = "" if each["low"] is None else f" <small>{short(each['low'])}..{short(each['high'])}</small>"
    return f"<td>{short(each['mean'])}{interval}</td>"


def draw_curves(groups: Sequence[Group]) -> bytes | None:
    """A PNG of the training curves of all groups: the mean over seeds, and a band from the least to the greatest.

    None where no run has curves.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    found = {name for group in groups for run in group.runs for name in run.curves}
    names = [*(name for name in FIRST_CURVES if name in found), *sorted(found - set(FIRST_CURVES))]
    if not names:
        return None
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure = Figure(figsize=(4 * across + 0.8, 2.6 * down + 0.4), layout="constrained")
    for number, name in enumerate(names):
        axes = figure.add_subplot(down, across, number + 1)
        for index, group in enumerate(groups):
            colour = COLOURS[index % len(COLOURS)]
            steps, values = over_seeds([run.curves[name] for run in group.runs if name in run.curves])
            if len(steps):
                axes.plot(steps, values.mean(axis=0), color=colour)
                if len(values) > 1:
                    axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, lw=0)
        axes.set_title(name.replace("_", " ")[:60], fontsize=9, parse_math=False)
        axes.set_xlabel("steps", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.grid(color="#e2e7ee")
    handles = [
        Line2D([], [], color=COLOURS[index % len(COLOURS)], label=group.describe()[:MAX_LABEL])
        for index, group in enumerate(groups)
    ]
    legend = figure.legend(handles=handles, loc="outside upper left", fontsize=9, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)  # settings may have a $
    png = BytesIO()
    figure.savefig(png, dpi=110)
    return png.getvalue()


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
