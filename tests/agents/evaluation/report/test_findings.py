from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from toccata.agents.evaluation.comparison import summarise
from toccata.agents.evaluation.report.findings import key_results, outside_band, pieces_compared


def summary(agent: dict[str, float], real: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Means of the agent, and ranges of real music."""
    return {
        "composers": {"agent": {name: {"mean": mean, "low": mean, "high": mean} for name, mean in agent.items()}},
        "real_range": {name: {"low": low, "high": high} for name, (low, high) in real.items()},
    }


def test_what_lies_outside_is_said_in_words() -> None:
    found = outside_band(
        summary({"polyphony": 2.2, "x_y": 5, "z": 1}, {"polyphony": (3, 4.4), "x_y": (1, 4), "z": (0, 1)})
    )
    assert [str(each) for each in found] == [
        "polyphony 2.20: below real music (3.00 to 4.40)",
        "x y 5.00: above real music (1.00 to 4.00)",
    ]


@pytest.mark.parametrize("mean", [3.0, 4.4, 2.9999, 4.4001, 3.5])
def test_what_cannot_be_seen_is_not_outside(mean: float) -> None:
    assert outside_band(summary({"polyphony": mean}, {"polyphony": (3, 4.4)})) == []


def test_metrics_without_a_range_are_not_outside() -> None:
    assert outside_band(summary({"polyphony": 2}, {})) == []


def values(**means: float) -> dict[str, np.ndarray]:
    return {name.replace("__", "/"): np.array([mean - 0.1, mean + 0.1]) for name, mean in means.items()}


def test_key_results_compare_with_the_reference() -> None:
    every = {
        "agent": values(
            reward__total=2, judge__rating=1, judge__realism=0, diversity=0.5, polyphony=2, judge__band_share=0.5
        ),
        "reference": values(
            reward__total=1, judge__rating=1, judge__realism=2, diversity=0.6, polyphony=3, judge__band_share=0.6
        ),
        "real": values(
            reward__total=3, judge__rating=1, judge__realism=3, diversity=0.7, polyphony=4, judge__band_share=0.9
        ),
    }
    found = summarise(every, 0)
    found["kl"] = {"nats_per_piece": {"mean": 12.0, "low": 11.0, "high": 13.0}}
    found["vendi_score"] = {"agent": 1.5, "reference": 1.75, "real": 2.0}
    lines = key_results(found)
    assert len(lines) == 6
    assert lines[0].startswith("Reward: agent 2.00 (1.90 to 2.10), reference 1.00 (0.90 to 1.10), real music 3.00; ")
    assert lines[0].endswith("the agent is higher.")
    assert lines[1].endswith("no clear difference.")
    assert lines[2].endswith("the agent is lower.")
    assert "(Vendi score): agent 1.50 of 2, reference 1.75 of 2, real 2.00 of 2." in lines[3]
    assert lines[4] == "KL from the reference policy: 12.0 nats a piece (11.0 to 13.0)."
    assert "polyphony 2.00: below real music (3.91 to 4.09)" in lines[5]
    assert "A piece of the agent has 50 % of its metrics in that range." in lines[5]
    del every["reference"]
    lines = key_results(summarise(every, 0))
    assert "reference" not in " ".join(lines)
    assert lines[0].startswith(
        "Reward: agent 2.00 (1.90 to 2.10), real 3.00 (2.90 to 3.10); difference from real −1.00"
    )


def test_one_metric_is_enough() -> None:
    found = summarise({name: {"x": np.ones(1)} for name in ("agent", "random", "real")}, 0)
    assert key_results(found) == ["The mean of every metric of the music is inside the 5 to 95 % range of real pieces."]


def test_how_many_pieces_are_compared() -> None:
    every = {name: {"x": np.ones(2)} for name in ("agent", "random", "real")}
    assert pieces_compared(summarise(every, 0)) == "Means over 2 pieces of each composer, with 95 % intervals."
    every["real"] = {"x": np.ones(3)}
    assert pieces_compared(summarise(every, 0)) == "Means with 95 % intervals, over pieces: agent 2, random 2, real 3."
