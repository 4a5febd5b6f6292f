"""The table of the study as Markdown, as CSV and in the terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from toccata.agents.evaluation.overoptimise.sets import VENDI
from toccata.agents.studies.rivals.measure import MINUTES, REAL_BITS, SECONDS
from toccata.errors import printable
from toccata.reward_models.judges.panel import ATYPICALITY, BAND_SHARE, BITS, GOLD, REALISM

REWARD = "reward/total"
COLUMNS = {  # metrics of the table, and what it calls them
    REWARD: "reward",
    "score/rating": "rating",
    GOLD: "gold",
    REALISM: "held-out realism",
    BITS: "bits",
    ATYPICALITY: "atypicality",
    BAND_SHARE: "band share",
    VENDI: "Vendi",
    "frechet_distance": "Fréchet",
    "qualified_note_rate": "QN",
    "pitch_class_entropy": "pitch-class entropy",
    "loop_rate": "loop rate",
    "silence_rate": "silence",
    "originality_score": "originality",
    REAL_BITS: "own bits of real music",
    SECONDS: "s a piece",
    MINUTES: "minutes to fit",
}
IN_TERMINAL = (REWARD, GOLD, REALISM, BITS, VENDI, "frechet_distance", SECONDS)
DECIMALS = {"loop_rate": 3, "silence_rate": 3, VENDI: 1, REALISM: 1, "frechet_distance": 1, MINUTES: 1}

Summary = Mapping[str, Any]


def markdown(summary: Summary) -> str:
    """table.md: a row for each composer, what the columns are, and remarks."""
    names = _columns(summary)
    titles = [f"Vendi of {summary['set_size']}" if name == VENDI else COLUMNS[name] for name in names]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(names) + 1) + "|"]
    for name, row in summary["rows"].items():
        lines.append(f"| {_safe(name)} | " + " | ".join(_cell(row, metric) for metric in names) + " |")
    samples = summary["settings"]["samples"]
    text = [
        "# Composers beside the agent",
        f"{samples} pieces of each, and of each run; rewards: {_safe(summary['rewards'])}.",
        "\n".join(lines),
        "Means ± half of the 95 % interval: over pieces, where a row is several runs over their seeds; of bits of real "
        "music over works. Bits: an action under the judge of typicality. Own bits: an action of held-out real music "
        "under the composer, where it has a likelihood. Composers that sample do so with `top_p` 0.95, as `toccata "
        "compose` does; runs, and their policies before RL, from all legal actions, as in training. Fréchet: from as "
        "many excerpts of half of the held-out works; of real music that of the other half. Seconds are of processor "
        "time. Minutes to fit are as recorded with the weights; of runs they are those of RL.",
        *(f"- {_safe(line)}" for line in summary["remarks"]),
    ]
    return "\n\n".join(text) + "\n"


def table_csv(summary: Summary) -> str:
    """table.csv: a line a row, three columns a metric."""
    rows = summary["rows"]
    names = list(dict.fromkeys([*COLUMNS, *(name for row in rows.values() for name in row)]))
    names = [name for name in names if any(name in row for row in rows.values())]
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["composer", *(f"{name}{end}" for name in names for end in ("", " low", " high"))])
    for name, row in rows.items():
        figures = [row.get(metric, {}) for metric in names]
        writer.writerow([name, *(each.get(key) for each in figures for key in ("mean", "low", "high"))])
    return text.getvalue()


def table_of(summary: Summary) -> Table:
    """The means of the most important columns for a terminal."""
    table = Table(title="means; intervals are in table.md", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("")
    for name in IN_TERMINAL:
        table.add_column(COLUMNS[name], justify="right")
    for name, row in summary["rows"].items():
        cells = (_cell(row, metric).partition(" ")[0] for metric in IN_TERMINAL)
        table.add_row(escape(printable(name)), *cells)
    return table


def _columns(summary: Summary) -> list[str]:
    return [name for name in COLUMNS if any(name in row for row in summary["rows"].values())]


def _cell(row: Summary, metric: str) -> str:
    """Mean and half of the interval."""
    each = row.get(metric)
    if each is None:
        return ""
    digits = DECIMALS.get(metric, 2)
    half = "" if each["low"] is None else f" ± {(each['high'] - each['low']) / 2:.{digits}f}"
    return f"{each['mean']:.{digits}f}{half}"


def _safe(text: str) -> str:
    """Text for a cell of Markdown."""
    return printable(text).replace("|", "\\|")
