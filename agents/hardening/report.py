"""The report of `toccata harden`: what each attack reached in each round, and what the fits cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toccata.reward_models.judges.panel import BAND_SHARE, BITS, GOLD, REALISM

HEAD = (
    "round", "attack", "reward", "real", "rating", "realism", "bits", "bands", "gold", "log-odds", "diversity",
    "no music", "found",
)  # fmt: skip


def report(rounds: Sequence[Mapping[str, Any]], samples: int) -> str:
    """The rounds as Markdown."""
    rows = [_row(each["round"], name, attack) for each in rounds for name, attack in each["attacks"].items()]
    parts = [
        "# Hardening",
        "Each attack maximises a reward without regard to music. *Reward* and *real*: the mean of what it maximises, "
        f"and the median of {samples} real pieces. *Bits*, *bands*, *gold*, *log-odds*: the judges, which are not "
        "rewarded. *No music*: the share of the pieces that two of three judges place outside the range of real ones. "
        "*Found*: the share that is so and has a reward above the median of real pieces; these became negatives. The "
        "last round attacks with another policy, another seed and twice the steps, and nothing is fitted to it.",
        _table(HEAD, rows),
        "## Held-out music",
        "Of the models that each round attacked: the area under the ROC curve of real pieces against each kind of "
        "negatives by the realism, its lowest and its mean; and the mean rating of each source of real music.",
        _table(*_held_out(rounds)),
    ]
    return "\n\n".join(parts) + "\n"


def _row(number: int, name: str, attack: Mapping[str, Any]) -> list[str]:
    judges = attack["judges"]
    values = [attack["reward"], attack["real"], attack["rating"], attack["realism"]]
    values += [judges[name] for name in (BITS, BAND_SHARE, GOLD, REALISM)] + [attack["diversity"]]
    shares = [f"{100 * count / attack['pieces']:.0f} %" for count in (attack["unlike_music"], len(attack["found"]))]
    return [str(number), name, *(f"{value:.2f}" for value in values), *shares]


def _held_out(rounds: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    sources = [name for name in rounds[0]["held_out"]["rating"] if name not in rounds[0]["held_out"]["auc"]]
    rows = []
    for each in rounds:
        aucs = {kind: interval[0] for kind, interval in each["held_out"]["auc"].items()}
        lowest = min(aucs, key=lambda kind: aucs[kind])
        ratings = [f"{each['held_out']['rating'][name]:.2f}" for name in sources]
        rows.append(
            [str(each["round"]), f"{aucs[lowest]:.2f} ({lowest})", f"{np.mean(list(aucs.values())):.2f}", *ratings]
        )
    return ["round", "lowest AUC", "mean AUC", *(f"rating of {name}" for name in sources)], rows


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
