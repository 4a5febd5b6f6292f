"""Report of a fitted rating network: tables in Markdown and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from toccata.files import write_atomically
from toccata.music.score import Score
from toccata.reward_models.rating.fitting.heads import Curve
from toccata.reward_models.rating.fitting.sanity_probes import invariance_errors, sanity_probes, score_probes
from toccata.reward_models.rating.model import RatingModel

REPORT_FILE = "report.md"
CURVES_FILE = "curves.png"
INVARIANCE_PIECES = 200  # that the invariances are measured on
CURVES = {  # style and label of the entries of a learning curve
    "train_mse": ("--", "training"),
    "valid_mse": ("-", "validation"),
    "train_pairs": (":", "training, votes"),
    "valid_pairs": ("-.", "validation, votes"),
}


def write_report(
    folder: Path, model: RatingModel, facts: Mapping[str, Any], curves: Sequence[Curve], scores: Sequence[Score]
) -> str:
    """Write report.md and curves.png into `folder`, and return the text of the report.

    Args:
        folder: that of the network.
        model: the network.
        facts: those that `fit` returns.
        curves: the learning curve of each member.
        scores: pieces that the invariances are measured on; without any that section is left out.
    """
    sections = ["# Fit of a rating network", _summary(facts)]
    if facts["held_out"]:
        sections += ["## Held-out agreement", agreement_table(facts)]
        if "votes" in facts["held_out"]:
            sections += ["## Held-out votes", votes_table(facts)]
        if "calibration" in facts["held_out"]:
            sections += ["## Calibration", calibration_table(facts)]
    sections += ["## Sanity probes", sanity_probe_table(model)]
    if scores:
        sample = scores[:: max(1, len(scores) // INVARIANCE_PIECES)][:INVARIANCE_PIECES]
        sections += ["## Invariances", invariance_table(model, sample)]
    text = "\n\n".join(sections) + "\n"
    write_atomically(folder / REPORT_FILE, text.encode("utf-8", "backslashreplace"))
    write_atomically(folder / CURVES_FILE, draw_learning_curves(curves))
    return text


def _summary(facts: Mapping[str, Any]) -> str:
    left_out = ", ".join(f"{count} {reason}" for reason, count in facts["left_out"].items()) or "none"
    counted = f"{facts['pieces']} pieces in {facts['groups']} groups; left out: {left_out}. "
    if facts["votes"]:
        counted += f"{facts['votes']} votes on pairs. "
    if facts["p_mean"] is None:
        return f"{counted}Without plays and likes, a rating of 1 is one standard deviation of the pieces' strengths."
    return (
        f"{counted}p = likes / plays * log(likes) "
        f"has mean {facts['p_mean']:.4g} and standard deviation {facts['p_std']:.4g}: a rating of r means "
        f"p = {facts['p_mean']:.4g} + {facts['p_std']:.4g} r."
    )


def agreement_table(facts: Mapping[str, Any]) -> str:
    """Agreement of each prediction with held-out popularity; without any, with the strengths by votes."""
    variance = None if facts["p_std"] is None else facts["p_std"] ** 2
    rows = [
        "| prediction | rank correlation [95 %] | Pearson | MSE, in variances | MSE on p | pieces |",
        "|---|---|---|---|---|---|",
    ]
    for name, result in facts["held_out"]["agreement"].items():
        low, high = result["interval"]
        mse = result["mean_squared_error"]
        on_p = "" if variance is None else f"{mse * variance:.3g}"
        rows.append(
            f"| {name} | {result['rank_correlation']:.3f} [{low:.3f}, {high:.3f}] | {result['correlation']:.3f} | "
            f"{mse:.3f} | {on_p} | {result['pieces']} |"
        )
    if "noise_ceiling" not in facts["held_out"]:
        return "\n".join([*rows, "", "There are no plays and likes: observed are the strengths by all votes."])
    ceiling = f"Counting noise alone limits the rank correlation to about {facts['held_out']['noise_ceiling']:.3f}."
    return "\n".join([*rows, "", ceiling])


def votes_table(facts: Mapping[str, Any]) -> str:
    """How well each prediction predicts votes between two held-out pieces of one fold, and the strengths by them."""
    rows = [
        "| prediction | votes predicted [95 %] | votes | rank correlation with strengths [95 %] | pieces |",
        "|---|---|---|---|---|",
    ]
    for name, result in facts["held_out"]["votes"].items():
        accuracy, ranks = (
            "too few" if mean is None else f"{mean:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"
            for mean, interval in (
                (result["accuracy"], result["interval"]),
                (result["rank_correlation"], result["rank_interval"]),
            )
        )
        rows.append(f"| {name} | {accuracy} | {result['votes']} | {ranks} | {result['pieces']} |")
    return "\n".join(rows)


def calibration_table(facts: Mapping[str, Any]) -> str:
    """Predicted and observed p by decile of the prediction."""
    rows = ["| p predicted | p observed | pieces |", "|---|---|---|"]
    rows += [
        f"| {decile['predicted']:.3g} | {decile['observed']:.3g} | {decile['pieces']} |"
        for decile in facts["held_out"]["calibration"]
    ]
    return "\n".join(rows)


def sanity_probe_table(model: RatingModel) -> str:
    """The score of each of `sanity_probes`, highest first."""
    probes = sanity_probes()
    rows = ["| piece | score |", "|---|---|"]
    for score, name in sorted(zip(score_probes(model, list(probes.values())), probes, strict=True), reverse=True):
        rows.append(f"| {name} | {score:.2f} |")
    return "\n".join(rows)


def invariance_table(model: RatingModel, scores: Sequence[Score]) -> str:
    """Mean absolute change of the score under each transformation, in standard deviations."""
    rows = [f"| transformation, {len(scores)} pieces | mean absolute change of the score |", "|---|---|"]
    rows += [f"| {name} | {change:.3f} |" for name, change in invariance_errors(model, scores).items()]
    return "\n".join(rows)


def draw_learning_curves(curves: Sequence[Curve]) -> bytes:
    """A PNG of the learning curves: training and validation loss of each member by epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for index, curve in enumerate(curves):
        epochs = range(1, len(curve) + 1)
        for key, (style, label) in CURVES.items():
            values = [epoch[key] for epoch in curve] if key in curve[0] else [np.nan]
            if np.isfinite(values).all():
                axes.plot(epochs, values, f"C{index}{style}", label=f"member {index + 1}, {label}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error in variances of p; nats a vote")
    axes.legend(fontsize="small")
    png = BytesIO()
    figure.savefig(png, dpi=110)
    return png.getvalue()
