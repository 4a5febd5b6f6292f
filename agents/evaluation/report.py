"""report.html: sound and pictures of pieces, the table of metrics, and training curves, in one page without scripts."""

from __future__ import annotations

import csv
from html import escape
from pathlib import Path
from typing import Any

from toccata.agents.runs.run_folder import Run

GOLD = "gold_rating"  # the metric that no agent is rewarded for
GOLD_NOTE = (
    "<i>gold rating</i> is the rating by an ensemble member that no agent is rewarded by: "
    "where rewards rise above <i>reference</i> and it does not, the agent over-optimises its reward models."
)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #262c36; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #e2e7ee; }
td:first-child, th:first-child { text-align: left; }
small { color: #6b7685; } img { max-width: 100%; } audio { width: 24rem; }
section { margin: 2rem 0; }
"""


def write_report(run: Run, folder: Path, summary: dict[str, Any], pieces: int) -> None:
    """Write report.html into an evaluation folder, and curves.png where there is a progress.csv."""
    curves = ""
    if draw_training_curves(run.folder / "progress.csv", folder / "curves.png"):
        curves = '<section><h2>Training</h2><img src="curves.png" alt="training curves"></section>'
    kl = f"<p>{escape(kl_line(summary))}</p>" if "kl" in summary else ""
    note = f" {GOLD_NOTE}" if GOLD in summary["composers"]["agent"] else ""
    stems = [*(f"piece-{number:03d}" for number in range(pieces)), "random", "real"]
    command = escape((run.folder / "command.txt").read_text().strip())
    (folder / "report.html").write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(run.folder.name)}</title>"
        f"<style>{STYLE}</style><h1>{escape(run.folder.name)}</h1><p><code>{command}</code></p>"
        f"<section><h2>Measured</h2>{_table(summary)}{kl}<p><small>Means over pieces with 95 % bootstrap intervals; "
        "<i>reference</i> is the agent before PPO, <i>random</i> uniformly random legal actions, <i>real</i> held-out "
        f"music; the last column is the range of real pieces.{note}</small></section>"
        f"{curves}<section><h2>Pieces</h2>{''.join(_piece(stem) for stem in stems)}</section></html>\n"
    )


def kl_line(summary: dict[str, Any]) -> str:
    """The KL of the agent from the reference policy."""
    nats = summary["kl"]["nats_per_piece"]
    return f"KL from the reference policy: {nats['mean']:.1f} nats a piece ({nats['low']:.1f} to {nats['high']:.1f})"


def _table(summary: dict[str, Any]) -> str:
    """The summary as an HTML table."""
    composers = summary["composers"]
    head = "".join(f"<th>{escape(name)}</th>" for name in composers)
    rows = []
    for metric in composers["agent"]:
        cells = "".join(
            f"<td>{each[metric]['mean']:.2f} <small>{each[metric]['low']:.2f}..{each[metric]['high']:.2f}</small></td>"
            for each in composers.values()
        )
        real = summary["real_range"][metric]
        name = escape(metric.replace("_", " "))
        rows.append(f"<tr><td>{name}</td>{cells}<td><small>{real['low']:.2f}..{real['high']:.2f}</small></td></tr>")
    return f"<table><tr><th></th>{head}<th>real 5-95 %</th></tr>{''.join(rows)}</table>"


def _piece(stem: str) -> str:
    """One piece: sound, picture, and links to its other files."""
    return (
        f'<h3>{stem}</h3><audio controls preload="none" src="{stem}.wav"></audio> '
        f'<a href="{stem}.mid">MIDI</a> <a href="{stem}.musicxml">MusicXML</a><br><img src="{stem}.png" alt="{stem}">'
    )


def draw_training_curves(progress: Path, path: Path) -> bool:
    """Draw rewards, KL and metrics of progress.csv over the steps; False when there are none."""
    from matplotlib.figure import Figure

    if not progress.is_file():
        return False
    with progress.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({name for row in rows for name in row if name.split("/")[0] in ("reward", "music", "kl")})
    names = [name for name in names if name != "reward/pieces"]
    if not names or len(rows) < 2:
        return False
    across = 3
    figure = Figure(figsize=(4 * across, 2.6 * -(-len(names) // across)), layout="constrained")
    for number, name in enumerate(names):
        points = [(float(row["time/total_timesteps"]), float(row[name])) for row in rows if row.get(name)]
        axes = figure.add_subplot(-(-len(names) // across), across, number + 1)
        axes.plot([step for step, _ in points], [value for _, value in points], color="#347dbc")
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(color="#e2e7ee")
    figure.savefig(path, dpi=110)
    return True
