"""The statistics of benchmarks/dilemma.py on numbers made by hand, and its readers on small files."""

from __future__ import annotations

import importlib
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FIT = "toccata.reward_models.judges.fit_held_out_realism"


@pytest.fixture
def load(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import one of the modules of the benchmark."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return importlib.import_module


def test_deciles_of_different_values_are_the_tenths_of_their_order(load: Any) -> None:
    by_decile = load("dilemma_statistics").by_decile
    values = np.random.default_rng(0).permutation(20).astype(float)
    assert by_decile(values, values) == pytest.approx(np.arange(10) * 2 + 0.5)


def test_ties_share_their_places(load: Any) -> None:
    statistics = load("dilemma_statistics")
    values = np.array([1.0] * 4 + [2.0] * 5 + [3.0])  # of ten pieces, each tenth is one place
    weights = statistics.decile_weights(values)
    assert weights.sum(axis=0) == pytest.approx(1)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights[0] == pytest.approx([0.25] * 4 + [0] * 6)
    assert weights[9] == pytest.approx([0] * 9 + [1])
    outcome = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1.0])
    assert statistics.by_decile(values, outcome)[[0, 3, 4, 9]] == pytest.approx([0.25, 0.25, 0, 1])


def test_a_control_explains_a_correlation_or_does_not(load: Any) -> None:
    statistics = load("dilemma_statistics")
    rng = np.random.default_rng(0)
    common, a, b = rng.normal(size=(3, 4000))

    def partial(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> float:
        return statistics.partial_spearman(x, y, statistics.control_design(controls))

    assert partial(common + 0.5 * a, common + 0.5 * b, common[:, None]) == pytest.approx(0, abs=0.05)
    assert partial(common, common**3, a[:, None]) == pytest.approx(1)
    assert partial(common, -common, np.empty((4000, 0))) == pytest.approx(-1)
    assert partial(common, common, common[:, None]) == 0  # nothing is left


def test_weighted_auc_counts_pairs(load: Any) -> None:
    weighted_auc = load("dilemma_statistics").weighted_auc
    ones = np.ones(2)
    assert weighted_auc(np.array([2.0, 4.0]), ones, np.array([1.0, 3.0]), ones) == pytest.approx(3 / 4)
    assert weighted_auc(np.array([2.0, 4.0]), np.array([3.0, 1.0]), np.array([1.0, 3.0]), ones) == pytest.approx(5 / 8)
    assert weighted_auc(np.array([1.0]), np.ones(1), np.array([1.0]), np.ones(1)) == pytest.approx(1 / 2)


def test_intervals_resample_clusters_and_redraw_counts(load: Any) -> None:
    resampled = load("dilemma_statistics").resampled

    def statistic(index: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return np.array([len(set(index.tolist()) & {0, 1}), counts.mean()])

    rng = np.random.default_rng(0)
    counts = np.full(4, 100.0)
    together, mean = resampled(statistic, counts, ["a", "a", "b", "c"], rng, redraw=False, resamples=200)
    assert (together.low, together.mean, together.high) == (0, 2, 2)
    assert (mean.low, mean.high) == (100, 100)
    _, mean = resampled(statistic, counts, ["a", "a", "b", "c"], rng, redraw=True, resamples=500)
    assert mean.mean == 100
    assert 85 < mean.low < 98
    assert 102 < mean.high < 115


def test_the_best_of_n_is_that_of_all_draws(load: Any) -> None:
    best_of_n_weights = load("dilemma_statistics").best_of_n_weights
    rewards = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    for n in (1, 2, 3, 5):
        best = [max(drawn, key=lambda i: rewards[i]) for drawn in combinations(range(5), n)]
        expected = np.bincount(best, minlength=5) / len(best)
        assert best_of_n_weights(rewards, n) == pytest.approx(expected)
    assert best_of_n_weights(np.array([1.0, 2, 2, 1]), 2) == pytest.approx([1 / 12, 5 / 12, 5 / 12, 1 / 12])
    for n in (0, 6):
        with pytest.raises(ValueError, match=rf"1\.\.5, got {n}"):
            best_of_n_weights(rewards, n)


def test_hypervolume_is_the_area_of_the_staircase(load: Any) -> None:
    hypervolume = load("dilemma_statistics").hypervolume
    zero = np.zeros(2)
    assert hypervolume(np.array([[1.0, 2], [2, 1]]), zero) == 3
    assert hypervolume(np.array([[1.0, 2], [2, 1], [1, 1], [2, 1], [-1, 9], [9, 0]]), zero) == 3
    assert hypervolume(np.array([[2.0, 3]]), np.ones(2)) == 2
    assert hypervolume(np.array([[-1.0, 1]]), zero) == 0


@pytest.fixture
def axes(load: Any) -> Any:
    """Four pieces: rating rises, realism falls; real pieces have a realism of 0 to 10."""
    real = np.linspace(0, 10, 101)
    return load("dilemma_front").Axes(np.arange(4.0), np.array([8.0, 6, 4, 0]), real, real)


def test_rules_prefer_what_they_say(load: Any, axes: Any) -> None:
    front = load("dilemma_front")
    assert front.weighted_sum(axes, 0.0).argmax() == 3
    assert front.weighted_sum(axes, 1.0) == pytest.approx([8, 7, 6, 3])
    assert front.weighted_sum(axes, np.inf).argmax() == 0
    assert front.gate(axes, 0) == pytest.approx(axes.rating)
    assert front.gate(axes, 40).argsort().tolist()[1:] == [0, 1, 2]  # the last is below 4
    assert front.gate(axes, 40)[3] < axes.rating.min()
    assert front.hinge(axes, 40) == pytest.approx([0, 1, 2, 3 - 8 * 4])
    for weight in (0.5, 1.0, np.inf):
        assert np.isfinite(front.product(axes, weight)).all()


def test_the_multiplier_reaches_its_level_and_no_less_does(load: Any, axes: Any) -> None:
    front = load("dilemma_front")
    weight = front.lagrangian_weight(axes, 2, 6.0)

    def mean(weight: float) -> float:
        chosen = front.selected({"": front.weighted_sum(axes, weight)}, axes.realism[:, None], 2)
        return float(chosen[0, 0])

    assert mean(weight) >= 6 > mean(0.999 * weight)
    assert front.lagrangian_weight(axes, 2, 9.0) == np.inf  # more than there is
    found = front.front(axes, np.column_stack([axes.rating, axes.realism]), 2, np.random.default_rng(0), resamples=3)
    assert {len(each["points"]) for each in found.values()} == {9}
    assert found["weighted sum"]["gain"] == (0, 0, 0)


def test_conditioning_accepts_nine_of_ten_in_every_stratum(load: Any) -> None:
    critics = load("dilemma_critics")
    rng = np.random.default_rng(0)
    predicted = rng.normal(size=1000)
    scores = rng.normal(size=1000) - 2 * predicted  # the better rated, the less real
    generated = [np.zeros(0), np.array([0.0, 1.0])]
    critic = critics.CrossFitted(scores, generated, {})
    fair = critics.conditioned(critic, critics.CrossFitted(predicted, generated, {}))
    strata = critics.stratum_of(predicted, predicted)
    assert np.bincount(strata).tolist() == [200] * 5
    for stratum in range(5):
        assert (fair.real[strata == stratum] < 0).mean() == pytest.approx(0.1, abs=0.01)
    assert [len(each) for each in fair.generated] == [0, 2]
    assert fair.of_pool()[0] == min(fair.generated[1])


def test_melodies_are_read_with_their_sessions_and_countries(load: Any, tmp_path: Path) -> None:
    notes = [[60 + i % 5, 4 * i, 4 * i + 4] for i in range(8)]
    rows = [
        {"notes": notes, "sessions": 549, "by_country": {"us": [9, 5]}},
        {"notes": notes[:7], "sessions": 3},  # too few notes
        {"notes": [[60 + i, 4 * i, 4 * i + 4] for i in range(8)], "only_in": {"tw": [54, 3]}},
        {"notes": [[70 - i, 4 * i, 4 * i + 4] for i in range(8)], "by_country": {"tw": [5, 3], "us": [4, 4]}},
    ]
    (tmp_path / "melodies.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    music = load("dilemma_music").read_doodle(tmp_path)
    assert music.counts.tolist() == [549, 3, 7]
    assert music.source.tolist() == ["worldwide", "tw", "several"]
    assert music.controls[0, :4] == pytest.approx([8, 8, 5, 4])
    assert len(set(music.clusters)) == 3


def test_chords_of_songs_become_block_chords(load: Any, tmp_path: Path) -> None:
    music = load("dilemma_music")
    assert music.chord_pitches("A:min7/b3") == [45, 57, 60, 64, 67]
    assert music.chord_pitches("Db:maj") == [37, 49, 53, 56]
    assert music.chord_pitches("N") is None
    bars = [[0.0, "verse", "C", ["C:maj", "G:7"]], *[[None, "verse", "C", [".", "."]]] * 7]
    row = {"metre": "4/4", "artist": "A", "year": 1970, "peak_rank": 3, "bars": [[0.0, "intro", "C", ["N"]], *bars]}
    (tmp_path / "songs.jsonl").write_text("\n".join(json.dumps(each) for each in (row, row | {"metre": "3/4"})))
    songs, chords = music.read_billboard(tmp_path)
    assert len(songs) == 1
    assert songs.popularity.tolist() == [-3]
    assert songs.controls.tolist() == [[1970, 2, 1]]
    first, second = sorted(set(songs.scores[0].notes["onset_tick"].tolist()))[:2]
    assert (first, second) == (0, 48)
    assert songs.scores[0].notes["duration_ticks"].max() == 96
    negatives = music.chord_negatives(chords, np.random.default_rng(0))
    assert {kind: [piece.length_ticks for piece in each] for kind, each in negatives.items()} == {
        "shuffled_chords": [768],
        "random_roots": [768],
    }


def test_melodies_of_generated_pieces_are_two_bars_of_the_skyline(load: Any) -> None:
    from toccata.music.score import Score

    tune = [(24 * i, 24, 72 + i % 3, 80) for i in range(16)] + [(24 * i, 24, 50, 80) for i in range(16)]
    found = load("dilemma_music").melodies_in(Score(tune, length_ticks=6 * 96))  # two bars of silence at the end
    assert [len(each) for each in found] == [8, 8]
    assert all(each.notes["pitch"].min() >= 72 for each in found)


@pytest.mark.slow
def test_the_script_at_toy_size(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dilemma, critics, music = load("dilemma"), load("dilemma_critics"), load("dilemma_music")
    statistics, front, ensemble = load("dilemma_statistics"), load("dilemma_front"), load(FIT)
    for module, name, value in (
        (critics, "STEPS", 1),
        (critics, "DRAWN", 20),
        (dilemma, "MELODY_NEGATIVES", 4),
        (dilemma, "SONG_NEGATIVES", 4),
        (dilemma, "BEST_OF", (2, 4)),
        (statistics, "RESAMPLES", 4),
        (ensemble, "REALISM_STEPS", 5),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setitem(statistics.resampled.__kwdefaults__, "resamples", 4)
    monkeypatch.setattr(front.front, "__defaults__", (3,))
    monkeypatch.setattr(front.judged_volumes, "__defaults__", (3,))

    rng = np.random.default_rng(0)
    melodies = [[[int(rng.integers(60, 72)), 4 * i, 4 * i + 4] for i in range(8)] for _ in range(60)]
    places: list[dict] = [{"sessions": 200}, {"only_in": {"tw": [9, 3]}}, {"only_in": {"us": [9, 5]}}]
    rows = [{"notes": notes, **places[number % 3]} for number, notes in enumerate(melodies)]
    (tmp_path / "melodies.jsonl").write_text("\n".join(map(json.dumps, rows)))
    chords = ["C:maj", "G:7", "A:min", "F:maj"]
    songs = [
        {
            "metre": "4/4",
            "artist": str(number),
            "year": 1960 + number,
            "peak_rank": number,
            "bars": [[None, "verse", "C", [chords[int(rng.integers(4))]]] for _ in range(8)],
        }
        for number in range(1, 21)
    ]
    (tmp_path / "songs.jsonl").write_text("\n".join(map(json.dumps, songs)))
    pool = [
        music.Score([(24 * i, 24, int(rng.integers(60, 80)), 80) for i in range(32)], length_ticks=768)
        for _ in range(8)
    ]
    monkeypatch.setattr(dilemma, "read_pool", lambda *arguments: pool)
    monkeypatch.setattr(dilemma, "own_corpus", lambda rng: pool[:4])
    out = tmp_path / "out"
    arguments = ["--doodle", str(tmp_path), "--billboard", str(tmp_path), "--run", "none", "--out", str(out)]
    dilemma.main(arguments)
    results = json.loads((out / "results-dilemma.json").read_text())
    assert set(results) == {"doodle", "pool", "billboard"}
    assert set(results["doodle"]["remedies"]) == {"plain", "by sessions", "conditioned", "gate at 5 %"}
    assert "Songs: 20, 20 artists" in (out / "dilemma.md").read_text()
    assert (out / "dilemma.png").stat().st_size > 10_000
    assert len(list((out / "critics").iterdir())) == 4
