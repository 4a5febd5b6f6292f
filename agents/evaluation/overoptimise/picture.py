"""frontier.png and frontier.svg: reward, gold rating and held-out realism against sqrt(KL), in one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from toccata.agents.evaluation.compare.compare_report import COLOURS
from toccata.agents.evaluation.overoptimise.evaluator import REWARD
from toccata.agents.evaluation.overoptimise.samples import KL
from toccata.errors import printable
from toccata.reward_models.judges.panel import GOLD, REALISM

TITLES = {
    GOLD: "gold rating (a judge)",
    REALISM: "held-out realism, log-odds (a judge)",
}
GREY, BLACK, REAL_COLOUR = "#6b7685", "#20262e", "#a8862c"
MARKS = ("o", "s", "D", "^", "v", "P")
LABELLED = (4, 16, 64, 256)  # n of best-of-n
MAX_TITLE = 85  # characters of the rewards
MAX_NAME = 40  # characters of an arm in the legend
DPI = 150

Summary = Mapping[str, Any]


def draw_frontier(summary: Summary) -> dict[str, bytes]:
    """The picture, as `png` and `svg`."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "toccata", "font.size": 10, "svg.fonttype": "path"}):
        figure = Figure(figsize=(12.5, 7.2), layout="constrained")
        places = figure.subplot_mosaic([[REWARD, GOLD], [REWARD, REALISM]], width_ratios=[1.25, 1])
        right = _farthest(summary)
        handles: dict[str, Any] = {}
        for metric, axes in places.items():
            handles |= _draw(axes, summary, metric, right)
        _second_axis(places[REWARD])
        legend = figure.legend(
            handles=list(handles.values()), labels=list(handles), loc="outside lower center", ncols=4, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # names of folders may have a $
        files = {}
        for kind in ("png", "svg"):
            buffer = BytesIO()
            figure.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
            files[kind] = buffer.getvalue()
    return files


def _farthest(summary: Summary) -> float:
    """The right end of the axes: a little beyond all that is drawn, in sqrt(nats)."""
    rows = [row["metrics"][KL] for row in summary["rows"].values() if KL in row["metrics"]]
    ends = [each["mean"] if each["high"] is None else min(each["high"], 1.5 * each["mean"]) for each in rows]
    ends += [
        point["metrics"][KL]
        for arm in summary["arms"].values()
        for run in arm["runs"]
        for point in run["points"]
        if KL in point["metrics"]
    ]
    return 1.06 * float(np.sqrt(max([*ends, 1.0])))


def _draw(axes: Any, summary: Summary, metric: str, right: float) -> dict[str, Any]:
    """One panel; returns what the legend names."""
    rows, handles = summary["rows"], {}
    heights: list[float] = []  # what must be seen
    best = [row for row in rows.values() if row["kind"] in ("start", "best of n")]
    real = rows["real"]["metrics"][metric]
    label = "real music, mean and 95 % interval"
    handles[label] = axes.axhline(real["mean"], color=REAL_COLOUR, lw=1.6)
    axes.axhspan(real["low"] or real["mean"], real["high"] or real["mean"], color=REAL_COLOUR, alpha=0.15, lw=0)
    heights.append(real["mean"])
    if summary["limit"] is not None:
        handles |= _draw_limit(axes, summary["limit"], metric)
    if best:
        handles |= _draw_best(axes, best, metric, heights, has_labels=metric == REWARD)
    for number, (name, arm) in enumerate(summary["arms"].items()):
        handles |= _draw_arm(axes, summary, name, arm, metric, number, heights)
    if metric == REWARD and summary["limit"] is not None:
        limit = summary["limit"]
        heights.append(limit["reward"][int(np.argmin(np.abs(np.array(limit["kl"]) - limit["edge_kl"])))])
    low, high = min(heights), max(heights)
    ends = [
        end
        for name in summary["arms"]
        for end in _ends(rows[name]["metrics"].get(metric))
        if KL in rows[name]["metrics"]
    ]
    span = high - low  # wide intervals are cut off
    low, high = (
        min([low, *(max(end, low - span) for end in ends)]),
        max([high, *(min(end, high + span) for end in ends)]),
    )
    room = 0.08 * ((high - low) or 1.0)
    axes.set_ylim(low - room, high + 1.5 * room)
    axes.set_xlim(-0.02 * right, right)
    title = TITLES[metric] if metric != REWARD else f"reward: {printable(summary['proxy_reward'])[:MAX_TITLE]}"
    axes.set_title(title, fontsize=11, loc="left", pad=20 if metric == REWARD else 6, parse_math=False)
    axes.set_xlabel("d = sqrt(KL from the reference policy), KL in nats a piece")
    axes.grid(color="#e2e7ee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return handles


def _draw_limit(axes: Any, limit: Summary, metric: str) -> dict[str, Any]:
    """The exact optimum: of the reward as far as it goes, of judges as far as the pool reaches."""
    d = np.sqrt(limit["kl"])
    beyond = np.array(limit["extrapolated"])
    values = limit["reward"] if metric == REWARD else limit["judges"][metric]
    heights = np.array([np.nan if value is None else value for value in values])
    (line,) = axes.plot(d[~beyond], heights[~beyond], color=BLACK, lw=2)
    handles = {"exact optimum of the reward at each KL": line}
    if metric == REWARD and beyond.any():
        first = max(int(np.argmax(beyond)) - 1, 0)  # from the edge on
        (dashed,) = axes.plot(d[first:], heights[first:], color=BLACK, lw=1.4, ls=(0, (4, 3)))
        handles["the same, extrapolated"] = dashed
    return handles


def _draw_best(
    axes: Any, best: Sequence[Summary], metric: str, heights: list[float], *, has_labels: bool
) -> dict[str, Any]:
    """Start and best-of-n."""
    d = np.sqrt([row["metrics"][KL]["mean"] for row in best])
    means = np.array([row["metrics"][metric]["mean"] for row in best])
    (line,) = axes.plot(d, means, color=GREY, lw=1.4, marker=".", ms=7)
    (start,) = axes.plot(d[:1], means[:1], color=BLACK, marker="o", ms=8, ls="", zorder=5)
    heights += means.tolist()
    for row, x, y in zip(best, d, means, strict=True):
        if has_labels and row["n"] in LABELLED:
            axes.annotate(f"{row['n']}", (x, y), xytext=(5, -11), textcoords="offset points", fontsize=9, color=GREY)
    return {"start: the reference policy": start, "best of n (n = 1, 2, 4, ...)": line}


def _draw_arm(
    axes: Any, summary: Summary, name: str, arm: Summary, metric: str, number: int, heights: list[float]
) -> dict[str, Any]:
    """An arm: thin paths of its runs through their checkpoints, and the final mean with its intervals."""
    colour, mark = COLOURS[number % len(COLOURS)], MARKS[(number + number // len(COLOURS)) % len(MARKS)]
    row = summary["rows"][name]["metrics"]
    if KL not in row:
        return {}
    for run in arm["runs"]:
        points = [(point["metrics"][KL], point["metrics"][metric]) for point in run["points"]]
        if run["start"] is not None:
            points.insert(0, (0.0, run["start"][metric]))
        kl, values = np.array(points).T
        axes.plot(np.sqrt(kl), values, color=colour, lw=0.9, alpha=0.7, marker=".", ms=4)
        heights += values.tolist()
    kl, values = row[KL], row[metric]
    x, y = float(np.sqrt(kl["mean"])), values["mean"]
    bars = axes.errorbar(
        x,
        y,
        xerr=_arms_of_bar(x, *(None if kl[end] is None else np.sqrt(max(kl[end], 0)) for end in ("low", "high"))),
        yerr=_arms_of_bar(y, values["low"], values["high"]),
        color=colour,
        marker=mark,
        ms=8,
        mec="white",
        capsize=3,
        lw=1.6,
        zorder=6,
    )
    heights.append(y)
    seeds = len(arm["runs"])
    return {f"{printable(name)[:MAX_NAME]} ({seeds} seed{'s' * (seeds > 1)})": bars}


def _ends(each: Summary | None) -> list[float]:
    """The ends of an interval, where there is one."""
    return [] if each is None or each["low"] is None else [each["low"], each["high"]]


def _arms_of_bar(middle: float, low: float | None, high: float | None) -> np.ndarray | None:
    """(2, 1) distances to the ends of an interval."""
    return None if low is None or high is None else np.array([[max(middle - low, 0)], [max(high - middle, 0)]])


def _second_axis(axes: Any) -> None:
    """KL itself, above the panel of the reward."""
    functions = (lambda d: d * np.abs(d), lambda kl: np.sign(kl) * np.sqrt(np.abs(kl)))  # left of the start, too
    second = axes.secondary_xaxis("top", functions=functions)
    right = axes.get_xlim()[1] ** 2
    second.set_xticks([kl for kl in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if kl <= right])
    second.tick_params(labelsize=8, colors=GREY)
    axes.text(1, 1.015, "KL, nats a piece", transform=axes.transAxes, fontsize=8, color=GREY, ha="right")
