"""What is known of a fitted rating network, as Markdown and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toccata.music.score import Score
from toccata.reward_models.rating.fitting.heads import Curve
from toccata.reward_models.rating.fitting.sanity_probes import invariances, ratings, sanity_probes
from toccata.reward_models.rating.model import RatingModel

REPORT_FILE = "report.md"
CURVES_FILE = "curves.png"
CHANGED_PIECES = 200  # that the invariances are measured on


def write_report(
    folder: Path, model: RatingModel, facts: Mapping[str, Any], curves: Sequence[Curve], scores: Sequence[Score]
) -> str:
    """Write report.md and curves.png into `folder`; the report is given back.

    Args:
        folder: that of the network.
        model: the network.
        facts: what the fit found out.
        curves: the learning curve of each member.
        scores: pieces that the invariances are measured on; without any they are left out.
    """
    sections = ["# Fit of a rating network", _counts(facts)]
    if facts["held_out"]:
        sections += ["## Pieces held out", agreement_table(facts), "## Calibration", calibration_table(facts)]
    sections += ["## Extremes", sanity_probe_table(model)]
    if scores:
        some = scores[:: max(1, len(scores) // CHANGED_PIECES)][:CHANGED_PIECES]
        sections += ["## What should not change the score", invariances_table(model, some)]
    text = "\n\n".join(sections) + "\n"
    (folder / REPORT_FILE).write_text(text, encoding="utf-8")
    draw_learning_curves(folder / CURVES_FILE, curves)
    return text


def _counts(facts: Mapping[str, Any]) -> str:
    left_out = ", ".join(f"{count} {reason}" for reason, count in facts["left_out"].items()) or "none"
    return (
        f"{facts['pieces']} pieces in {facts['groups']} groups; left out: {left_out}. p = likes / plays * log(likes) "
        f"has mean {facts['p_mean']:.4g} and standard deviation {facts['p_std']:.4g}: a rating of r stands for "
        f"p = {facts['p_mean']:.4g} + {facts['p_std']:.4g} r."
    )


def agreement_table(facts: Mapping[str, Any]) -> str:
    """Who predicts how well."""
    variance = facts["p_std"] ** 2
    rows = [
        "| | rank correlation [95 %] | Pearson | MSE, in variances | MSE on p | pieces |",
        "|---|---|---|---|---|---|",
    ]
    for name, figure in facts["held_out"]["agreement"].items():
        low, high = figure["interval"]
        mse = figure["mean_squared_error"]
        rows.append(
            f"| {name} | {figure['rank_correlation']:.3f} [{low:.3f}, {high:.3f}] | {figure['correlation']:.3f} | "
            f"{mse:.3f} | {mse * variance:.3g} | {figure['pieces']} |"
        )
    ceiling = f"Counting noise alone limits the rank correlation to about {facts['held_out']['noise_ceiling']:.3f}."
    return "\n".join([*rows, "", ceiling])


def calibration_table(facts: Mapping[str, Any]) -> str:
    """Predicted against observed p by decile of the prediction."""
    rows = ["| p predicted | p observed | pieces |", "|---|---|---|"]
    rows += [
        f"| {decile['predicted']:.3g} | {decile['observed']:.3g} | {decile['pieces']} |"
        for decile in facts["held_out"]["calibration"]
    ]
    return "\n".join(rows)


def sanity_probe_table(model: RatingModel) -> str:
    """The score of each of `sanity_probes`, highest first."""
    pieces = sanity_probes()
    rows = ["| piece | score |", "|---|---|"]
    for score, name in sorted(zip(ratings(model, list(pieces.values())), pieces, strict=True), reverse=True):
        rows.append(f"| {name} | {score:.2f} |")
    return "\n".join(rows)


def invariances_table(model: RatingModel, scores: Sequence[Score]) -> str:
    """Mean absolute change of the score, in standard deviations."""
    rows = [f"| change, {len(scores)} pieces | mean absolute change of the score |", "|---|---|"]
    rows += [f"| {name} | {change:.3f} |" for name, change in invariances(model, scores).items()]
    return "\n".join(rows)


def draw_learning_curves(path: Path, curves: Sequence[Curve]) -> None:
    """A picture of the learning curves: mean squared error of each member by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for index, curve in enumerate(curves):
        epochs = range(1, len(curve) + 1)
        axes.plot(
            epochs, [epoch["train_mse"] for epoch in curve], f"C{index}--", label=f"member {index + 1}, fitted on"
        )
        axes.plot(epochs, [epoch["valid_mse"] for epoch in curve], f"C{index}-", label=f"member {index + 1}, held out")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error, in variances of p")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
