"""Comparison of composers: means with bootstrap intervals, differences, and the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from toccata.stats import bootstrap_difference, bootstrap_mean

REAL_RANGE = (5, 95)  # percentiles of real pieces


def summarise(values: Mapping[str, Mapping[str, np.ndarray]], seed: int) -> dict[str, Any]:
    """Means with bootstrap intervals, the range of real pieces, and differences of the agent from the others.

    Args:
        values: (n,) by composer and metric.
        seed: of the bootstrap.

    Returns:
        `composers`, by composer and metric: mean, low, high (95 % percentile bootstrap over pieces) and values;
        `real_range`: by metric the 5th and 95th percentile of real pieces; `differences`: by "agent - other" and metric
        mean, low, high of the difference of means.
    """
    rng = np.random.default_rng(seed)
    composers = {
        name: {
            metric: {**bootstrap_mean(each, rng)._asdict(), "values": each.tolist()} for metric, each in metrics.items()
        }
        for name, metrics in values.items()
    }
    differences = {
        f"agent - {other}": {
            metric: bootstrap_difference(values["agent"][metric], values[other][metric], rng)._asdict()
            for metric in values["agent"]
        }
        for other in ("reference", "random", "real")
        if other in values
    }
    real_range = {
        metric: dict(zip(("low", "high"), np.percentile(each, REAL_RANGE).tolist(), strict=True))
        for metric, each in values["real"].items()
    }
    return {"composers": composers, "real_range": real_range, "differences": differences}


def table_of(summary: dict[str, Any]) -> Table:
    """The summary as a table that fits a terminal of 80 columns; rows of one value for all are left out."""
    composers = summary["composers"]
    title = "means, ± half of the 95 % interval"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", no_wrap=True)
    for name in (*composers, "real 5-95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for metric in composers["agent"]:
        if len({value for each in composers.values() for value in each[metric]["values"]}) == 1:
            continue
        cells = [
            f"{short(each[metric]['mean'])} [dim]±{short((each[metric]['high'] - each[metric]['low']) / 2)}[/dim]"
            for each in composers.values()
        ]
        real = summary["real_range"][metric]
        table.add_row(escape(metric.replace("_", " ")), *cells, f"{short(real['low'])}..{short(real['high'])}")
    return table


def short(value: float) -> str:
    """A number in five characters, as far as it fits; zero has no sign."""
    value = 0.0 if abs(value) < 0.005 else value
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1e6 else f"{value:.1e}"
