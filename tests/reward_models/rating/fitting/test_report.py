"""The report of a fit: sections, tables, and the picture of the learning curves."""

import pytest

from toccata.reward_models.rating.fitting import report as rating_report
from toccata.reward_models.rating.fitting.report import (
    CURVES_FILE,
    REPORT_FILE,
    agreement_table,
    calibration_table,
    sanity_probe_table,
    write_report,
)
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody, sanity_probes

FACTS = {
    "pieces": 40,
    "left_out": {"unreadable file": 2, "no plays": 1},
    "sources": {},
    "groups": 38,
    "votes": 0,
    "p_mean": 0.125,
    "p_std": 0.5,
    "held_out": {
        "agreement": {
            "score": {
                "rank_correlation": 0.4321,
                "interval": (0.1, 0.7),
                "correlation": 0.5,
                "mean_squared_error": 0.8,
                "pieces": 40,
            }
        },
        "calibration": [{"predicted": 0.111, "observed": 0.222, "pieces": 20}],
        "noise_ceiling": 0.9,
    },
}
CURVES = [[{"train_mse": 1.0, "valid_mse": 1.1}, {"train_mse": 0.5, "valid_mse": 0.9}]] * 3


@pytest.fixture
def few_probes(monkeypatch):
    probes = sanity_probes()
    few = {name: probes[name] for name in ("silence", "one note", "white noise")}
    monkeypatch.setattr(rating_report, "sanity_probes", lambda: few)


def test_a_report_has_every_section(small_rating, few_probes, tmp_path):
    text = write_report(tmp_path, small_rating(), FACTS, CURVES, [parse_melody("C4 E4 G4 C5")] * 3)
    assert (tmp_path / REPORT_FILE).read_text(encoding="utf-8") == text
    assert (tmp_path / CURVES_FILE).read_bytes().startswith(b"\x89PNG")
    assert "40 pieces in 38 groups; left out: 2 unreadable file, 1 no plays." in text
    assert "a rating of r means p = 0.125 + 0.5 r" in text
    for heading in ("Held-out agreement", "Calibration", "Sanity probes", "Invariances"):
        assert f"\n## {heading}\n" in text
    assert "| transposed by +6 | " in text and "3 pieces" in text
    assert "nan" not in text


def test_sections_without_data_are_left_out(small_rating, few_probes, tmp_path):
    text = write_report(tmp_path, small_rating(), {**FACTS, "held_out": {}, "left_out": {}}, CURVES[:1], [])
    assert "left out: none" in text and "Sanity probes" in text
    assert "Held-out" not in text and "Calibration" not in text and "Invariances" not in text


def test_agreement_table():
    (row,) = [line for line in agreement_table(FACTS).splitlines() if line.startswith("| score")]
    assert row == "| score | 0.432 [0.100, 0.700] | 0.500 | 0.800 | 0.2 | 40 |"  # 0.8 variances of 0.25
    assert agreement_table(FACTS).endswith("about 0.900.")


def test_calibration_table():
    assert calibration_table(FACTS).splitlines()[2:] == ["| 0.111 | 0.222 | 20 |"]


def test_probes_are_sorted_by_score(small_rating, few_probes):
    rows = [line.split("|") for line in sanity_probe_table(small_rating()).splitlines()[2:]]
    scores = [float(row[2]) for row in rows]
    assert sorted(row[1].strip() for row in rows) == ["one note", "silence", "white noise"]
    assert scores == sorted(scores, reverse=True)


def test_invariances_are_measured_on_a_sample(small_rating, few_probes, monkeypatch, tmp_path):
    monkeypatch.setattr(rating_report, "INVARIANCE_PIECES", 3)
    counts = []
    monkeypatch.setattr(
        rating_report, "invariance_errors", lambda model, scores: counts.append(len(scores)) or {"identity": 0.0}
    )
    monkeypatch.setattr(rating_report, "draw_learning_curves", lambda curves: b"")

    for count in (1, 3, 4, 7, 100):
        write_report(tmp_path, small_rating(), {**FACTS, "held_out": {}}, CURVES, [parse_melody("C4")] * count)
    assert counts == [1, 3, 3, 3, 3]
