"""report.html: sound and pictures of pieces, the table of metrics, and training curves, in one page without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any

from toccata.agents.runs.logs.progress import STEP_COLUMN, ProgressError, number_in, read_rows
from toccata.agents.runs.run_folder import Run
from toccata.errors import printable
from toccata.files import read_bytes, write_atomically

SIBLING = "sibling_rating"  # by the member of the paid ensemble that no agent is rewarded for
SIBLING_NOTE = (
    "<i>sibling rating</i> is the rating by a member of the ensemble that no agent is rewarded by: fitted to the same "
    "data as the members that pay, it is not independent of them; "
    "where rewards rise above <i>reference</i> and it does not, the agent over-optimises its reward models."
)
MAX_LEFT_OUT = 200  # files that are listed
CURVES = ("reward", "music", "kl")  # groups of quantities of progress.csv that are drawn
MAX_CURVES = 200
MAX_DRAWN = 1e100  # beyond, matplotlib's axes overflow
MAX_COMMAND_BYTES = 2**20
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #262c36; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #e2e7ee; }
td:first-child, th:first-child { text-align: left; }
small { color: #6b7685; } img { max-width: 100%; } audio { width: 24rem; }
section { margin: 2rem 0; }
"""


@dataclass(frozen=True)
class History:
    """What a report says of the training: read before anything is generated, as the files may be damaged.

    Attributes:
        command: those of command.txt; empty where it is missing, and where no run is evaluated.
        curves: by quantity of progress.csv the steps and values, without those that are not finite.
    """

    command: str = ""
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Run) -> History:
        """Read the command.txt and progress.csv of a run, as far as they are there.

        Raises:
            FileError, ProgressError: naming the file, when it is damaged.
        """
        path = run.folder / "command.txt"
        command = read_bytes(path, MAX_COMMAND_BYTES) if path.exists() else b""  # arguments may be any bytes
        return cls(command.decode("utf-8", "backslashreplace").strip(), training_curves(run.folder / "progress.csv"))


@dataclass(frozen=True)
class Report:
    """What report.html says.

    Attributes:
        name: of what is evaluated, the title.
        history: of its training.
        summary: what metrics.json holds.
        pieces: number of the agent's pieces that are written.
        captions: by the stem of a piece the file it is from, where it is from one.
        left_out: a line for each file that gave no piece.
        reference: what the composer of that name is.
        settings: under which the composers are compared.
        remarks: lines below the table.
    """

    name: str
    history: History
    summary: dict[str, Any]
    pieces: int
    captions: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    reference: str = "the agent before PPO"
    settings: str = ""
    remarks: Sequence[str] = ()


def write_report(report: Report, folder: Path) -> None:
    """Write report.html into an evaluation folder, and curves.png where training has some."""
    summary, curves = report.summary, ""
    if report.history.curves:
        write_atomically(folder / "curves.png", draw_training_curves(report.history.curves))
        curves = '<section><h2>Training</h2><img src="curves.png" alt="training curves"></section>'
    said = "".join(f"<p>{escape(line)}</p>" for line in report.remarks)
    note = f" {SIBLING_NOTE}" if SIBLING in summary["composers"]["agent"] else ""
    stems = [*(f"piece-{number:03d}" for number in range(report.pieces)), "random", "real"]
    pieces = "".join(_piece(stem, report.captions.get(stem, "")) for stem in stems)
    left_out = ""
    if report.left_out:
        more = len(report.left_out) - MAX_LEFT_OUT
        lines = [*report.left_out[:MAX_LEFT_OUT], *([f"and {more:,} more"] if more > 0 else [])]
        items = "".join(f"<li>{escape(printable(line))}</li>" for line in lines)
        left_out = f"<section><h2>Left out</h2><ul>{items}</ul></section>"
    reference = (
        f"<i>reference</i> is {escape(printable(report.reference))}, " if "reference" in summary["composers"] else ""
    )
    name = escape(report.name)
    command = f"<p><code>{escape(report.history.command)}</code></p>" if report.history.command else ""
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>"
        f"<style>{STYLE}</style><h1>{name}</h1>{command}<p>{escape(report.settings)}</p>"
        f"<section><h2>Measured</h2>{_table(summary)}{said}<p><small>Means over pieces with 95 % bootstrap intervals; "
        f"{reference}<i>random</i> is uniformly random legal actions, <i>real</i> held-out "
        f"music; the last column is the range of real pieces.{note}</small></section>"
        f"{curves}<section><h2>Pieces</h2>{pieces}</section>{left_out}</html>\n"
    )
    write_atomically(folder / "report.html", page.encode("utf-8", "backslashreplace"))


def remarks(summary: dict[str, Any]) -> list[str]:
    """Lines below the table: what was changed to make pieces comparable, and where a figure says little."""
    counts, lines = summary["counts"], []
    if counts.get("illegal_actions"):
        illegal, actions = counts["illegal_actions"], counts["actions"]
        share = 100 * illegal / actions
        lines.append(f"illegal actions, which became rests: {illegal:,} of {actions:,} ({share:.1f} %)")
    if "files" in counts:
        used = len(summary["composers"]["agent"]["diversity"]["values"])
        lines.append(f"music: {used:,} pieces of {counts['files']:,}; {counts['left_out']:,} left out")
        if counts.get("notes"):
            lines.append(
                f"of {counts['notes']:,} notes "
                + ", ".join(f"{counts[name]:,} {name}" for name in ("dropped", "shortened", "lengthened", "moved"))
                + ", so that the piano can play them, as real music"
            )
        if counts.get("shorter"):
            lines.append(f"{counts['shorter']:,} pieces are a bar or more shorter than those they are compared with")
    return lines


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


def _piece(stem: str, caption: str = "") -> str:
    """One piece: sound, picture, and links to its other files."""
    caption = f" <small>{escape(printable(caption))}</small>" if caption else ""
    return (
        f'<h3>{stem}{caption}</h3><audio controls preload="none" src="{stem}.wav"></audio> '
        f'<a href="{stem}.mid">MIDI</a> <a href="{stem}.musicxml">MusicXML</a><br><img src="{stem}.png" alt="{stem}">'
    )


def training_curves(progress: Path) -> dict[str, list[tuple[float, float]]]:
    """Rewards, KL and metrics of a progress.csv by name: steps and finite values; empty without two rows.

    Raises:
        ProgressError: naming the file, when it is damaged.
    """
    rows = [row for row in read_rows(progress) if row[STEP_COLUMN]]
    names = sorted(name for name in (rows[0] if len(rows) > 1 else ()) if name.split("/")[0] in CURVES)
    if len(names) > MAX_CURVES:
        raise ProgressError(f"{progress}: has {len(names):,} quantities of {', '.join(CURVES)}, at most {MAX_CURVES}")
    curves = {}
    for name in names:
        points = [(float(row[STEP_COLUMN]), number_in(row, name, str(progress))) for row in rows]
        curves[name] = [(step, value) for step, value in points if isfinite(value) and abs(value) < MAX_DRAWN]
    return {name: points for name, points in curves.items() if points and name != "reward/pieces"}


def draw_training_curves(curves: dict[str, list[tuple[float, float]]]) -> bytes:
    """A PNG of `training_curves`."""
    from matplotlib.figure import Figure

    across = 3
    figure = Figure(figsize=(4 * across, 2.6 * -(-len(curves) // across)), layout="constrained")
    for number, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(-(-len(curves) // across), across, number + 1)
        axes.plot([step for step, _ in points], [value for _, value in points], color="#347dbc")
        axes.set_title(name.replace("_", " ")[:60], fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.grid(color="#e2e7ee")
    png = BytesIO()
    figure.savefig(png, dpi=110)
    return png.getvalue()
