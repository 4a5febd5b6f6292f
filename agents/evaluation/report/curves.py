"""Curves of training as small SVG charts, in the colours of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np

from toccata.agents.evaluation.report.families import TOTAL, spoken
from toccata.agents.evaluation.report.text import number, safe

GROUPS = {  # title: prefixes of the quantities of progress.csv; the first two are open
    "Reward": ("reward",),
    "KL from the reference policy": ("kl",),
    "Constraints": ("gate", "lagrangian", "violation"),
    "Rating, realism and watchdog": ("rating", "realism", "watchdog"),
    "Metrics of the music": ("music",),
    "PPO": ("train", "rollout"),
}
OPEN = 2
UNITS = {"nats_per_piece": "nats a piece", "nats_per_step": "nats a step", "ep_len_mean": "steps"}
SMALLEST = 1e-200  # width of an axis
MAX_POINTS = 400  # of a curve; more are averaged in equal parts
WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 320, 150, 44, 8, 8, 26
MEAN_OPACITY = 0.2  # of a band


@dataclass(frozen=True)
class Line:
    """A curve of a chart.

    Attributes:
        steps: (n,), increasing.
        values: (n,)
        colour: of CSS.
        low: (n,) lower end of a band around it; None without one.
        high: (n,) its upper end.
    """

    steps: np.ndarray
    values: np.ndarray
    colour: str
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def shortened(self) -> Line:
        """The curve with at most `MAX_POINTS` points, each the mean of a part."""
        parts = -(-len(self.steps) // MAX_POINTS)
        if parts <= 1:
            return self
        starts = np.arange(0, len(self.steps), parts)
        counts = np.diff([*starts, len(self.steps)])
        steps, values = (np.add.reduceat(each, starts) / counts for each in (self.steps, self.values))
        if self.low is None or self.high is None:
            return Line(steps, values, self.colour)
        low, high = np.minimum.reduceat(self.low, starts), np.maximum.reduceat(self.high, starts)
        return Line(steps, values, self.colour, low, high)


def curves_section(
    curves: Mapping[str, Sequence[Line]], levels: Mapping[str, Mapping[str, float]], note: str = ""
) -> str:
    """The section of training curves; empty without any.

    Args:
        curves: lines by quantity.
        levels: by quantity named levels to draw, "start" and "real".
        note: HTML above the charts.
    """
    if not curves:
        return ""
    parts, constant = [], []
    for number_of_group, (title, prefixes) in enumerate(GROUPS.items()):
        charts = []
        for name, lines in sorted(curves.items(), key=lambda item: item[0] != TOTAL):
            if name.partition("/")[0] not in prefixes:
                continue
            if (value := constant_of(lines)) is not None:
                constant.append(f"{safe(spoken(name))} {number(value)}")
            else:
                charts.append(chart(name, lines, levels.get(name, {})))
        if charts:
            opened = " open" if number_of_group < OPEN else ""
            parts.append(
                f"<details{opened}><summary>{safe(title)}</summary>"
                f'<div class="grid charts">{"".join(charts)}</div></details>'
            )
    if constant:
        parts.append(f'<p class="quiet">Constant in training: {"; ".join(constant)}.</p>')
    return f"<section><h2>Training</h2>{note}{''.join(parts)}</section>"


def constant_of(lines: Sequence[Line]) -> float | None:
    """The value that all lines have everywhere; None where they have several."""
    values = np.concatenate([each for line in lines for each in (line.values, line.low, line.high) if each is not None])
    return float(values[0]) if len(values) and (values == values[0]).all() else None


def chart(name: str, lines: Sequence[Line], levels: Mapping[str, float]) -> str:
    """A chart of one quantity against steps, with levels as dashed lines."""
    lines = [line.shortened() for line in lines if len(line.steps)]
    every = np.concatenate([each for line in lines for each in (line.values, line.low, line.high) if each is not None])
    low, high = min(every.min(), *levels.values(), np.inf), max(every.max(), *levels.values(), -np.inf)
    y_ticks = ticks(float(low), float(high))
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])
    first, last = min(line.steps[0] for line in lines), max(line.steps[-1] for line in lines)
    first = 0.0 if first < last / 2 else first

    def x(steps: np.ndarray | float) -> np.ndarray:
        return LEFT + (np.asarray(steps) - first) / ((last - first) or 1) * (WIDTH - LEFT - RIGHT)

    def y(values: np.ndarray | float) -> np.ndarray:
        return TOP + (high - np.asarray(values)) / ((high - low) or 1) * (HEIGHT - TOP - FOOT)

    def points(steps: np.ndarray, values: np.ndarray) -> str:
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x(steps).tolist(), y(values).tolist(), strict=True))

    decimals = max(-floor(log10(y_ticks[1] - y_ticks[0]) + 1e-9), 0)
    parts = []
    for tick in y_ticks:
        label = number(tick, min(decimals, 6)) if decimals <= 6 else f"{tick:.0e}"
        parts.append(
            f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="var(--line)"/>'
            f'<text x="{LEFT - 5}" y="{y(tick) + 3:.1f}" text-anchor="end">{label}</text>'
        )
    for step, anchor in ((first, "start"), (last, "end")):
        parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 12}" text-anchor="{anchor}">{step:,.0f}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 12}" text-anchor="middle">steps</text>')
    for label, value in levels.items():
        colour = "var(--real)" if label == "real" else "var(--reference)"
        place, anchor = (WIDTH - RIGHT, "end") if label == "real" else (LEFT + 3, "start")  # they may be on one height
        parts.append(
            f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="{colour}" stroke-dasharray="4 3"/>'
            f'<text x="{place}" y="{y(value) - 3:.1f}" text-anchor="{anchor}" style="fill:{colour}">'
            f"{safe(label)}</text>"
        )
    for line in lines:
        if line.low is not None and line.high is not None:
            outline = f"{points(line.steps, line.low)} {points(line.steps[::-1], line.high[::-1])}"
            parts.append(f'<polygon points="{outline}" fill="{line.colour}" fill-opacity="{MEAN_OPACITY}"/>')
        parts.append(
            f'<polyline points="{points(line.steps, line.values)}" fill="none" stroke="{line.colour}" '
            'stroke-width="1.6" stroke-linejoin="round"/>'
        )
    ends = "; ".join(f"from {number(float(line.values[0]))} to {number(float(line.values[-1]))}" for line in lines)
    title = spoken(name)
    unit = UNITS.get(name.rpartition("/")[2])
    caption = f"{safe(title)}{f' <small>({unit})</small>' if unit and unit not in title else ''}"
    return (
        f'<figure class="chart"><figcaption>{caption}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{safe(title)} against steps: {ends}">{"".join(parts)}</svg></figure>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers, of which the first is at or below `low` and the last at or above `high`."""
    width = max(high - low or abs(high) or 1.0, 1e-9 * max(abs(low), abs(high)), SMALLEST)
    size = 10.0 ** floor(log10(width / 3))
    step = next(factor * size for factor in (1, 2, 5, 10) if width / (factor * size) <= 4)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]
