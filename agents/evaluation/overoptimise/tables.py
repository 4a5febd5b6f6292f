"""The table of a study as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from toccata.agents.evaluation.overoptimise.beside import GAIN, SAME_N, SHARE
from toccata.agents.evaluation.overoptimise.evaluator import REWARD
from toccata.agents.evaluation.overoptimise.samples import KL
from toccata.agents.evaluation.overoptimise.sets import DIVERSITY, VENDI
from toccata.agents.evaluation.overoptimise.study import MINUTES
from toccata.errors import printable
from toccata.reward_models.judges.panel import ATYPICALITY, BAND_SHARE, BITS, GOLD, REALISM

COLUMNS = {  # metrics of the table, and what it calls them
    REWARD: "reward",
    GAIN: "gain",
    SHARE: "share of the limit",
    SAME_N: "as best of",
    KL: "KL, nats a piece",
    GOLD: "gold",
    REALISM: "held-out realism",
    BITS: "bits",
    ATYPICALITY: "atypicality",
    BAND_SHARE: "band share",
    VENDI: "Vendi",
    DIVERSITY: "diversity",
    "loop_rate": "loop rate",
    "repeated_note_rate": "repeated-note rate",
    MINUTES: "minutes",
}
IN_TERMINAL = (REWARD, SHARE, SAME_N, KL, GOLD, REALISM)
IN_TABLE = (4, 16, 64)  # n of the rows of best-of-n; CSV and JSON have all
DECIMALS = {"loop_rate": 3, "repeated_note_rate": 3, SAME_N: 0, KL: 1, MINUTES: 1}

Summary = Mapping[str, Any]


def markdown(summary: Summary) -> str:
    """table.md: the rows of the study, the curves, and the remarks."""
    names = [name for name in COLUMNS if any(name in row["metrics"] for row in summary["rows"].values())]
    titles = [f"Vendi of {summary['set_size']}" if name == VENDI else COLUMNS[name] for name in names]
    lines = ["| | " + " | ".join([*titles, "outside real music's range"]) + " |", "|---" * (len(names) + 2) + "|"]
    for name, row in shown_rows(summary).items():
        cells = [_cell(row, metric) for metric in names]
        outside = ", ".join(each.replace("_", " ") for each in row["outside"])
        lines.append(f"| {_safe(name)} | " + " | ".join([*cells, outside]) + " |")
    text = [
        "# Over-optimisation",
        f"Reward: {_safe(summary['proxy_reward'])}. {summary['settings']['samples']} pieces of each model.",
        "\n".join(lines),
        "Means ± half of the 95 % interval. " + _explained(summary),
        *_curve_table(summary),
        *(f"- {_safe(line)}" for line in summary["remarks"]),
    ]
    return "\n\n".join(text) + "\n"


def shown_rows(summary: Summary) -> dict[str, Any]:
    """The rows of the table: those of best-of-n thinned out."""
    return {name: row for name, row in summary["rows"].items() if row["kind"] != "best of n" or row["n"] in IN_TABLE}


def table_csv(summary: Summary) -> str:
    """table.csv: a line a row, three columns a metric."""
    rows = summary["rows"]
    names = list(dict.fromkeys([*COLUMNS, *(name for row in rows.values() for name in row["metrics"])]))
    names = [name for name in names if any(name in row["metrics"] for row in rows.values())]
    text = StringIO(newline="")
    writer = csv.writer(text)
    ends = ("", " low", " high")
    writer.writerow(["row", "kind", *(f"{name}{end}" for name in names for end in ends), "outside", "extrapolated"])
    for name, row in rows.items():
        figures = [row["metrics"].get(metric, {}) for metric in names]
        cells = [each.get(key) for each in figures for key in ("mean", "low", "high")]
        extrapolated = row.get("limit_extrapolated", "")
        writer.writerow([name, row["kind"], *cells, " ".join(row["outside"]), extrapolated])
    return text.getvalue()


def table_of(summary: Summary) -> Table:
    """The most important columns for a terminal."""
    table = Table(
        title="means, ± half of the 95 % interval", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    table.add_column("", no_wrap=True)
    for name in IN_TERMINAL:
        table.add_column(COLUMNS[name], justify="right")
    for name, row in shown_rows(summary).items():
        table.add_row(escape(printable(name)), *(_cell(row, metric) for metric in IN_TERMINAL))
    return table


def _cell(row: Summary, metric: str) -> str:
    """Mean and half of the interval; `~` before what rests on an extrapolation."""
    each = row["metrics"].get(metric)
    if each is None:
        return ""
    if metric == SAME_N:
        return _n(each)
    digits = DECIMALS.get(metric, 2)
    mark = "~" if metric == SHARE and row.get("limit_extrapolated") else ""
    half = "" if each["low"] is None else f" ± {(each['high'] - each['low']) / 2:.{digits}f}"
    return f"{mark}{each['mean']:.{digits}f}{half}"


def _rounded(n: float | None) -> str:
    return "more" if n is None else f"{n:.1f}" if n < 10 else f"{n:.0f}"


def _n(each: Summary) -> str:
    """The n of best-of-n with the same reward, and those of the seeds."""
    seeds = [_rounded(value) for value in each["by_seed"]]
    if len(seeds) == 1:
        return seeds[0]
    return f"{_rounded(each['mean'])} ({', '.join(seeds)})"


def _explained(summary: Summary) -> str:
    """What the columns are."""
    lines = [
        "Gain: reward minus that of the run's reference policy. Share of the limit: gain, in gains of the exact "
        "optimum at the same KL.",
        "As best of: the n of best-of-n with the same reward, for each seed in brackets.",
        "Vendi score and diversity: of sets of "
        f"{summary['set_size']} pieces; a pool needs as many groups of n. KL of best-of-n: the bound "
        "log n - (n - 1)/n.",
        "Outside: metrics whose mean is not in the 5 to 95 % range of real pieces.",
    ]
    limit = summary["limit"]
    if limit is not None:
        lines.insert(
            1,
            f"`~`: beyond {limit['edge_kl']:.1f} nats the pool does not reach, and the optimum is extrapolated.",
        )
    return " ".join(lines)


def _curve_table(summary: Summary) -> list[str]:
    """The fits of Gao et al. as a table."""
    rows, reasons = [], []
    for name, fits in summary["curves"].items():
        for metric, fit in fits.items():
            title = COLUMNS.get(metric, metric)
            if "reason" in fit:
                reasons.append(fit["reason"])
                continue
            cells = [_coefficient(fit[each]) for each in ("alpha", "beta")]
            peak = f"{fit['peak_kl']:.0f}" if fit.get("peak_kl") else ""
            rows.append(f"| {_safe(name)} | {title} | {cells[0]} | {cells[1]} | {peak} | {fit.get('resampled', '')} |")
    if not rows:
        return []
    head = ["| | | alpha | beta | highest at, nats | intervals over |", "|---|---|---|---|---|---|"]
    text = (
        "Gain against d = sqrt(KL), least squares: d (alpha - beta d) of best-of-n, d (alpha - beta log d) of the arms "
        "(Gao et al. 2022)."
    )
    missing = [f"No fit where {reason}." for reason in dict.fromkeys(reasons)]
    return [text, "\n".join([*head, *rows]), *missing]


def _coefficient(each: Summary) -> str:
    interval = f" ({each['low']:.2f}..{each['high']:.2f})" if "low" in each else ""
    return f"{each['mean']:.2f}{interval}"


def _safe(text: str) -> str:
    """A text in a cell of Markdown."""
    return printable(text).replace("|", "\\|")
