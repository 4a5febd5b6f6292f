"""The report of a fit: its tables say what was found out, its picture shows the curves."""

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
from toccata.reward_models.rating.fitting.sanity_probes import melody, sanity_probes

FACTS = {
    "pieces": 40,
    "left_out": {"unreadable file": 2, "no plays": 1},
    "sources": {},
    "groups": 38,
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
def few_extremes(monkeypatch):
    pieces = sanity_probes()
    few = {name: pieces[name] for name in ("silence", "one note", "white noise")}
    monkeypatch.setattr(rating_report, "sanity_probes", lambda: few)


def test_a_report_has_all_that_is_known(small_rating, few_extremes, tmp_path):
    text = write_report(tmp_path, small_rating(), FACTS, CURVES, [melody("C4 E4 G4 C5")] * 3)
    assert (tmp_path / REPORT_FILE).read_text(encoding="utf-8") == text
    assert (tmp_path / CURVES_FILE).read_bytes().startswith(b"\x89PNG")
    assert "40 pieces in 38 groups; left out: 2 unreadable file, 1 no plays." in text
    assert "a rating of r stands for p = 0.125 + 0.5 r" in text
    for heading in ("Pieces held out", "Calibration", "Extremes", "What should not change the score"):
        assert f"\n## {heading}\n" in text
    assert "| transposed by +6 | " in text and "3 pieces" in text
    assert "nan" not in text


def test_what_was_not_measured_is_left_out(small_rating, few_extremes, tmp_path):
    text = write_report(tmp_path, small_rating(), {**FACTS, "held_out": {}, "left_out": {}}, CURVES[:1], [])
    assert "left out: none" in text and "Extremes" in text
    assert "held out" not in text and "Calibration" not in text and "should not change" not in text


def test_the_table_of_agreement():
    (row,) = [line for line in agreement_table(FACTS).splitlines() if line.startswith("| score")]
    assert row == "| score | 0.432 [0.100, 0.700] | 0.500 | 0.800 | 0.2 | 40 |"  # 0.8 variances of 0.25
    assert agreement_table(FACTS).endswith("about 0.900.")


def test_the_table_of_calibration():
    assert calibration_table(FACTS).splitlines()[2:] == ["| 0.111 | 0.222 | 20 |"]


def test_extremes_are_shown_highest_first(small_rating, few_extremes):
    rows = [line.split("|") for line in sanity_probe_table(small_rating()).splitlines()[2:]]
    scores = [float(row[2]) for row in rows]
    assert sorted(row[1].strip() for row in rows) == ["one note", "silence", "white noise"]
    assert scores == sorted(scores, reverse=True)


def test_of_many_pieces_some_are_changed(small_rating, few_extremes, monkeypatch, tmp_path):
    monkeypatch.setattr(rating_report, "CHANGED_PIECES", 3)
    seen = []
    monkeypatch.setattr(
        rating_report, "invariances", lambda model, scores: seen.append(len(scores)) or {"nothing": 0.0}
    )
    monkeypatch.setattr(rating_report, "draw_learning_curves", lambda path, curves: None)

    for count in (1, 3, 4, 7, 100):
        write_report(tmp_path, small_rating(), {**FACTS, "held_out": {}}, CURVES, [melody("C4")] * count)
    assert seen == [1, 3, 3, 3, 3]
