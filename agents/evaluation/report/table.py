"""Tables of metrics by family, each row with a plot of means and intervals on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toccata.agents.evaluation.report.families import by_family, row_of, spoken
from toccata.agents.evaluation.report.findings import KL, VENDI, Outside, Summary, outside_band
from toccata.agents.evaluation.report.style import scrolling
from toccata.agents.evaluation.report.text import between, decimals_of, number, safe

Estimate = Mapping[str, Any]  # mean, and low and high, which may be None
Marks = Mapping[str, tuple[str, str]]
WIDTH, LANE, MARGIN = 170, 6.5, 8  # pixels of a plot, of the lane of each composer, and at both ends
FAR = 1.0  # how many widths of the scale a mark may lie outside; farther ones are arrows at the end
MARKS = {  # shape and colour of each composer
    "agent": ("circle", "var(--agent)"),
    "reference": ("square", "var(--reference)"),
    "random": ("cross", "var(--random)"),
    "real": ("diamond", "var(--real)"),
}


def evaluation_table(summary: Summary) -> str:
    """The table of an evaluation, its legend before it and the meaning of its rows after it."""
    rows = dict(summary["composers"])
    extra = {}
    if "kl" in summary:
        extra[KL] = {"agent": summary["kl"]["nats_per_piece"]}
    if summary.get("vendi_score"):
        extra[VENDI] = {name: {"mean": value, "low": None, "high": None} for name, value in summary[VENDI].items()}
    metrics = [*rows["agent"], *extra]
    outside = {each.metric: each for each in outside_band(summary)}
    columns = list(rows)
    head = "".join(f'<th scope="col">{safe(name)}</th>' for name in columns)
    body = []
    for family, each in by_family(metrics).items():
        body.append(
            f'<tbody><tr><th scope="rowgroup" colspan="{len(columns) + 4}">{safe(family.capitalize())}</th></tr>'
        )
        for metric in each:
            estimates = extra.get(metric) or {name: rows[name][metric] for name in columns if metric in rows[name]}
            band = None if metric in extra else summary.get("real_range", {}).get(metric)
            body.append(_row(metric, columns, estimates, band, outside.get(metric)))
        body.append("</tbody>")
    table = (
        '<table><thead><tr><th scope="col">metric</th><th scope="col" class="side">plot</th>'
        f'<th scope="col" class="side">agent’s mean</th>{head}<th scope="col">real pieces<br>5 to 95 %</th></tr>'
        f"</thead>{''.join(body)}</table>"
    )
    key = legend({name: mark for name, mark in MARKS.items() if name in columns})
    return f"{key}{scrolling(table, 'metrics of each composer')}{meanings(metrics)}"


def _row(
    metric: str, columns: Sequence[str], estimates: Mapping[str, Estimate], band: Estimate | None, out: Outside | None
) -> str:
    """One metric of an evaluation."""
    decimals = row_decimals([each for name, each in estimates.items() if name != "random"], band)
    cells = "".join(f"<td>{cell(estimates.get(name), decimals)}</td>" for name in columns)
    real = between(band["low"], band["high"], decimals) if band else ""
    if out:
        verdict = f'<td class="side outside">{"▲" if out.side == "above" else "▼"} {out.side} real</td>'
    else:
        verdict = f'<td class="side">{"inside" if band else ""}</td>'
    says = (
        f"{spoken(metric)}: agent {f'{out.side} the range of real music' if out else 'inside the range'}"
        if band
        else spoken(metric)
    )
    marks = {name: mark for name, mark in MARKS.items() if name in columns}
    plot = range_plot(estimates, band, marks, says)
    return f"<tr>{row_header(metric)}<td>{plot}</td>{verdict}{cells}<td>{real}</td></tr>"


def row_header(metric: str) -> str:
    """The name of a metric, with unit and direction."""
    row = row_of(metric)
    note = " · ".join(part for part in (row.unit, row.better) if part)
    return (
        f'<th scope="row" title="{safe(row.description)}">{safe(spoken(metric))}'
        f"{f'<small>{safe(note)}</small>' if note else ''}</th>"
    )


def row_decimals(estimates: Iterable[Estimate | None], band: Estimate | None = None) -> int:
    """Decimals that give the largest mean of a row its digits."""
    means = [each["mean"] for each in estimates if each]
    return decimals_of([*means, *((band["low"], band["high"]) if band else ())])


def cell(each: Estimate | None, decimals: int) -> str:
    """A mean, and its interval below it."""
    if each is None:
        return ""
    interval = f"<small>{between(each['low'], each['high'], decimals)}</small>" if each["low"] is not None else ""
    return f"{number(each['mean'], decimals)}{interval}"


def meanings(metrics: Iterable[str]) -> str:
    """A list of what the metrics are, folded."""
    described = [(metric, row_of(metric).description) for metric in metrics]
    items = "".join(f"<dt>{safe(spoken(name))}</dt><dd>{safe(text)}</dd>" for name, text in described if text)
    return f"<details><summary>What each metric is</summary><dl>{items}</dl></details>" if items else ""


def legend(marks: Marks, band: bool = True) -> str:
    """The marks of the plots."""
    begin = '<svg width="24" height="14" viewBox="0 0 24 14" aria-hidden="true">'
    items = [
        f"<span>{begin}{_interval(2, 22, 7, colour)}{_mark(shape, 12, 7, colour)}</svg>{safe(name)}</span>"
        for name, (shape, colour) in marks.items()
    ]
    if band:
        items.append(
            f'<span>{begin}<rect width="24" height="14" fill="var(--band)"/></svg>5 to 95 % of real pieces</span>'
        )
        items.append("<span>◂ ▸ beyond the scale</span>")
    return f'<p class="legend">{"".join(items)}</p>'


def range_plot(estimates: Mapping[str, Estimate], band: Estimate | None, marks: Marks, label: str) -> str:
    """An SVG with the band, and mean and interval of each composer in a lane of its own, on one scale.

    The scale holds the band and every mean and interval but those of random play, when they are farther than `FAR`
    widths away: they are an arrow at its end.

    Args:
        estimates: by composer.
        band: low and high of real pieces; None where there is none.
        marks: the composers, from top to bottom.
        label: the plot in words.
    """
    ends = {
        name: (each["mean"], each["mean"]) if each["low"] is None else (each["low"], each["high"])
        for name in marks
        if (each := estimates.get(name)) is not None
    }
    low, high = _scale(ends, band)

    def place(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return MARGIN + min(max(share, 0.0), 1.0) * (WIDTH - 2 * MARGIN)

    height = LANE * (len(marks) + 0.5)
    parts = []
    if band:
        left, right = place(band["low"]) - 1, place(band["high"]) + 1
        parts.append(f'<rect x="{left:.1f}" width="{right - left:.1f}" height="{height:g}" fill="var(--band)"/>')
    for lane, (name, (shape, colour)) in enumerate(marks.items()):
        y = LANE * (lane + 0.75)
        if name not in ends:
            continue
        first, last = ends[name]
        if last < low or first > high:
            x, d = (1, "l5 -3v6z") if last < low else (WIDTH - 1, "l-5 -3v6z")
            parts.append(f'<path d="M{x} {y:g}{d}" fill="{colour}"/>')
        else:
            parts.append(_interval(place(first), place(last), y, colour))
            parts.append(_mark(shape, place(estimates[name]["mean"]), y, colour))
    return (
        f'<svg width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-label="{safe(label)}">{"".join(parts)}</svg>'
    )


def _scale(ends: Mapping[str, tuple[float, float]], band: Estimate | None) -> tuple[float, float]:
    """The ends of a scale."""
    near = [value for name in ends if name != "random" for value in ends[name]]
    near += [band["low"], band["high"]] if band else []
    low, high = min(near, default=0.0), max(near, default=0.0)
    if "random" in ends:
        width, (first, last) = high - low or abs(high) or 1.0, ends["random"]
        if not near or (low - FAR * width <= first and last <= high + FAR * width):
            low, high = min([*near, first]), max([*near, last])
    return low, high


def _interval(left: float, right: float, y: float, colour: str) -> str:
    """A line from one end to the other."""
    return f'<path d="M{left:.1f} {y:g}H{right:.1f}" stroke="{colour}" stroke-width="1.5"/>'


def _mark(shape: str, x: float, y: float, colour: str) -> str:
    """A mark of 6 pixels."""
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:g}" r="3" fill="{colour}"/>'
    if shape == "cross":
        d = f"M{x - 2.5:.1f} {y - 2.5:g}l5 5m0 -5l-5 5"
        return f'<path d="{d}" stroke="{colour}" stroke-width="1.6" fill="none"/>'
    d = {"square": "m-2.6 -2.6h5.2v5.2h-5.2z", "diamond": "m0 -3.4l3.4 3.4l-3.4 3.4l-3.4 -3.4z"}[shape]
    return f'<path d="M{x:.1f} {y:g}{d}" fill="{colour}"/>'
