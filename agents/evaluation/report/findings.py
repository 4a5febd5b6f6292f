"""What an evaluation found, in sentences made of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from toccata.agents.evaluation.report.families import TOTAL, row_of, spoken
from toccata.agents.evaluation.report.text import between, decimals_of, number
from toccata.reward_models.judges.panel import BAND_SHARE, GOLD, REALISM

Summary = Mapping[str, Any]  # what metrics.json holds
DIVERSITY, KL, VENDI = "diversity", "kl/nats_per_piece", "vendi_score"


class Outside(NamedTuple):
    """A mean of the agent outside the range of real music.

    Attributes:
        metric: its name.
        mean: of the agent.
        side: "above" or "below".
        low: 5th percentile of real pieces.
        high: 95th percentile.
    """

    metric: str
    mean: float
    side: str
    low: float
    high: float

    def __str__(self) -> str:
        """`polyphony 2.20: below real music (3.00 to 4.40)`."""
        decimals = decimals_of([self.mean, self.low, self.high])
        band = between(self.low, self.high, decimals)
        return f"{spoken(self.metric)} {number(self.mean, decimals)}: {self.side} real music ({band})"


def outside_band(summary: Summary) -> list[Outside]:
    """The metrics in which the agent's mean is outside the 5 to 95 % range of real pieces.

    A difference that vanishes when mean and range are rounded as they are shown is none.
    """
    found = []
    for metric, each in summary["composers"]["agent"].items():
        band = summary.get("real_range", {}).get(metric)
        if band is None:
            continue
        mean, low, high = each["mean"], band["low"], band["high"]
        decimals = decimals_of([mean, low, high])
        shown, lowest, highest = (number(value, decimals) for value in (mean, low, high))
        if mean < low and shown != lowest:
            found.append(Outside(metric, mean, "below", low, high))
        elif mean > high and shown != highest:
            found.append(Outside(metric, mean, "above", low, high))
    return found


def key_results(summary: Summary) -> list[str]:
    """One to six sentences: rewards, judges, diversity, KL, and what lies outside the range of real music."""
    composers = summary["composers"]
    against = "reference" if "reference" in composers else "real"
    lines = []
    for metric, name in (
        (TOTAL, "Reward"),
        (GOLD, "Gold rating, a judge that pays no agent"),
        (REALISM, "Held-out realism, another judge (log-odds)"),
    ):
        if metric in composers["agent"]:
            lines.append(_compared(summary, metric, name, against))
    if DIVERSITY in composers["agent"]:
        lines.append(_diversity(summary, against))
    if "kl" in summary:
        lines.append(f"{kl_line(summary)}.")
    outside = [each for each in outside_band(summary) if row_of(each.metric).family not in ("rewards", "judges")]
    share = composers["agent"].get(BAND_SHARE)
    of_metrics = f" A piece of the agent has {100 * share['mean']:.0f} % of its metrics in that range." if share else ""
    if outside:
        lines.append(f"Outside the 5 to 95 % range of real pieces: {'; '.join(map(str, outside))}.{of_metrics}")
    elif summary.get("real_range"):
        lines.append(f"The mean of every metric of the music is inside the 5 to 95 % range of real pieces.{of_metrics}")
    return lines


def pieces_compared(summary: Summary) -> str:
    """How many pieces the means are over."""
    counts = {name: pieces_of(composer) for name, composer in summary["composers"].items()}
    if len(set(counts.values())) == 1:
        return f"Means over {counts['agent']:,} pieces of each composer, with 95 % intervals."
    return (
        f"Means with 95 % intervals, over pieces: {', '.join(f'{name} {count:,}' for name, count in counts.items())}."
    )


def pieces_of(composer: Summary) -> int:
    """How many pieces of a composer were measured."""
    return max((len(each.get("values", ())) for each in composer.values()), default=0)


def _compared(summary: Summary, metric: str, name: str, against: str) -> str:
    """The agent beside another composer, and whether the interval of the difference holds 0."""
    agent, other = (summary["composers"][each][metric] for each in ("agent", against))
    difference = summary.get("differences", {}).get(f"agent - {against}", {}).get(metric)
    decimals = decimals_of([agent["mean"], other["mean"]])
    line = (
        f"{name}: agent {number(agent['mean'], decimals)} ({between(agent['low'], agent['high'], decimals)}), "
        f"{against} {number(other['mean'], decimals)} ({between(other['low'], other['high'], decimals)})"
    )
    if against != "real" and metric in summary["composers"].get("real", {}):
        line += f", real music {number(summary['composers']['real'][metric]['mean'], decimals)}"
    if difference is None:
        return f"{line}."
    low, high = difference["low"], difference["high"]
    said = "the agent is higher" if low > 0 else "the agent is lower" if high < 0 else "no clear difference"
    places = decimals_of([difference["mean"], low, high])
    return (
        f"{line}; difference from {against} {number(difference['mean'], places)} "
        f"({between(low, high, places)}): {said}."
    )


def _diversity(summary: Summary, against: str) -> str:
    """Diversity and Vendi score of the agent beside others."""
    composers, vendi = summary["composers"], summary.get("vendi_score", {})
    names = [name for name in dict.fromkeys(("agent", against, "real")) if name in composers]
    means = ", ".join(f"{name} {number(composers[name][DIVERSITY]['mean'], 2)}" for name in names)
    line = f"Diversity: {means}"
    if "agent" in vendi:
        scores = (f"{name} {number(vendi[name])} of {pieces_of(composers[name]):,}" for name in names if name in vendi)
        line += f"; effective number of different pieces (Vendi score): {', '.join(scores)}"
    return f"{line}."


def remarks(summary: Summary) -> list[str]:
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


def kl_line(summary: Summary) -> str:
    """The KL of the agent from the reference policy."""
    nats = summary["kl"]["nats_per_piece"]
    return f"KL from the reference policy: {nats['mean']:.1f} nats a piece ({nats['low']:.1f} to {nats['high']:.1f})"
