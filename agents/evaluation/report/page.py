"""report.html: what is evaluated, what was found, pieces, table, judges, curves and provenance, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toccata.agents.evaluation.history import History
from toccata.agents.evaluation.report.curves import Line, curves_section
from toccata.agents.evaluation.report.findings import key_results, kl_line, pieces_compared
from toccata.agents.evaluation.report.pieces import pieces_section
from toccata.agents.evaluation.report.provenance import provenance_section
from toccata.agents.evaluation.report.style import document
from toccata.agents.evaluation.report.table import evaluation_table, windows_table
from toccata.agents.evaluation.report.text import listed, safe
from toccata.files import write_atomically
from toccata.reward_models.judges.panel import JUDGEMENTS

SIBLING = "sibling_rating"  # by the member of the paid ensemble that no agent is rewarded for
MAX_LEFT_OUT = 200  # files that are listed
READING = {  # of the rows that are there: what they do not say; figures are those of docs/judges.md
    "score/rating": "score/rating and judge/rating predict popularity, and were fitted to melodies that people entered "
    "into the Bach Doodle. Popular is not good: two notes in turn, for two bars, have a gold rating of 0.7, Bach’s "
    "chorales of −0.4. An agent above real music in these rows has found what was popular there.",
    "score/realism": "score/realism is by the discriminator that pays agents: a rise shows that training works, and "
    "testifies to nothing else. judge/realism is by other models, from other features.",
    SIBLING: "sibling rating is the rating by a member of the ensemble that no agent is rewarded by: fitted to the "
    "same data as the members that pay, it is not independent of them; where rewards rise above the reference and it "
    "does not, the agent over-optimises its reward models. A rise of both shows little.",
    "score/typicality": "A judge that paid cannot testify: of an agent that is paid by the typicality, a sibling of "
    "the judge of judge/bits and judge/atypicality, these two are weaker evidence.",
    "judge/bits": "judge/bits has no direction: below the range of real music a piece is more predictable than music, "
    "as a loop is; above it less, as noise is. judge/band_share is met by anything with the right averages.",
    "longest_passage": "What is shared with training works is to be read beside real music, which shares formulas "
    "with them too; random play is the most original of all.",
    "judge/realism": "judge/realism does not see voice leading, harmony beyond the bass, or form.",
    "diversity": "Diversity compares the steps in pitch and time from note to note. Random play is not above all "
    "others: its pieces share the chords of the action space, and so the steps within them. What counts is a fall "
    "below the reference or real music: the first sign of one piece that is written again and again.",
}


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
        matches: by the stem of a piece the nearest work of a corpus, where that is known.
        provenance: names and values that say where the figures come from, see `provenance`.
        duration_seconds: of the evaluation; None where it was not measured.
    """

    name: str
    history: History
    summary: dict[str, Any]
    pieces: int
    captions: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    reference: str = "the agent before PPO"
    settings: str = ""
    remarks: Sequence[str] = ()
    matches: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    duration_seconds: float | None = None


def write_report(report: Report, folder: Path) -> None:
    """Write report.html into an evaluation folder, whose pieces it shows.

    Raises:
        OSError: naming the file that cannot be written.
    """
    summary, provenance = report.summary, dict(report.provenance)
    if report.duration_seconds is not None:
        provenance["duration of the evaluation"] = f"{report.duration_seconds:.0f} s"
    in_results = kl_line(summary) if "kl" in summary else None
    subject = "This music, called the agent here," if "files" in summary.get("counts", {}) else "Pieces of the agent"
    said = "".join(f"<p>{safe(line)}</p>" for line in report.remarks if line != in_results)
    body = "".join(
        (
            f"<header><h1>{safe(report.name)}</h1><p>{subject} beside "
            f"{_listed_composers(summary)}, measured by Toccata. {safe(report.settings)}</p></header>",
            f"<section><h2>Key results</h2>{listed(map(safe, key_results(summary)))}"
            f'<p class="quiet">{safe(pieces_compared(summary))}</p></section>',
            pieces_section(folder, summary, report.pieces, report.captions, report.matches),
            f"<section><h2>Measured</h2>{evaluation_table(summary)}{said}</section>{_along(summary)}{_reading(report)}",
            _training(report),
            _left_out(report.left_out),
            provenance_section(report.history.command, report.history.settings, provenance),
        )
    )
    write_atomically(folder / "report.html", document(f"{report.name} - evaluation", f"<main>{body}</main>"))


def _listed_composers(summary: Mapping[str, Any]) -> str:
    """The composers that the agent is compared with."""
    names = {"reference": "those of its reference policy", "random": "random play", "real": "real music"}
    said = [text for name, text in names.items() if name in summary["composers"]]
    return f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else "".join(said)


def _reading(report: Report) -> str:
    """How to read the table, and the judges of the rows in it."""
    metrics = report.summary["composers"]["agent"]
    composers = ["<i>random</i> is uniformly random legal actions", "<i>real</i> held-out music as the piano plays it"]
    if "reference" in report.summary["composers"]:
        composers.insert(0, f"<i>reference</i> is {safe(report.reference)}")
    lines = [
        f"Means over pieces with 95 % bootstrap intervals; {', '.join(composers)}. Intervals are about the pieces of "
        "this agent, not about how agents of other seeds differ.",
        "The shaded band is where nine of ten single real pieces lie. A mean outside it is marked; a mean inside it "
        "does not show that pieces are music.",
        *(safe(line) for metric, line in READING.items() if metric in metrics),
        "No row says that something is music. Listen, and look at the notes.",
    ]
    judges = [name for name in (*JUDGEMENTS, SIBLING) if name in metrics]
    panel = f"<p>Judges that reward no agent: {', '.join(map(safe, judges))}.</p>" if judges else ""
    return f"<section><h2>How to read this table</h2>{panel}{listed(lines)}</section>"


def _along(summary: Mapping[str, Any]) -> str:
    """Metrics by windows of bars, of long pieces."""
    if "windows" not in summary:
        return ""
    note = "Whether pieces change from their beginning to their end; intervals of the change are over pieces."
    return f'<section><h2>Along the pieces</h2><p class="quiet">{note}</p>{windows_table(summary["windows"])}</section>'


def _training(report: Report) -> str:
    """The curves of training, with the levels of reference and real music where they are of the same quantity."""
    composers = report.summary["composers"]
    curves, levels = {}, {}
    for name, points in report.history.curves.items():
        steps, values = np.array(sorted(points)).T
        curves[name] = [Line(steps, values, "var(--agent)")]
        group, _, metric = name.partition("/")
        if group == "music":
            named = {"start": composers.get("reference", {}), "real": composers.get("real", {})}
            levels[name] = {label: each[metric]["mean"] for label, each in named.items() if metric in each}
    note = (
        '<p class="quiet">In the metrics of the music, dashed lines are the levels of the reference policy (start) '
        "and of real music.</p>"
    )
    return curves_section(curves, levels, note if levels else "")


def _left_out(lines: Sequence[str]) -> str:
    """The files that gave no piece."""
    if not lines:
        return ""
    more = len(lines) - MAX_LEFT_OUT
    items = [*map(safe, lines[:MAX_LEFT_OUT]), *([f"and {more:,} more"] if more > 0 else [])]
    return f"<section><h2>Left out</h2>{listed(items)}</section>"
