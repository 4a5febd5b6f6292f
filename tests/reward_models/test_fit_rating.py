"""Fitting a rating network: the data, the split, what is made up, and a toy world whose rule it must find."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toccata.envs.rewards import Pieces
from toccata.music.score import Score
from toccata.reward_models.fit_rating import FitRatingConfig, main
from toccata.reward_models.melodies import (
    FEATURES,
    NEGATIVES,
    accompany,
    note_features,
    random_melody,
    recombined,
    repeated,
    vary,
)
from toccata.reward_models.melody_line import KEYS, STATISTICS, statistics
from toccata.reward_models.preferences import PreferenceError
from toccata.reward_models.rating import LOWEST, RatingConfig, RatingModel, Taster
from toccata.reward_models.rating_report import agreement, melody, rank_correlation, ridge
from toccata.reward_models.tasting import Heard, fit_taster


def write_lines(folder, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "melodies.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


# The command


def test_the_command_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "toccata", "fit-rating", "--data", str(tmp_path), "--out", "x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}: holds no preference data; it can be ")
    assert done.stderr.count("\n") == 1


def test_a_fitted_network_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PreferenceError, match="already holds"):
        main(FitRatingConfig(data=tmp_path, out=tmp_path))


# What is made up


def test_note_features_of_a_known_melody():
    features = dict(zip(FEATURES, note_features(melody("C4 C4 D4 F4 C5 C4:3")), strict=True))
    assert features["log_notes"] == pytest.approx(math.log(6))
    assert features["mean_interval"] == pytest.approx((0 + 2 + 3 + 7 + 12) / 5)
    assert features["greatest_interval"] == 12
    assert features["share_of_steps"] == pytest.approx(2 / 5)
    assert features["share_of_leaps"] == pytest.approx(1 / 5)
    assert features["share_of_repeats"] == pytest.approx(1 / 5)
    assert features["scale_fit"] == pytest.approx(1)
    assert features["range"] == 12
    assert features["net_rise"] == 0
    assert features["share_on_beat"] == 1
    assert features["share_of_rests"] == 0


@given(st.integers(0, 10_000), st.integers(-6, 6))
def test_note_features_do_not_change_with_the_key(seed, semitones):
    tune = random_melody(np.random.default_rng(seed))
    np.testing.assert_allclose(note_features(tune.transpose(semitones)), note_features(tune), atol=1e-9)


@pytest.mark.parametrize(
    "score", [Score(), Score(length_ticks=9), melody("C4"), *(n(np.random.default_rng(0)) for n in NEGATIVES)]
)
def test_note_features_are_finite_for_anything(score):
    assert np.isfinite(note_features(score)).all()


@given(st.integers(0, 10_000))
def test_made_up_music_is_on_the_piano_and_keeps_its_melody(seed):
    rng = np.random.default_rng(seed)
    tune, other = random_melody(rng), random_melody(rng)
    for piece in (vary(tune, rng), recombined(tune, other, rng), *(make(rng) for make in NEGATIVES)):
        assert len(piece) == 0 or 21 <= piece.notes["pitch"].min() <= piece.notes["pitch"].max() <= 108
    assert set(tune.notes.tolist()) <= set(accompany(tune, rng).notes.tolist())
    assert len(repeated(tune, 3)) == 3 * len(tune)


# Figures


def test_rank_correlation_and_ridge_on_known_answers():
    a = np.arange(20.0)
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, np.ones(20)) == 0
    x = np.random.default_rng(0).normal(size=(400, 2))
    np.testing.assert_allclose(ridge(x, x @ [1, 2] + 3, np.array([[1.0, 1.0]])), [6], atol=0.2)
    same = agreement(a, a, np.arange(20))
    assert same.interval == pytest.approx((1, 1))
    assert same.mean_squared_error == 0


# A world with a known rule


def exact_keys(score, frames=160):
    keys = torch.zeros(1, 2 * KEYS, frames)
    for onset, duration, pitch, _ in score.notes.tolist():
        first, last = round(onset * 15.625 / 24), round((onset + duration) * 15.625 / 24)
        keys[0, pitch - LOWEST, first] = 1
        keys[0, KEYS + pitch - LOWEST, first:last] = 1
    return keys


def test_a_known_rule_is_found():
    """Popularity is the share of repeated notes: heard through exact keys, by melodies not fitted on."""
    rng = np.random.default_rng(0)
    tunes = [random_melody(rng) for _ in range(300)]
    rule = np.array([note_features(tune)[FEATURES.index("share_of_repeats")] for tune in tunes])
    windows = statistics(torch.cat([exact_keys(tune) for tune in tunes]))
    heard = Heard(windows, np.arange(300)[None], np.ones((1, 300), np.int64))
    worst = Heard(torch.zeros(5, STATISTICS), np.arange(5)[None], np.ones((1, 5), np.int64))
    targets = torch.from_numpy(((rule - rule.mean()) / rule.std()).astype(np.float32))
    taster = fit_taster(
        RatingConfig(hidden=32), heard, worst, targets, np.arange(200), np.arange(200, 230), epochs=12, seed=0
    )
    assert isinstance(taster, Taster)
    assert rank_correlation(heard.rated(taster, np.arange(230, 300)), rule[230:]) > 0.8


def test_the_whole_fit_runs_and_is_repeatable(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    while len(rows) < 44:
        notes = [[int(p), int(o) // 6, int(o + d) // 6] for o, d, p, _ in random_melody(rng).notes.tolist()]
        rows += (
            [{"notes": notes, "sessions": 1 + notes[0][0]}] if len(notes) >= 8 and notes[0][0] != notes[1][0] else []
        )
    write_lines(tmp_path, *rows)
    options = {"made_up_pieces": 100, "hearing_epochs": 1, "copies": 1, "epochs": 2, "members": 2}
    main(FitRatingConfig(data=tmp_path, out=tmp_path / "a", folds=2, **options))
    main(FitRatingConfig(data=tmp_path, out=tmp_path / "b", folds=0, **options))
    model = RatingModel.load(tmp_path / "a")
    assert model.weights_hash() == RatingModel.load(tmp_path / "b").weights_hash()
    assert np.isfinite(model.score(Pieces([melody("C4 D4 E4 F4")]))).all()
    facts = json.loads((tmp_path / "a" / "config.json").read_text())["fit"]
    assert facts["melodies"] == 44
    assert set(facts["held_out"]) >= {"network", "score", "ridge", "constant"}
    assert "Extremes" in (tmp_path / "a" / "report.md").read_text()


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"members": 0}, {"copies": 0}, {"pessimism": -1.0}])
def test_options_out_of_range_are_errors(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        main(FitRatingConfig(data=tmp_path, out=tmp_path / "out", **wrong))
