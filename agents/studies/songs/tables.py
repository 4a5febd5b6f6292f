"""The tables of the study, as Markdown and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from toccata.agents.studies.songs.measure import MELODY

COLUMNS = {  # figures of the table, and what it calls them
    "stressed_on_strong": "stressed on strong beats",
    "unstressed_on_strong": "unstressed on strong beats",
    "stress_on_beats": "stress on beats",
    "stress_on_length": "stress on length",
    "breaths": "breaths at line ends",
    "line_end_degree": "line-end degree",
    "line_end_length": "line-end length",
    "phrase_arch": "arch",
    "lyric_agreement": "agreement",
    "lyrics": "`lyrics`",
    "range": "range, semitones",
    "largest_leap": "largest leap",
    "originality_score": "originality",
    "shared_ngram_share": "shared n-grams",
    "longest_passage": "longest shared passage, notes",
}
IN_TERMINAL = ("stressed_on_strong", "unstressed_on_strong", "stress_on_beats", "breaths", "line_end_degree", "lyrics")
WHOLE = ("range", "largest_leap", "longest_passage")  # of one decimal

Summary = Mapping[str, Any]


def words_table(summary: Summary) -> str:
    """table.md: words and originality; a row for each figure, a column for each kind of song."""
    found = [name for name in COLUMNS if any(name in row for row in summary["rows"].values())]
    lines = _lines(summary, {name: COLUMNS[name] for name in found})
    return "\n\n".join(["# Songs for poems", _about(summary), "\n".join(lines)]) + "\n"


def melody_table(summary: Summary) -> str:
    """melody.md: every metric of the sung line."""
    names = [name for name in next(iter(summary["rows"].values())) if name.startswith(MELODY)]
    titles = {name: f"`{name.removeprefix(MELODY)}`" for name in names}
    return "\n\n".join(["# The melodies of songs", _about(summary), "\n".join(_lines(summary, titles))]) + "\n"


def table_of(summary: Summary) -> Table:
    """The means of the most important figures for a terminal."""
    table = Table(title="means; intervals are in table.md", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("")
    for name in IN_TERMINAL:
        table.add_column(COLUMNS[name].strip("`"), justify="right")
    for name, row in summary["rows"].items():
        table.add_row(name, *(f"{row[figure]['mean']:.2f}" for figure in IN_TERMINAL))
    return table


def _about(summary: Summary) -> str:
    """What was composed, in a sentence."""
    settings = summary["settings"]
    rewards = " + ".join(f"{weight:g} x {name}" for name, weight in settings["rewards"])
    return (
        f"{summary['poems']} poems, {settings['voice']}; for each {settings['random_drafts']} songs of random legal "
        f"play and {settings['drafts']} of the prior ({settings['prior']}, {settings['genre']}). Of these the best by "
        f"`lyrics`, and of the first {settings['rewarded']} the best by {rewards}. {summary['real']} groups of real "
        "songs. Means over poems or groups, with 95 % bootstrap intervals."
    )


def _lines(summary: Summary, titles: Mapping[str, str]) -> Sequence[str]:
    """The lines of a table in Markdown, a row a figure."""
    rows = summary["rows"]
    lines = ["| | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
    for name, title in titles.items():
        lines.append(f"| {title} | " + " | ".join(_cell(row.get(name), name) for row in rows.values()) + " |")
    return lines


def _cell(figure: Mapping[str, float] | None, name: str) -> str:
    """Mean and interval."""
    if figure is None:
        return ""
    digits = 1 if name in WHOLE else 2
    return f"{figure['mean']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"
